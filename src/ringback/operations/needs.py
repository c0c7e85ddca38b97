"""What this room needs of the rooms around it, as narrow as it can be said; `server.py` passes what fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.devices import (
        MacTokenCheck,
        MacTokenOutcome,
        OfflineCheck,
        OfflinePayload,
        Registration,
        SignatureCheck,
        SignatureOutcome,
    )
    from ringback.messages import Notice
    from ringback.principal import Principal


class AppAccess(Protocol):
    """Which apps a system user may use."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps of an enabled user; a disabled or unknown one has none."""
        ...


class Phones(Protocol):
    """What phones prove, and what is known of them."""

    async def check_signature(
        self, tx: Tx, check: SignatureCheck, *, allowed_types: frozenset[str] | None = None
    ) -> SignatureOutcome:
        """Checks a signature, moves the counter, counts a failure."""
        ...

    async def check_offline_signature(
        self, tx: Tx, check: OfflineCheck, *, only_apps: frozenset[str] | None = None
    ) -> SignatureOutcome:
        """Checks digits that a person typed, as `check_signature`."""
        ...

    def offline_payload(self, registration: Registration, data: str, *, totp: str | None = None) -> OfflinePayload:
        """A QR text for one phone; not inside a unit."""
        ...

    async def app_roles(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        """The roles of an app."""
        ...

    async def check_mac_token(self, tx: Tx, check: MacTokenCheck) -> MacTokenOutcome:
        """Checks a MAC token and spends its nonce."""
        ...

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        """One registration."""
        ...


class FanOut(Protocol):
    """Who tells a user something on all their phones."""

    async def fan_out(self, tx: Tx, notice: Notice) -> list[str]:
        """Writes the pushes into the unit; reads before it writes."""
        ...
