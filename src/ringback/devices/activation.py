"""The key exchange: a phone proves who its user is, and becomes a registration with keys.

Four types lead here. CODE: a back end made the registration, and the phone has its activation code. RECOVERY: a person
wrote down a recovery code and a PUK. DIRECT and CUSTOM: somebody outside says who the user is. The last three make the
registration in the unit that stores its keys. Source: PowerAuth specification, "Activation", "Activation via Activation
Code", "Activation Recovery", "Additional Activation OTP".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ringback.devices import queries
from ringback.devices.creation import NewRegistration
from ringback.devices.lifecycle import kept_otp
from ringback.devices.model import Registration, Status, StatusEvent, next_status
from ringback.devices.model_recovery import NewRecovery
from ringback.devices.needs import Identified
from ringback.devices.recovery import ClaimedRecovery, read_claim
from ringback.devices.schema import (
    ActivationLayer1Request,
    ActivationLayer1Response,
    ActivationLayer2Request,
    ActivationLayer2Response,
    ActivationRecovery,
)
from ringback.errors import ActivationInvalid, EncryptionFailed, MobileError, RecoveryInvalid
from ringback.http import is_too_deep
from ringback.principal import device
from ringback.protocols.powerauth.activation_code import is_activation_code
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION_LAYER_2, SH1_APPLICATION, EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.errors import InvalidPublicKey, MalformedBase64
from ringback.protocols.powerauth.keys import PublicKey, public_key_from_bytes
from ringback.protocols.powerauth.versions import P256

if TYPE_CHECKING:
    from ringback.attempts import AttemptLimiter
    from ringback.clock import Clock, Randomness
    from ringback.devices.creation import Creation
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.keys import KeyMaterial, RegistrationKeys
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.needs import Identities, UserInfo
    from ringback.devices.otp import ActivationOtps
    from ringback.devices.recovery import RecoveryCodes
    from ringback.protocols.powerauth.headers import EncryptionHeader
    from ringback.store import Store, Tx

T = TypeVar("T", bound=msgspec.Struct)
Who = str | ClaimedRecovery | Identified
"""Who activates: the registration of an activation code, somebody with a recovery code, or a user that is known."""

MAX_ID = 255


class KeyExchange(msgspec.Struct, frozen=True):
    """All that the writing unit needs; computed before it."""

    registration_id: str
    activation_type: str
    protocol_version: str
    request: ActivationLayer2Request
    material: KeyMaterial
    ctr_data: bytes
    opened: OpenedRequest


class Exchanged(msgspec.Struct, frozen=True):
    """A key exchange that was stored: what the phone is told beside its keys."""

    recovery: NewRecovery | None
    user_info: dict[str, Any] | None


Refusal = MobileError | type[MobileError]


class Activation:
    """Runs key exchanges."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        keys: RegistrationKeys,
        encryption: Encryption,
        lifecycle: Lifecycle,
        attempts: AttemptLimiter,
        creation: Creation,
        otps: ActivationOtps,
        recovery_codes: RecoveryCodes,
        identities: Identities,
        user_info: UserInfo | None,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._keys = keys
        self._encryption = encryption
        self._lifecycle = lifecycle
        self._attempts = attempts
        self._creation = creation
        self._otps = otps
        self._recovery_codes = recovery_codes
        self._identities = identities
        self._user_info = user_info

    async def create(self, store: Store, header: EncryptionHeader, body: bytes, address: str) -> EciesResponse:
        """See DevicesService.create_activation."""
        if self._attempts.is_exhausted(address):
            raise ActivationInvalid
        try:
            return await self._create(store, header, body)
        except (ActivationInvalid, RecoveryInvalid):
            self._attempts.count_failure(address)
            raise

    async def _create(self, store: Store, header: EncryptionHeader, body: bytes) -> EciesResponse:
        outer = await self._open(store, header, _decode(body, EciesEnvelope, EncryptionFailed), SH1_APPLICATION)
        layer1 = _decode(outer.plaintext, ActivationLayer1Request, ActivationInvalid)
        inner = await self._open(store, header, layer1.activation_data, SH1_ACTIVATION_LAYER_2)
        layer2 = _decode(inner.plaintext, ActivationLayer2Request, ActivationInvalid)
        device_public = _device_public_key(layer2.device_public_key)
        if device_public is None:
            if layer1.type == "CODE":
                await store.write(self._refuse_device_key, await self._by_code(store, outer.app_id, layer1))
            raise ActivationInvalid
        who = await self._who(store, outer, layer1, layer2)
        exchange = KeyExchange(
            registration_id=(registration_id := who if isinstance(who, str) else self._creation.new_id()),
            activation_type=layer1.type,
            protocol_version=header.version.text,
            request=layer2,
            material=self._keys.make(registration_id, device_public),
            ctr_data=self._randomness.bytes(P256.counter_bytes),
            opened=outer,
        )
        outcome = await store.write(self._finish, who, exchange)
        if not isinstance(outcome, Exchanged):
            raise outcome
        return self._answer(who, exchange, outcome, inner)

    def _answer(self, who: Who, exchange: KeyExchange, outcome: Exchanged, inner: OpenedRequest) -> EciesResponse:
        """Both layers of the answer."""
        layer2 = ActivationLayer2Response(
            activation_id=exchange.registration_id,
            server_public_key=base64.b64encode(exchange.material.server_public_key).decode("ascii"),
            ctr_data=base64.b64encode(exchange.ctr_data).decode("ascii"),
        )
        if outcome.recovery is not None:
            recovery = ActivationRecovery(outcome.recovery.recovery_code, outcome.recovery.puks[0])
            layer2 = msgspec.structs.replace(layer2, activation_recovery=recovery)
        layer1 = ActivationLayer1Response(
            activation_data=self._encryption.seal(inner, layer2),
            custom_attributes=who.custom_attributes if isinstance(who, Identified) else {},
            user_info=msgspec.UNSET if outcome.user_info is None else outcome.user_info,
        )
        return self._encryption.seal(exchange.opened, layer1)

    # who it is --------------------------------------------------------------------------------------------------------

    async def _who(
        self, store: Store, outer: OpenedRequest, layer1: ActivationLayer1Request, layer2: ActivationLayer2Request
    ) -> Who:
        """Who activates, as far as it can be known before the unit. Raises ActivationInvalid, RecoveryInvalid."""
        if layer1.type == "CODE":
            return await self._by_code(store, outer.app_id, layer1)
        if layer2.activation_otp:
            raise ActivationInvalid  # nobody can have told this phone one
        if layer1.type == "RECOVERY":
            return read_claim(layer1.identity_attributes)
        if await store.read(self._encryption.is_replay, outer):
            raise EncryptionFailed  # asked here too, so that nobody outside is called once more
        who = await self._identities.identify(
            outer.app_id, layer1.type, layer1.identity_attributes, layer1.custom_attributes or {}
        )
        if not 1 <= len(who.user_id) <= MAX_ID or "\0" in who.user_id:
            raise ActivationInvalid
        return who

    async def _by_code(self, store: Store, app_id: str, layer1: ActivationLayer1Request) -> str:
        """The id of the registration that waits for this code. Raises ActivationInvalid."""
        code = layer1.identity_attributes.get("code", "")
        registration = await store.read(_by_code, app_id, code) if is_activation_code(code) else None
        if registration is None:
            raise ActivationInvalid
        return registration.id

    async def _open(
        self, store: Store, header: EncryptionHeader, envelope: EciesEnvelope, shared_info1: str
    ) -> OpenedRequest:
        key_id = envelope.temporary_key_id
        key = await store.read(self._encryption.find_key, header.version, header.application_key, key_id)
        return self._encryption.open(key, envelope, shared_info1)

    # the unit ---------------------------------------------------------------------------------------------------------

    async def _finish(self, tx: Tx, who: Who, exchange: KeyExchange) -> Exchanged | Refusal:
        """Unit: stores the keys, if nobody was faster. Returns refusals: expiry, wrong OTPs and PUKs leave marks."""
        if await self._encryption.is_replay(tx, exchange.opened):
            return EncryptionFailed
        if isinstance(who, str):
            registration = await self._expected(tx, exchange)
        elif isinstance(who, ClaimedRecovery):
            registration = await self._recovered(tx, who, exchange)
        else:
            registration = await self._identified(tx, who, exchange)
        if not isinstance(registration, Registration):
            return registration
        with_recovery = await self._recovery_codes.is_enabled(tx, registration.app_id)
        info = None
        # Whoever holds an activation code is not told about its user before somebody has committed the phone.
        if self._user_info is not None and registration.commit_phase == "ON_KEY_EXCHANGE":
            info = await self._user_info.user_info(tx, registration.app_id, registration.user_id)
        await self._encryption.remember(tx, exchange.opened)
        status = await self._save_keys(tx, registration, exchange)
        if not with_recovery:
            return Exchanged(None, info)
        return Exchanged(await self._recovery_codes.make_with(tx, registration, active=status == "ACTIVE"), info)

    async def _expected(self, tx: Tx, exchange: KeyExchange) -> Registration | Refusal:
        """CODE: the registration that a back end made, if its OTP is right too."""
        registration = await self._waiting(tx, exchange.registration_id)
        if registration is None:
            return ActivationInvalid
        verdict = self._otps.verdict(registration, "ON_KEY_EXCHANGE", exchange.request.activation_otp)
        if verdict == "wrong":
            await self._encryption.remember(tx, exchange.opened)
            await self._otps.count_failure(tx, registration, device(registration.id))
        return registration if verdict == "right" else ActivationInvalid

    async def _recovered(self, tx: Tx, claim: ClaimedRecovery, exchange: KeyExchange) -> Registration | Refusal:
        """RECOVERY: a new registration, which takes the place of the phone that the code was made with."""
        app_id, principal = exchange.opened.app_id, device(exchange.registration_id)
        code = await self._recovery_codes.redeem(tx, app_id, claim, principal)
        if isinstance(code, RecoveryInvalid):
            await self._encryption.remember(tx, exchange.opened)
            return code
        if code.registration_id is not None:
            lost = await tx.one(queries.registration_by_id, code.registration_id)
            if lost is not None and lost.status != "REMOVED":
                await self._lifecycle.change(tx, lost, "remove", principal)
        new = NewRegistration(exchange.registration_id, app_id, code.user_id, "RECOVERY", "ON_KEY_EXCHANGE")
        return await self._creation.insert(tx, principal, new)

    async def _identified(self, tx: Tx, who: Identified, exchange: KeyExchange) -> Registration:
        """DIRECT and CUSTOM: a new registration, which waits for its commit or not."""
        new = NewRegistration(
            exchange.registration_id,
            exchange.opened.app_id,
            who.user_id,
            exchange.activation_type,
            "ON_KEY_EXCHANGE" if who.commit else "ON_COMMIT",
            flags=who.flags,
        )
        return await self._creation.insert(tx, device(exchange.registration_id), new)

    async def _waiting(self, tx: Tx, registration_id: str) -> Registration | None:
        """The registration, if it still waits for its phone."""
        registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None or registration.status != "CREATED":
            return None
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return None
        return registration

    async def _save_keys(self, tx: Tx, registration: Registration, exchange: KeyExchange) -> Status:
        commits = registration.commit_phase == "ON_KEY_EXCHANGE"
        event: StatusEvent = "key_exchange_commits" if commits else "key_exchange"
        status = next_status(registration.status, event)
        request, material = exchange.request, exchange.material
        await tx.run(
            queries.save_keys,
            registration.id,
            registration.version,
            status,
            exchange.protocol_version,
            request.activation_name,
            request.platform,
            request.device_info,
            request.extras,
            request.external_id,
            material.device_public_key,
            material.server_public_key,
            material.server_private_key_sealed,
            material.master_secret_sealed,
            exchange.ctr_data,
            self._clock.now_ms(),
            kept_otp(registration, status),
        )
        await self._lifecycle.tell(tx, registration, event, status, device(registration.id))
        return status

    async def _refuse_device_key(self, tx: Tx, registration_id: str) -> None:
        """Unit: a code that came with a malformed device key is used up."""
        registration = await self._waiting(tx, registration_id)
        if registration is not None:
            await self._lifecycle.change(tx, registration, "device_key_refused", device(registration.id))


async def _by_code(tx: Tx, app_id: str, code: str) -> Registration | None:
    """Unit: the registration that waits for this code."""
    registration = await tx.one(queries.registration_by_code, app_id, code)
    return registration if registration is not None and registration.status == "CREATED" else None


def _decode(body: bytes, shape: type[T], refusal: type[MobileError]) -> T:
    try:
        value = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal(cause=error) from error
    if is_too_deep(body):
        raise refusal
    return value


def _device_public_key(text: str) -> PublicKey | None:
    try:
        return public_key_from_bytes(decode_base64(text, limit=65))
    except (MalformedBase64, InvalidPublicKey):
        return None
