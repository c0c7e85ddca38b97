"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ringback.principal import Principal
    from ringback.store import Tx


class UdsPushTokens(Protocol):
    """Who keeps the push tokens of UDS devices."""

    async def suspend_user(self, tx: Tx, user_id: str, *, suspended: bool) -> None:
        """Whether the user's devices may be reached."""
        ...

    async def forget_user(self, tx: Tx, user_id: str) -> None:
        """The user's devices are forgotten."""
        ...


class AppAccess(Protocol):
    """Who may use which apps."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that an enabled system user may use; none for a disabled or unknown one."""
        ...
