"""Offline signatures: a QR text that the server signs, and the digits that a phone without a network answers with.

Source: PowerAuth specification, "Offline Signatures"; Mobile Token API, "Off-line Signature QR Code". The counter, the
count of failures and the audit rows are those of online signatures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ringback.devices import queries
from ringback.devices.model import Registration, SignatureCheck, SignatureOutcome
from ringback.devices.signatures import DOES_NOT_MATCH, INVALID_STATE, Signatures, outcome, unknown
from ringback.errors import AppNotFound, RegistrationChangeRefused, RegistrationNotFound, invalid_field
from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.errors import MalformedBase64
from ringback.protocols.powerauth.headers import SignatureHeader
from ringback.protocols.powerauth.offline_qr import ACTIVATION_KEY, MASTER_KEY, NONCE_BYTES, build_offline_qr
from ringback.protocols.powerauth.primitives import next_counter
from ringback.protocols.powerauth.signature import (
    OFFLINE_SECRET,
    SignatureMatch,
    factor_keys,
    normalized_data,
    verify_offline_signature,
)
from ringback.protocols.powerauth.versions import LATEST

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.keys import RegistrationKeys
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.needs import AppAccess, Apps
    from ringback.principal import Principal
    from ringback.protocols.powerauth.derived_keys import ActivationKeys
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.store import Store, Tx

KNOWLEDGE = "possession_knowledge"
OFFLINE_TYPES = (KNOWLEDGE, "possession_biometry")
"""What a person can type: one component for possession, one for the second factor."""

FACTORS = 2
DIGITS = 8
_SEPARATORS = re.compile(r"[ -]")


class OfflinePayload(msgspec.Struct, frozen=True):
    """What is shown as a QR code, and the nonce in it: 16 bytes in Base64."""

    offline_data: str
    nonce: str


class OfflineCheck(msgspec.Struct, frozen=True):
    """Digits that a person typed. `bodies`: what the phone may have signed, where it is not known exactly."""

    registration_id: str
    uri_id: str
    nonce: bytes
    otp: str
    bodies: tuple[bytes, ...]
    signature_types: tuple[str, ...] = OFFLINE_TYPES
    digits: int = DIGITS


def is_offline_otp(text: str, digits: int = DIGITS) -> bool:
    """Whether the text has the digits of two factors, grouped in whatever way: 8-8, 4-4-4-4, with spaces, or not."""
    typed = _SEPARATORS.sub("", text)
    return len(typed) == FACTORS * digits and typed.isascii() and typed.isdigit()


def read_offline_nonce(text: str) -> bytes:
    """The nonce of a QR text, 16 bytes. Raises InvalidRequest."""
    try:
        nonce = decode_base64(text, limit=NONCE_BYTES)
    except MalformedBase64:
        nonce = b""
    if len(nonce) != NONCE_BYTES:
        raise invalid_field("nonce", "Send the nonce that came with the QR text: 16 bytes in Base64.")
    return nonce


class OfflineSignatures:
    """Makes the QR texts and checks the digits."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        apps: Apps,
        access: AppAccess,
        keys: RegistrationKeys,
        lifecycle: Lifecycle,
        signatures: Signatures,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._apps = apps
        self._access = access
        self._keys = keys
        self._lifecycle = lifecycle
        self._signatures = signatures

    # making -----------------------------------------------------------------------------------------------------------

    def payload(
        self, registration: Registration, data: str, *, totp: str | None = None, nonce: bytes | None = None
    ) -> OfflinePayload:
        """A QR text for one phone. Costs an EC operation: not inside a unit. Raises RegistrationChangeRefused."""
        key = self._keys.server_private_key(registration)
        if registration.status != "ACTIVE" or key is None:
            raise RegistrationChangeRefused("The registration is not active.")
        nonce = nonce or self._randomness.bytes(NONCE_BYTES)
        return OfflinePayload(build_offline_qr(data, nonce, ACTIVATION_KEY, key, totp), encode_base64(nonce))

    async def personalized(
        self, store: Store, principal: Principal, registration_id: str, data: str, nonce: bytes | None
    ) -> OfflinePayload:
        """A QR text for one phone of the principal's apps. Raises RegistrationNotFound, RegistrationChangeRefused."""
        return self.payload(await store.read(self._visible, principal, registration_id), data, nonce=nonce)

    async def general(
        self, store: Store, principal: Principal, app_id: str, data: str, nonce: bytes | None
    ) -> OfflinePayload:
        """A QR text for every phone of an app, signed by the app's master key. Raises AppNotFound."""
        key = await store.read(self._master_key, principal, app_id)
        nonce = nonce or self._randomness.bytes(NONCE_BYTES)
        return OfflinePayload(build_offline_qr(data, nonce, MASTER_KEY, key), encode_base64(nonce))

    async def _visible(self, tx: Tx, principal: Principal, registration_id: str) -> Registration:
        registration = None
        if "\0" not in registration_id:
            registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None or registration.app_id not in await self._access.apps_of(tx, principal):
            raise RegistrationNotFound
        return registration

    async def _master_key(self, tx: Tx, principal: Principal, app_id: str) -> PrivateKey:
        if app_id not in await self._access.apps_of(tx, principal):
            raise AppNotFound
        return await self._apps.master_private_key(tx, app_id)

    # checking ---------------------------------------------------------------------------------------------------------

    async def verify(self, tx: Tx, principal: Principal, check: OfflineCheck) -> SignatureOutcome:
        """Unit: digits that a back end received; phones of other apps are unknown to it."""
        return await self.check(tx, check, only_apps=await self._access.apps_of(tx, principal))

    async def check(self, tx: Tx, check: OfflineCheck, *, only_apps: frozenset[str] | None) -> SignatureOutcome:
        """See DevicesService.check_offline_signature."""
        registration = None
        if "\0" not in check.registration_id:
            registration = await tx.one(queries.registration_by_id, check.registration_id)
        as_signed = _as_signed(check, check.signature_types[0])
        if registration is None or (only_apps is not None and registration.app_id not in only_apps):
            return unknown(as_signed)
        if registration.is_expired(self._clock.now_ms()):
            registration = await self._lifecycle.expire(tx, registration)
        keys = self._keys.derived(registration)
        if registration.status != "ACTIVE" or registration.ctr_data is None or keys is None:
            await self._signatures.audit(tx, registration, INVALID_STATE, as_signed)
            return outcome(registration, as_signed, valid=False, remaining=0)
        found = _search(keys, registration.ctr_data, registration.look_ahead, check)
        if found is None:
            return await self._signatures.failed(tx, registration, DOES_NOT_MATCH, as_signed)
        signature_type, match = found
        return await self._signatures.accepted(tx, registration, _as_signed(check, signature_type), match)


def _search(
    keys: ActivationKeys, counter: bytes, look_ahead: int, check: OfflineCheck
) -> tuple[str, SignatureMatch] | None:
    """All factors at one counter before the next counter, so that the counter moves as little as it can."""
    texts = [normalized_data("POST", check.uri_id, check.nonce, body, OFFLINE_SECRET) for body in check.bodies]
    factors = [(kind, factor_keys(keys, kind)) for kind in check.signature_types]
    for offset in range(look_ahead):
        for kind, chain in factors:
            for text in texts:
                match = verify_offline_signature(chain, counter, 1, text, check.otp, check.digits)
                if match is not None:
                    return kind, SignatureMatch(offset, match.next_counter)
        counter = next_counter(counter)
    return None


def _as_signed(check: OfflineCheck, signature_type: str) -> SignatureCheck:
    """The check as the audit log shows it, beside those of online signatures."""
    header = SignatureHeader(LATEST, check.registration_id, "", check.nonce, signature_type, check.otp)
    return SignatureCheck("POST", check.uri_id, header, check.bodies[0])
