"""What the outbox does inside units of work, and the door class that the rooms are given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.outbox import queries
from ringback.outbox.backoff import pause_ms
from ringback.outbox.history import id_made_at
from ringback.outbox.model import (
    Channel,
    Circuit,
    Delivered,
    Delivery,
    Ending,
    Event,
    GiveUp,
    NewDelivery,
    OutboxLimits,
    Result,
    RetryLater,
    State,
    next_state,
)
from ringback.outbox.worker import Plug, Worker
from ringback.store import SqliteStore, Store, Tx

WAKE_CHANNEL = "outbox"
_TEXT_LIMIT = 1000


class Outbox:
    """Takes deliveries in units of work, and delivers them while `run` runs.

    `sole_process`: nobody else delivers from this database, so leases found at the start are left-overs and released
    at once. Unset, it is what the store implies: SQLite has one process.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        limits: OutboxLimits | None = None,
        sole_process: bool | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._limits = limits or OutboxLimits()
        self._sole_process = isinstance(store, SqliteStore) if sole_process is None else sole_process
        self._plugs: dict[str, Plug] = {}

    def register_channel(
        self,
        name: str,
        channel: Channel,
        *,
        per_destination: int = 8,
        on_end: Ending | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Plugs a channel in; before `run`. At most `per_destination` attempts at a time go to one destination."""
        self._plugs[name] = Plug(name, channel, per_destination, on_end, circuit)

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop`; then ends what is under way, gives back the rest, and returns."""
        if self._sole_process:
            await self._store.write(self.release_all)
        worker = Worker(self._store, self, self._limits, self._plugs, self._clock)
        unsubscribe = self._store.subscribe(WAKE_CHANNEL, worker.wake)
        try:
            await worker.run(stop)
        finally:
            unsubscribe()

    # units ------------------------------------------------------------------------------------------------------------

    async def enqueue(self, tx: Tx, delivery: NewDelivery) -> str:
        """Adds a delivery to the caller's unit; returns its id."""
        now = self._clock.now_ms()
        delivery_id = new_id(self._clock, self._randomness)
        deadline = delivery.deadline_ms
        if deadline is None:
            deadline = now + round(self._limits.deadline_seconds * 1000)
        await tx.run(
            queries.insert_delivery,
            delivery_id,
            delivery.channel,
            delivery.destination,
            delivery.payload.decode(),
            now,
            deadline,
        )
        tx.notify(WAKE_CHANNEL)
        return delivery_id

    async def claim(
        self, tx: Tx, channel: str, count: int, places_left: Mapping[str, int], places: int
    ) -> list[Delivery]:
        """Leases up to `count` due deliveries of a channel.

        `places_left`: how many more each busy destination takes; every other one takes `places`.
        """
        now = self._clock.now_ms()
        return await tx.all(
            queries.claim_deliveries,
            channel,
            now + round(self._limits.lease_seconds * 1000),
            now,
            count,
            msgspec.json.encode(dict(places_left)).decode(),
            places,
        )

    def is_late(self, delivery: Delivery) -> bool:
        """Whether the deadline has passed."""
        return delivery.deadline_at is not None and self._clock.now_ms() >= delivery.deadline_at

    async def settle(
        self, tx: Tx, delivery: Delivery, result: Result, duration_ms: int, on_end: Ending | None
    ) -> State:
        """Records an attempt and moves the delivery on; raises LeaseLost when somebody else has claimed it since."""
        now = self._clock.now_ms()
        event: Event
        retry_at = now
        reason: str | None = None
        if isinstance(result, Delivered):
            event, outcome, detail = "DELIVERED", "DELIVERED", result.detail
        elif isinstance(result, GiveUp):
            event, outcome, detail = "GIVE_UP", "REFUSED", result.reason
            reason = detail
        else:
            retry_at = now + self._pause_ms(delivery, result)
            outcome, detail = "FAILED", result.reason
            why_over = self._why_over(delivery, result, retry_at)
            event = "RETRY" if why_over is None else "GIVE_UP"
            reason = detail if why_over is None else f"{why_over}: {detail}"
        detail, reason = _short(detail), _short(reason)
        state = next_state("LEASED", event)
        finished_at = None if state == "READY" else now
        await tx.run(queries.settle_delivery, delivery.id, delivery.attempts, state, retry_at, finished_at, reason)
        await tx.run(queries.insert_attempt, delivery.id, delivery.attempts, now, outcome, detail, duration_ms)
        if on_end is not None and finished_at is not None:
            await on_end(tx, delivery, state, reason)
        return state

    def _pause_ms(self, delivery: Delivery, result: RetryLater) -> int:
        if result.pause_seconds is None:
            pause = pause_ms(delivery.attempts, self._limits, self._randomness)
        else:
            pause = round(result.pause_seconds * 1000)
        return max(pause, round((result.after_seconds or 0) * 1000))

    @staticmethod
    def _why_over(delivery: Delivery, result: RetryLater, retry_at: int) -> str | None:
        if result.most_attempts is not None and delivery.attempts >= result.most_attempts:
            return "attempts used up"
        return "deadline" if delivery.deadline_at is not None and retry_at >= delivery.deadline_at else None

    async def release(self, tx: Tx, deliveries: list[Delivery]) -> None:
        """Gives leases back without an attempt on record."""
        now = self._clock.now_ms()
        for delivery in deliveries:
            await tx.run(queries.release_delivery, delivery.id, delivery.attempts, now)
        tx.notify(WAKE_CHANNEL)

    async def release_all(self, tx: Tx) -> None:
        """Gives back every lease that there is: for the only process, when it starts."""
        await tx.run(queries.release_all, self._clock.now_ms())

    async def purge(self, tx: Tx, limit: int) -> int:
        """Forgets up to `limit` deliveries that were finished long ago; returns how many."""
        before = self._clock.now_ms() - round(self._limits.kept_seconds * 1000)
        finished = await tx.all(queries.finished_before, id_made_at(before), before, limit)
        for (delivery_id,) in finished:
            await tx.run(queries.delete_attempts, delivery_id)
        for (delivery_id,) in finished:
            await tx.run(queries.delete_delivery, delivery_id)
        return len(finished)


def _short(text: str | None) -> str | None:
    # A stranger's words end up here: neither long nor with what PostgreSQL cannot store.
    return None if text is None else text.replace("\0", "")[:_TEXT_LIMIT]
