"""The provider `local`: a mailbox per registration, read by the phone over a connection that it keeps open."""

from __future__ import annotations

import asyncio
from typing import Protocol
from uuid import UUID

from ringback.clock import Clock, Randomness, first_id_at, new_id
from ringback.outbox import Delivered, Result
from ringback.push import queries
from ringback.push.model import LocalPush
from ringback.store import Store, Tx

KEPT_MS = 86_400_000
# Here the database is the wire: requests must not wait behind a thousand mailboxes.
_AT_A_TIME = 32


def wake_channel(registration_id: str) -> str:
    """The store's channel that is notified when something comes into this registration's mailbox."""
    return f"local_push:{registration_id}"


class Mail(Protocol):
    """What this provider needs of a push."""

    @property
    def id(self) -> str:
        """The push's id."""
        ...

    @property
    def registration_id(self) -> str | None:
        """Whose mailbox it goes into."""
        ...

    @property
    def payload(self) -> str:
        """The JSON that the phone gets."""
        ...


class LocalProvider:
    """Puts pushes into mailboxes: each exactly once, in an order that a reader can rely on."""

    def __init__(self, *, store: Store, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._places = asyncio.Semaphore(_AT_A_TIME)

    async def send(self, push: Mail) -> Result:
        """Puts the push into the mailbox of its registration, unless it has been there already."""
        async with self._places:
            await self._store.write(self.put, push)
        return Delivered()

    async def put(self, tx: Tx, push: Mail) -> None:
        """The unit. The push is marked in it, so that a delivery that comes again finds it done."""
        await tx.one(queries.lock_mailbox, push.registration_id)
        current = await tx.one(queries.push_by_id, push.id)
        if current is None or current.status != "QUEUED":
            return
        newest = await tx.one(queries.newest_local_push, push.registration_id)
        local_id = new_id(self._clock, self._randomness)
        if newest is not None and local_id <= newest[0]:
            local_id = _after(newest[0])
        now = self._clock.now_ms()
        await tx.run(queries.insert_local_push, local_id, push.registration_id, push.payload, now)
        await tx.run(queries.end_push, push.id, "DELIVERED", None)
        tx.notify(wake_channel(push.registration_id or ""))


class LocalMailbox:
    """Reads and empties mailboxes."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def after(self, tx: Tx, registration_id: str, last_id: str, limit: int = 100) -> list[LocalPush]:
        """What came in after `last_id`, oldest first; with an empty `last_id` all that is kept."""
        return await tx.all(queries.local_pushes_after, registration_id, last_id, limit)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Forgets up to `limit` pushes older than a day; returns how many."""
        before = self._clock.now_ms() - KEPT_MS
        return len(await tx.all(queries.purge_local_pushes, first_id_at(before), before, limit))


def _after(local_id: str) -> str:
    """The next id, for two pushes of one millisecond or a clock that was set back. It never runs over."""
    return str(UUID(int=UUID(local_id).int + 1))
