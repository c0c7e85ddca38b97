"""Queueing pushes, and how they end."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.outbox import Delivery, NewDelivery, Outbox, State
from ringback.push import queries
from ringback.push.model import TRANSITIONS, NewPush
from ringback.store import Tx

CHANNEL = "push"
KEPT_MS = 30 * 86_400_000
"""How long one can ask what became of a push; no delivery is tried for so long."""
_encode = msgspec.json.Encoder().encode


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """The outbox's payload: which push, of which kind."""

    push_id: str
    kind: str


class Pushes:
    """Writes pushes in other rooms' units of work. `kinds`: the kinds of push token that have a provider here."""

    def __init__(self, *, clock: Clock, randomness: Randomness, outbox: Outbox, kinds: Collection[str]) -> None:
        self._clock = clock
        self._randomness = randomness
        self._outbox = outbox
        self._kinds = frozenset(kinds)

    async def queue(self, tx: Tx, new: NewPush) -> str:
        """Adds a push and its delivery; returns the push id. Without a provider the push is FAILED at once."""
        now = self._clock.now_ms()
        push_id = new_id(self._clock, self._randomness)
        payload = _encode({"pushId": push_id, **new.content, "timestampCreated": now}).decode()
        possible = new.kind in self._kinds
        await tx.run(
            queries.insert_push,
            push_id,
            new.app_id,
            new.user_id,
            new.registration_id,
            new.kind,
            payload,
            new.operation_id,
            now,
            "QUEUED" if possible else "FAILED",
            None if possible else f"no provider for {new.kind}",
        )
        if possible:
            # Providers are reached with an app's credentials, so that is what may be dead as a whole.
            destination = f"{new.kind}:{new.app_id}"
            ticket = _encode(Ticket(push_id, new.kind))
            await self._outbox.enqueue(tx, NewDelivery(CHANNEL, destination, ticket, new.deadline_ms))
        return push_id

    async def ended(self, tx: Tx, delivery: Delivery, state: State, reason: str | None) -> None:
        """The outbox's word on a delivery, in the unit that settles it."""
        ticket = msgspec.json.decode(delivery.payload, type=Ticket)
        status = TRANSITIONS["QUEUED", "DELIVERED" if state == "DONE" else "GIVE_UP"]
        await tx.run(queries.end_push, ticket.push_id, status, reason)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` pushes older than 30 days; returns how many."""
        before = self._clock.now_ms() - KEPT_MS
        digits = f"{before:012x}"
        return len(await tx.all(queries.purge_pushes, f"{digits[:8]}-{digits[8:]}", before, limit))
