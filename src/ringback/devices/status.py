"""What a phone learns about its own registration. Source: PowerAuth specification, "Checking Activation Status"."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ringback.devices import queries
from ringback.devices.registrations import ExpiryDue
from ringback.devices.schema import ActivationStatus, StatusObject
from ringback.errors import ActivationInvalid
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.errors import MalformedBase64
from ringback.protocols.powerauth.status_blob import StatusBlob, build_status_blob, counter_hash

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.keys import RegistrationKeys
    from ringback.store import Tx

CHALLENGE_BYTES = 16
BLOB_BYTES = 32
PROTOCOL = 3
_NUMBERS = {"CREATED": 1, "PENDING_COMMIT": 2, "ACTIVE": 3, "BLOCKED": 4, "REMOVED": 5}


class PhoneStatus:
    """Encrypts the status of a registration for its phone."""

    def __init__(self, *, clock: Clock, randomness: Randomness, keys: RegistrationKeys) -> None:
        self._clock = clock
        self._randomness = randomness
        self._keys = keys

    async def encrypted(self, tx: Tx, request: StatusObject) -> ActivationStatus:
        """See DevicesService.activation_status."""
        try:
            challenge = decode_base64(request.challenge, limit=CHALLENGE_BYTES)
        except MalformedBase64 as error:
            raise ActivationInvalid(cause=error) from error
        if len(challenge) != CHALLENGE_BYTES:
            raise ActivationInvalid
        nonce = self._randomness.bytes(CHALLENGE_BYTES)
        blob = await self._blob(tx, request.activation_id, challenge, nonce)
        return ActivationStatus(
            activation_id=request.activation_id,
            # Somebody without the keys cannot tell an unknown registration from one that exists.
            encrypted_status_blob=_text(blob or self._randomness.bytes(BLOB_BYTES)),
            nonce=_text(nonce),
            custom_object={},
        )

    async def _blob(self, tx: Tx, registration_id: str, challenge: bytes, nonce: bytes) -> bytes | None:
        """The blob; None when there are no keys to encrypt it with."""
        registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None:
            return None
        if registration.is_expired(self._clock.now_ms()):
            raise ExpiryDue([registration.id])
        keys = self._keys.derived(registration)
        if keys is None or registration.ctr_data is None:
            return None
        status = StatusBlob(
            status=_NUMBERS[registration.status],
            current_version=PROTOCOL,
            upgrade_version=PROTOCOL,
            counter_byte=registration.ctr & 0xFF,
            failed_attempts=registration.failed_attempts,
            max_failed_attempts=registration.max_failed_attempts,
            look_ahead=registration.look_ahead,
            counter_hash=counter_hash(keys.transport, registration.ctr_data),
        )
        return build_status_blob(keys.transport, challenge, nonce, status)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
