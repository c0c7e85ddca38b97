"""MAC tokens: a phone proves with an HMAC, and without moving its counter, which registration it is.

Source: PowerAuth specification, "MAC Token Based Authentication".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ringback.clock import new_id
from ringback.devices import queries
from ringback.devices.model import MacTokenCheck, MacTokenOutcome, Registration
from ringback.principal import device
from ringback.protocols.powerauth.token import verify_token_digest

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.model import DeviceLimits
    from ringback.protocols.powerauth.headers import TokenHeader
    from ringback.secrets import Vault
    from ringback.store import Tx

SECRET_BYTES = 16
MOST_PER_PHONE = 100
"""An app needs a few. A phone that makes more, by mistake or to fill the table, loses the oldest."""


class MacTokens:
    """Makes, checks and forgets MAC tokens."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, vault: Vault, lifecycle: Lifecycle, limits: DeviceLimits
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._lifecycle = lifecycle
        self._limits = limits

    async def surplus(self, tx: Tx, registration_id: str) -> list[str]:
        """The MAC tokens that have to go when this phone gets another one, oldest last."""
        return await tx.all(queries.surplus_mac_tokens, registration_id, MOST_PER_PHONE - 1)

    async def create(self, tx: Tx, registration: Registration, signature_type: str) -> tuple[str, bytes]:
        """A new MAC token of a phone that has just signed: its id and its secret, 16 bytes."""
        token_id = new_id(self._clock, self._randomness)
        secret = self._randomness.bytes(SECRET_BYTES)
        sealed = self._vault.seal(secret, _identity(token_id))
        await tx.run(queries.insert_mac_token, token_id, registration.id, sealed, signature_type, self._clock.now_ms())
        details = {"tokenId": token_id, "signatureType": signature_type}
        await self._lifecycle.record(tx, device(registration.id), "mac_token.create", registration, details)
        return token_id, secret

    async def remove(self, tx: Tx, registration: Registration, token_id: str) -> None:
        """Forgets a MAC token of this phone; one that it does not have is no error."""
        await tx.run(queries.delete_mac_token, token_id, registration.id)
        details = {"tokenId": token_id}
        await self._lifecycle.record(tx, device(registration.id), "mac_token.remove", registration, details)

    async def check(self, tx: Tx, check: MacTokenCheck, *, only_apps: frozenset[str] | None) -> MacTokenOutcome:
        """See DevicesService.check_mac_token."""
        header = check.header
        seen = _replay_value(header)
        token = await tx.one(queries.mac_token_for_check, header.token_id, seen)
        if token is None or (only_apps is not None and token.app_id not in only_apps):
            return MacTokenOutcome(
                valid=False, registration_id="", user_id=None, app_id=None, status="REMOVED", signature_type=""
            )
        secret = self._vault.unseal(token.secret_sealed, _identity(token.id))
        proven = (
            verify_token_digest(secret, header.nonce, header.timestamp, header.version, header.token_digest)
            and self._is_timely(header.timestamp_ms)
            and not token.used
        )
        if proven:
            # Once the timestamp is too old the digest proves nothing, so the nonce need not be remembered longer.
            await tx.run(
                queries.remember_value, seen, header.timestamp_ms + self._limits.mac_token_past_seconds * 1000 + 1
            )
        return MacTokenOutcome(
            valid=proven and token.status == "ACTIVE",
            registration_id=token.registration_id,
            user_id=token.user_id,
            app_id=token.app_id,
            status=token.status,
            signature_type=token.signature_type,
            proven=proven,
        )

    def _is_timely(self, timestamp_ms: int) -> bool:
        age = self._clock.now_ms() - timestamp_ms
        return -self._limits.mac_token_future_seconds * 1000 <= age <= self._limits.mac_token_past_seconds * 1000


def _identity(token_id: str) -> str:
    return f"mac_token:{token_id}:secret"


def _replay_value(header: TokenHeader) -> bytes:
    return hashlib.sha256(b"mac_token\0" + header.token_id.encode() + b"\0" + header.nonce).digest()
