"""What this room needs from others; `server.py` passes the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ringback.principal import Principal
    from ringback.store import Tx


class AppAccess(Protocol):
    """Who may look at which apps."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that an enabled system user may use; none for a disabled or unknown one."""
        ...

    async def reach_of(self, tx: Tx, principal: Principal) -> frozenset[str] | None:
        """The same; None for an enabled administrator, who sees everything."""
        ...
