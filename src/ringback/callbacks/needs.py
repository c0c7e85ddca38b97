"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.devices import Registration
    from ringback.egress import EgressAnswer
    from ringback.operations import FoundOperation
    from ringback.outbox import NewDelivery
    from ringback.principal import Principal


class Registrations(Protocol):
    """Who knows registrations."""

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        """One registration, whoever's it is."""
        ...


class Operations(Protocol):
    """Who knows operations."""

    async def with_apps(self, tx: Tx, operation_id: str) -> FoundOperation | None:
        """One operation with its apps, whoever's it is."""
        ...


class Apps(Protocol):
    """Which apps there are."""

    async def exists(self, tx: Tx, app_id: str) -> bool:
        """Whether there is such an app."""
        ...


class AppAccess(Protocol):
    """Which apps a system user may use."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps of an enabled user; a disabled or unknown one has none."""
        ...


class Deliveries(Protocol):
    """Who delivers."""

    async def enqueue(self, tx: Tx, delivery: NewDelivery) -> str:
        """Adds a delivery to the unit; returns its id."""
        ...


class WayOut(Protocol):
    """The guarded HTTP client."""

    def check_url(self, url: str) -> None:
        """Raises DestinationNotAllowed."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = ...,
        body: bytes = ...,
        timeout_seconds: float = ...,
        limit_bytes: int = ...,
        owner: str = ...,
    ) -> EgressAnswer:
        """One request. Raises DestinationNotAllowed, DestinationUnreachable."""
        ...
