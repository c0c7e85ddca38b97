"""The proximity check: an OTP that is shown next to the person proves that the phone is there too.

Source: Mobile Token API, "Proximity check"; the OTP is a TOTP of 8 digits by a seed that every such operation has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.protocols.powerauth.totp import SEED_BYTES, acceptable_otps, totp, verify_totp

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.operations.model import Operation


class Sealer(Protocol):
    """Who keeps secrets."""

    def seal(self, plaintext: bytes, identity: str) -> bytes:
        """Encrypts a secret."""
        ...

    def unseal(self, sealed: bytes, identity: str) -> bytes:
        """Decrypts it."""
        ...


class Proximity:
    """Makes seeds, shows OTPs and checks them. `step_seconds`: how long one OTP is shown."""

    def __init__(self, *, clock: Clock, randomness: Randomness, vault: Sealer, step_seconds: int) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._step_seconds = step_seconds

    def new_seed(self, operation_id: str) -> bytes:
        """A sealed seed for a new operation."""
        return self._vault.seal(self._randomness.bytes(SEED_BYTES), _identity(operation_id))

    def otp(self, operation: Operation) -> str | None:
        """What the back end shows now; None unless the operation has a proximity check and waits for its answer."""
        if operation.proximity_seed_sealed is None or operation.status != "PENDING":
            return None
        now_ms = self._clock.now_ms()
        if now_ms >= operation.expires_at:
            return None
        return totp(self._seed(operation.id, operation.proximity_seed_sealed), now_ms // 1000, self._step_seconds)

    def acceptable(self, operation: Operation) -> tuple[str, ...]:
        """The OTPs that may have been shown: this step's and the one's before. None at all without a check."""
        if operation.proximity_seed_sealed is None:
            return ()
        seed = self._seed(operation.id, operation.proximity_seed_sealed)
        return acceptable_otps(seed, self._clock.now_ms() // 1000, self._step_seconds)

    def passes(self, operation: Operation, otp: str | None) -> bool:
        """Whether the phone was near, or need not be."""
        if operation.proximity_seed_sealed is None:
            return True
        seed = self._seed(operation.id, operation.proximity_seed_sealed)
        return verify_totp(otp or "", seed, self._clock.now_ms() // 1000, self._step_seconds)

    def _seed(self, operation_id: str, sealed: bytes) -> bytes:
        return self._vault.unseal(sealed, _identity(operation_id))


def _identity(operation_id: str) -> str:
    return f"operation:{operation_id}:proximity_seed"
