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


class SubscriberPushTokens(Protocol):
    """Who keeps the push tokens that came with the bindings of subscribers (RFC 8599)."""

    async def forget_subscriber(self, tx: Tx, subscriber_id: str) -> None:
        """The subscriber is gone."""
        ...

    async def give_subscriber(self, tx: Tx, subscriber_id: str, user_id: str) -> None:
        """The subscriber belongs to another user."""
        ...


class KnownApps(Protocol):
    """Which apps there are."""

    async def exists(self, tx: Tx, app_id: str) -> bool:
        """Whether there is an app with this id."""
        ...
