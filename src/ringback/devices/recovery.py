"""Recovery codes: what a person wrote down, to activate another phone when the first one is lost.

A code with one PUK is made with an activation and dies with it; a code with many PUKs is printed on a postcard and has
to be confirmed by a phone of the user before it counts. Source: PowerAuth specification, "Activation Recovery".
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec

from ringback.clock import new_id
from ringback.devices import queries_recovery as queries
from ringback.devices.envelopes import ProvenRequest, decode_opened, open_signed, prove_signed
from ringback.devices.model import Registration, SignatureCheck
from ringback.devices.model_recovery import NewRecovery, RecoveryCode, RecoveryPuk, RecoveryStatus
from ringback.devices.phone import TWO_FACTORS
from ringback.devices.schema_recovery import ConfirmedRecoveryCode, ConfirmRecoveryCode
from ringback.errors import EncryptionFailed, MobileError, RecoveryInvalid
from ringback.principal import device
from ringback.protocols.powerauth.ecies import SH1_RECOVERY_CONFIRM, EciesResponse
from ringback.protocols.powerauth.errors import InvalidRecoveryCode
from ringback.protocols.powerauth.recovery_code import (
    generate_puks,
    generate_recovery_code,
    is_puk,
    is_recovery_code,
    mask_recovery_code,
    parse_recovery_code,
)

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.model import DeviceLimits
    from ringback.devices.needs import AppConfiguration
    from ringback.devices.recovery_states import RecoveryStates
    from ringback.devices.signatures import Signatures
    from ringback.principal import Principal
    from ringback.protocols.powerauth.headers import SignatureHeader
    from ringback.secrets import Vault
    from ringback.store import Store, Tx

CONFIGURATION_KEY = "recovery"
CONFIRM_URI_ID = "/pa/recovery/confirm"


class ClaimedRecovery(msgspec.Struct, frozen=True):
    """What a phone sends to be activated by; well-formed, and not yet checked."""

    recovery_code: str
    puk: str

    def __repr__(self) -> str:
        """Shows neither."""
        return "ClaimedRecovery()"


def read_claim(attributes: dict[str, str]) -> ClaimedRecovery:
    """Code and PUK in the identity attributes. Raises RecoveryInvalid when they cannot be what somebody was given."""
    claim = ClaimedRecovery(attributes.get("recoveryCode", ""), attributes.get("puk", ""))
    if not is_recovery_code(claim.recovery_code) or not is_puk(claim.puk):
        raise RecoveryInvalid
    return claim


class RecoveryCodes:
    """Makes, confirms and redeems recovery codes."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        configuration: AppConfiguration,
        states: RecoveryStates,
        signatures: Signatures,
        encryption: Encryption,
        limits: DeviceLimits,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._configuration = configuration
        self._states = states
        self._signatures = signatures
        self._encryption = encryption
        self._limits = limits

    async def is_enabled(self, tx: Tx, app_id: str) -> bool:
        """Whether the app has recovery codes; off unless its configuration turns them on."""
        policy = await self._configuration.configuration(tx, app_id, CONFIGURATION_KEY)
        return isinstance(policy, dict) and policy.get("enabled") is True

    # making -----------------------------------------------------------------------------------------------------------

    async def make(
        self,
        tx: Tx,
        principal: Principal,
        *,
        app_id: str,
        user_id: str,
        status: RecoveryStatus,
        puk_count: int,
        registration_id: str | None = None,
    ) -> tuple[RecoveryCode, NewRecovery]:
        """A new code with its PUKs: as it is stored, and in the clear."""
        new = NewRecovery(
            generate_recovery_code(self._randomness.bytes), tuple(generate_puks(self._randomness.bytes, puk_count))
        )
        now = self._clock.now_ms()
        code = RecoveryCode(
            id=new_id(self._clock, self._randomness),
            app_id=app_id,
            user_id=user_id,
            registration_id=registration_id,
            status=status,
            code_masked=mask_recovery_code(new.recovery_code),
            failed_attempts=0,
            max_failed_attempts=self._limits.max_failed_attempts,
            created_at=now,
            updated_at=now,
            version=1,
        )
        await tx.run(
            queries.insert_recovery_code,
            code.id,
            app_id,
            user_id,
            registration_id,
            status,
            self._fingerprint(new.recovery_code),
            code.code_masked,
            code.max_failed_attempts,
            now,
        )
        for index, puk in enumerate(new.puks, 1):
            await tx.run(queries.insert_puk, code.id, index, self._puk_fingerprint(new.recovery_code, index, puk))
        details = {"status": status, "puks": puk_count}
        await self._states.record(tx, principal, "recovery_code.create", code, details)
        return code, new

    async def make_with(self, tx: Tx, registration: Registration, *, active: bool) -> NewRecovery:
        """The code of a registration that has just got its keys; ACTIVE as soon as the registration is."""
        _, new = await self.make(
            tx,
            device(registration.id),
            app_id=registration.app_id,
            user_id=registration.user_id,
            status="ACTIVE" if active else "CREATED",
            puk_count=1,
            registration_id=registration.id,
        )
        return new

    # redeeming --------------------------------------------------------------------------------------------------------

    async def redeem(
        self, tx: Tx, app_id: str, claim: ClaimedRecovery, principal: Principal
    ) -> RecoveryCode | RecoveryInvalid:
        """Uses up the PUK whose turn it is. Returns the code as it was before, or the refusal, which may be counted.

        A wrong PUK counts, whatever its place on the postcard; an unknown, unconfirmed or closed code does not.
        """
        if not await self.is_enabled(tx, app_id):
            return RecoveryInvalid()
        fingerprint = self._fingerprint(claim.recovery_code)
        code = await tx.one(queries.recovery_code_by_fingerprint, app_id, fingerprint)
        if code is None or code.status != "ACTIVE":
            return RecoveryInvalid()
        turn = _whose_turn(await tx.all(queries.puks_of_code, code.id))
        if turn is None:
            return RecoveryInvalid()
        given = self._puk_fingerprint(claim.recovery_code, turn.puk_index, claim.puk)
        if not hmac.compare_digest(given, turn.puk_fingerprint):
            return await self._count_failure(tx, code, turn, principal)
        await tx.run(queries.use_puk, code.id, turn.puk_index, self._clock.now_ms())
        details = {"pukIndex": turn.puk_index, "newRegistrationId": principal.name}
        await self._states.record(tx, principal, "recovery_code.use", code, details)
        if code.registration_id is None:
            await self._states.save(tx, code, code.status, 0)
        else:
            await self._states.change(tx, code, "use_bound", principal, failed_attempts=0)
        return code

    async def _count_failure(
        self, tx: Tx, code: RecoveryCode, turn: RecoveryPuk, principal: Principal
    ) -> RecoveryInvalid:
        failed = code.failed_attempts + 1
        if failed >= code.max_failed_attempts:
            await self._states.change(tx, code, "attempts_used_up", principal, failed_attempts=failed)
            return RecoveryInvalid()
        await self._states.save(tx, code, code.status, failed)
        details = {"remainingAttempts": code.max_failed_attempts - failed}
        await self._states.record(tx, principal, "recovery_code.puk_failed", code, details)
        return RecoveryInvalid(turn.puk_index)

    def _fingerprint(self, code: str) -> bytes:
        return self._vault.fingerprint(code.encode(), "recovery_code")

    def _puk_fingerprint(self, code: str, index: int, puk: str) -> bytes:
        """What is stored of a PUK.

        Alone it is ten digits and would need a slow hash. Together with its code, whose 80 random bits are stored
        nowhere in the clear, it is a secret that nobody can find by trying: a fingerprint is enough.
        """
        return self._vault.fingerprint(f"{code} {index} {puk}".encode(), "recovery_puk")

    # confirming -------------------------------------------------------------------------------------------------------

    async def confirm(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """recovery/confirm. Raises SignatureInvalid, SignatureTypeInvalid, EncryptionFailed, RecoveryInvalid."""
        opened = await open_signed(store, self._encryption, header, body, SH1_RECOVERY_CONFIRM)
        result = await store.write(self._confirm, header, body, opened)
        if opened is None or not isinstance(result, ConfirmedRecoveryCode):
            raise EncryptionFailed if isinstance(result, ConfirmedRecoveryCode) else result
        return self._encryption.seal(opened, result)

    async def _confirm(
        self, tx: Tx, header: SignatureHeader, body: bytes, opened: OpenedRequest | None
    ) -> ConfirmedRecoveryCode | type[MobileError]:
        """Unit: the check of the signature, and the confirmation."""
        check = SignatureCheck("POST", CONFIRM_URI_ID, header, body)
        proven = await prove_signed(tx, self._encryption, self._signatures, check, opened, allowed_types=TWO_FACTORS)
        if not isinstance(proven, ProvenRequest):
            return proven
        asked = decode_opened(proven.plaintext, ConfirmRecoveryCode)
        code = None if asked is None else await self._code_of(tx, proven.registration, asked.recovery_code)
        if code is None:
            return RecoveryInvalid
        if code.status == "ACTIVE":
            return ConfirmedRecoveryCode(already_confirmed=True)
        if code.status != "CREATED" or code.registration_id is not None:
            return RecoveryInvalid  # closed, or made with a registration that nobody committed yet
        await self._states.change(tx, code, "confirm", device(proven.registration.id))
        return ConfirmedRecoveryCode(already_confirmed=False)

    async def _code_of(self, tx: Tx, registration: Registration, text: str) -> RecoveryCode | None:
        """The code, if it belongs to this phone's user in this app, and the app has recovery codes."""
        try:
            plain = parse_recovery_code(text)
        except InvalidRecoveryCode:
            return None
        if not await self.is_enabled(tx, registration.app_id):
            return None
        code = await tx.one(queries.recovery_code_by_fingerprint, registration.app_id, self._fingerprint(plain))
        return code if code is not None and code.user_id == registration.user_id else None


def _whose_turn(puks: list[RecoveryPuk]) -> RecoveryPuk | None:
    """The first PUK that was not used yet."""
    return next((puk for puk in puks if puk.status == "VALID"), None)
