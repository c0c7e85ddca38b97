"""What a phone learns about its own registration. Source: PowerAuth specification, "Checking Activation Status"."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from ringback.devices import queries
from ringback.devices.schema import ActivationStatus, StatusObject
from ringback.errors import ActivationInvalid
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.errors import MalformedBase64
from ringback.protocols.powerauth.status_blob import RESERVED_BYTES, StatusBlob, build_status_blob, counter_hash
from ringback.protocols.powerauth.versions import P256

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.keys import RegistrationKeys
    from ringback.devices.model import Registration
    from ringback.protocols.powerauth.derived_keys import ActivationKeys
    from ringback.store import Tx

CHALLENGE_BYTES = 16
_NUMBERS = {"CREATED": 1, "PENDING_COMMIT": 2, "ACTIVE": 3, "BLOCKED": 4, "REMOVED": 5}
_NO_COUNTER = bytes(P256.counter_bytes)


class PhoneStatus:
    """Encrypts the status of a registration for its phone.

    Whoever has no keys must not learn which registrations exist. So a registration without keys, or none at all, is
    answered with a blob under keys that nobody else has: bytes that look random, after the same work.
    """

    def __init__(self, *, clock: Clock, randomness: Randomness, keys: RegistrationKeys) -> None:
        self._clock = clock
        self._randomness = randomness
        self._keys = keys

    async def encrypted(self, tx: Tx, request: StatusObject) -> ActivationStatus:
        """See DevicesService.activation_status."""
        challenge = _challenge(request)
        nonce = None if challenge is None else self._randomness.bytes(CHALLENGE_BYTES)
        registration = await tx.one(queries.registration_by_id, request.activation_id)
        keys = None if registration is None else self._keys.derived(registration)
        if registration is None or keys is None:
            keys = self._keys.stand_in(request.activation_id)
            status = _blob(keys, "REMOVED", _NO_COUNTER)
        else:
            # One whose time is over is removed by the job in a moment; its phone is told now, and nothing is written.
            shown = "REMOVED" if registration.is_expired(self._clock.now_ms()) else registration.status
            status = _blob(keys, shown, registration.ctr_data or _NO_COUNTER, registration)
        reserved = bytes(RESERVED_BYTES)
        if challenge is None:
            status, reserved = self._without_counter(status)
        blob = build_status_blob(keys.transport, challenge, nonce, status, reserved=reserved)
        return ActivationStatus(
            activation_id=request.activation_id,
            encrypted_status_blob=_text(blob),
            nonce=msgspec.UNSET if nonce is None else _text(nonce),
            custom_object={},
        )

    def _without_counter(self, status: StatusBlob) -> tuple[StatusBlob, bytes]:
        """For a phone of 3.0, which reads no counter and whose IV is zero: random bytes wherever it does not look."""
        random = self._randomness.bytes
        counter, look_ahead = random(2)
        hash_ = random(len(status.counter_hash))
        hidden = msgspec.structs.replace(status, counter_byte=counter, look_ahead=look_ahead, counter_hash=hash_)
        return hidden, random(RESERVED_BYTES)


def _challenge(request: StatusObject) -> bytes | None:
    """What the phone wants the answer to be mixed with. Raises ActivationInvalid."""
    if request.challenge is None:
        return None
    try:
        challenge = decode_base64(request.challenge, limit=CHALLENGE_BYTES)
    except MalformedBase64 as error:
        raise ActivationInvalid(cause=error) from error
    if len(challenge) != CHALLENGE_BYTES:
        raise ActivationInvalid
    return challenge


def _blob(keys: ActivationKeys, status: str, ctr_data: bytes, registration: Registration | None = None) -> StatusBlob:
    return StatusBlob(
        status=_NUMBERS[status],
        current_version=P256.protocol,
        upgrade_version=P256.protocol,
        counter_byte=registration.ctr & 0xFF if registration else 0,
        failed_attempts=registration.failed_attempts if registration else 0,
        max_failed_attempts=registration.max_failed_attempts if registration else 0,
        look_ahead=registration.look_ahead if registration else 1,
        counter_hash=counter_hash(keys.transport, ctr_data),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
