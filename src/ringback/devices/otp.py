"""Activation OTPs: a second secret, beside the activation code, that somebody has to type before a phone is ACTIVE.

Source: PowerAuth specification, "Additional Activation OTP".
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal

import msgspec

from ringback.devices import queries

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.model import Registration
    from ringback.principal import Principal
    from ringback.secrets import Vault
    from ringback.store import Tx

Phase = Literal["ON_KEY_EXCHANGE", "ON_COMMIT"]
Verdict = Literal["right", "wrong", "unexpected"]

EXPECTED_LATER = b""
"""Stored while an OTP is expected that the back end has still to set: no OTP fits it."""


class ActivationOtps:
    """Fingerprints, checks and counts activation OTPs."""

    def __init__(self, *, clock: Clock, vault: Vault, lifecycle: Lifecycle) -> None:
        self._clock = clock
        self._vault = vault
        self._lifecycle = lifecycle

    def fingerprint(self, registration_id: str, otp: str) -> bytes:
        """What is stored of an OTP.

        A few digits can be guessed from any hash, so what protects them in a stolen database is the key of the
        fingerprint, which is sealed; and they are forgotten as soon as the registration is ACTIVE or REMOVED.
        """
        return self._vault.fingerprint(otp.encode(), f"activation_otp:{registration_id}")

    def verdict(self, registration: Registration, phase: Phase, otp: str | None) -> Verdict:
        """What an OTP, or none, is worth at this step. Compares in constant time."""
        expected = registration.activation_otp_fingerprint
        if expected is None or registration.commit_phase != phase:
            return "unexpected" if otp else "right"
        given = self.fingerprint(registration.id, otp or "")
        return "right" if otp and hmac.compare_digest(given, expected) else "wrong"

    async def count_failure(self, tx: Tx, registration: Registration, principal: Principal) -> None:
        """One wrong OTP more; the last one removes the registration."""
        failed = registration.failed_attempts + 1
        if failed >= registration.max_failed_attempts:
            used_up = msgspec.structs.replace(registration, failed_attempts=failed)
            await self._lifecycle.change(tx, used_up, "otp_attempts_used_up", principal)
            return
        await tx.run(queries.save_otp_failure, registration.id, registration.version, failed, self._clock.now_ms())
        details = {"remainingAttempts": registration.max_failed_attempts - failed}
        await self._lifecycle.record(tx, principal, "registration.otp_failed", registration, details)

    async def replace(
        self, tx: Tx, registration: Registration, otp: str, principal: Principal, external_user_id: str | None
    ) -> None:
        """Another OTP takes the place of the one that was expected. The count of failures goes on."""
        await tx.run(
            queries.save_otp,
            registration.id,
            registration.version,
            self.fingerprint(registration.id, otp),
            external_user_id or registration.external_user_id,
            self._clock.now_ms(),
        )
        details = {} if external_user_id is None else {"externalUserId": external_user_id}
        await self._lifecycle.record(tx, principal, "registration.otp_replaced", registration, details)
