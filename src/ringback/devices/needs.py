"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ringback.apps import AppVersion
    from ringback.events import Event
    from ringback.principal import Principal
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.store import Tx


class Apps(Protocol):
    """Which app an app key belongs to, and its keys."""

    async def version_by_key(self, tx: Tx, app_key: str) -> AppVersion | None:
        """The app version of a key, or None."""
        ...

    async def master_private_key(self, tx: Tx, app_id: str) -> PrivateKey:
        """The P-256 master key of an app. Raises AppNotFound."""
        ...

    async def roles_of(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        """The roles of an app; none for an unknown one."""
        ...


class AppAccess(Protocol):
    """Who may use which apps."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that an enabled system user may use; none for a disabled or unknown one."""
        ...


class Audit(Protocol):
    """Where it is written down who did what."""

    async def record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        *,
        subject_kind: str,
        subject_id: str,
        app_id: str | None = None,
        user_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Adds one row in the same unit."""
        ...


class EventSink(Protocol):
    """Who hears about changes."""

    async def publish(self, tx: Tx, event: Event) -> None:
        """Tells every subscriber in the same unit."""
        ...
