"""Queueing pushes, and how they end."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ringback.clock import Clock, Randomness, first_id_at, new_id
from ringback.outbox import NewDelivery, Outbox
from ringback.push import queries
from ringback.push.content import encode_content
from ringback.push.credentials import destination_of
from ringback.push.model import LIVE_ACTIVITY, NewPush, Push
from ringback.push.payloads import local_payload
from ringback.store import Tx

CHANNEL = "push"
CAMPAIGN_CHANNEL = "campaign"
"""A lane of its own, so that a campaign to a million users delays nobody's operation."""
CHANNELS = (CHANNEL, CAMPAIGN_CHANNEL)
CALL_CHANNEL = "call"
"""Call pushes, which the lane of calls sends itself; the outbox only ends what a server that stopped left behind."""
KEPT_MS = 30 * 86_400_000
"""How long one can ask what became of a push; no delivery is tried for so long."""
NOTHING_MORE = b"{}"
"""The payload of a delivery: the push has its id, and is read when it is sent."""


class Pushes:
    """Writes pushes in other rooms' units of work. `kinds`: the kinds of push token that have a provider here."""

    def __init__(self, *, clock: Clock, randomness: Randomness, outbox: Outbox, kinds: Collection[str]) -> None:
        self._clock = clock
        self._randomness = randomness
        self._outbox = outbox
        self._kinds = frozenset(kinds)

    async def queue(self, tx: Tx, new: NewPush) -> str:
        """Adds a push and its delivery; returns the push id. Without a provider the push is FAILED at once."""
        push = self.make(new)
        await tx.run(queries.insert_push, *msgspec.structs.astuple(push))
        if push.status == "QUEUED":
            await self._outbox.enqueue(tx, delivery_of(push, new.deadline_ms))
        return push.id

    async def queue_all(self, tx: Tx, pushes: Sequence[NewPush]) -> list[str]:
        """The same for many, in two statements; returns the push ids in their order."""
        if len(pushes) <= 1:
            return [await self.queue(tx, new) for new in pushes]
        made = [self.make(new) for new in pushes]
        await tx.run_for(queries.insert_pushes, made)
        deliveries = [
            delivery_of(push, new.deadline_ms)
            for push, new in zip(made, pushes, strict=True)
            if push.status == "QUEUED"
        ]
        if deliveries:
            await self._outbox.enqueue_all(tx, deliveries)
        return [push.id for push in made]

    def make(self, new: NewPush) -> Push:
        """The row of a new push, with an id of its own; a content that names a push already goes on to name it."""
        now = self._clock.now_ms()
        push_id = new_id(self._clock, self._randomness)
        content = msgspec.structs.replace(new.content, push_id=new.content.push_id or push_id, created_at=now)
        possible = new.kind in self._kinds
        return Push(
            id=push_id,
            notice_id=new.notice_id,
            campaign_id=new.campaign_id,
            app_id=new.app_id,
            user_id=new.user_id,
            registration_id=new.registration_id,
            push_token_id=new.push_token_id,
            kind=new.kind,
            payload=local_payload(content).decode() if new.kind == "local" else encode_content(content),
            operation_id=new.operation_id,
            created_at=now,
            status="QUEUED" if possible else "FAILED",
            reason=None if possible else f"no provider for {new.kind}",
        )

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` pushes older than 30 days; returns how many."""
        before = self._clock.now_ms() - KEPT_MS
        return len(await tx.all(queries.purge_pushes, first_id_at(before), before, limit))


def delivery_of(push: Push, deadline_ms: int | None) -> NewDelivery:
    """The delivery of a push: under the same id, to the credential that providers are reached with."""
    channel = CHANNEL if push.campaign_id is None else CAMPAIGN_CHANNEL
    return NewDelivery(channel, destination_of_push(push.kind, push.app_id), NOTHING_MORE, deadline_ms, push.id)


def destination_of_push(kind: str, app_id: str) -> str:
    """The outbox's destination: what may be dead as a whole. All that goes to APNs shares a credential."""
    return destination_of("apns", app_id) if kind in {"apns-voip", LIVE_ACTIVITY} else f"{kind}:{app_id}"
