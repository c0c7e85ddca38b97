"""System users as an authenticator needs them: fresh enough, without a query for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.access.model import SystemUser
from ringback.clock import Clock
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.access.service import AccessService

CACHE_MS = 1_500
CACHE_ENTRIES = 1_000


class KnownUsers:
    """Remembers users for at most two seconds; the process that changes a user forgets it at once."""

    def __init__(self, *, store: Store, access: AccessService, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._users: dict[str, tuple[int, SystemUser]] = {}
        access.when_changed(self.forget)

    def forget(self, username: str) -> None:
        """The next request of this user looks it up: it was changed in this process."""
        self._users.pop(username, None)

    def remembered(self, username: str) -> SystemUser | None:
        """The user without asking the database, or None."""
        cached = self._users.get(username)
        return cached[1] if cached is not None and 0 <= self._clock.now_ms() - cached[0] < CACHE_MS else None

    async def look_up(self, username: str) -> SystemUser | None:
        """The user as the database has it now, or None."""
        now = self._clock.now_ms()
        user = await self._store.read(self._access.user, username)
        if user is None:
            self._users.pop(username, None)
            return None
        if len(self._users) >= CACHE_ENTRIES:
            self._users.clear()
        self._users[username] = (now, user)
        return user
