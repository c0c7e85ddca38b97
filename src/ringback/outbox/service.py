"""What the outbox does inside units of work, and the door class that the rooms are given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ringback.clock import Clock, Randomness, first_id_at, new_id
from ringback.outbox import queries
from ringback.outbox.backoff import pause_ms
from ringback.outbox.claiming import Claim, claim
from ringback.outbox.lane import Lane
from ringback.outbox.model import (
    BulkChannel,
    Channel,
    Circuit,
    Delivered,
    Delivery,
    DeliveryRow,
    Ending,
    GiveUp,
    NewDelivery,
    OutboxLimits,
    Outcome,
    RetryLater,
    Settled,
    State,
    next_state,
)
from ringback.outbox.plug import OneByOne, Plug
from ringback.store import SqliteStore, Store, Tx

logger = logging.getLogger(__name__)

WAKE_CHANNEL = "outbox:{}"
HURRY_CHANNEL = "outbox_hurry:{}"
_TEXT_LIMIT = 1000
_OUTCOMES = {Delivered: "DELIVERED", GiveUp: "REFUSED", RetryLater: "FAILED"}


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
        in_flight: int | None = None,
        on_end: Ending | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Plugs a channel in; before `run`. At most `per_destination` attempts at a time go to one destination."""
        self.register_bulk_channel(
            name,
            OneByOne(channel, on_end),
            per_destination=per_destination,
            in_flight=in_flight,
            circuit=circuit,
        )

    def register_bulk_channel(
        self,
        name: str,
        channel: BulkChannel[Any],
        *,
        per_destination: int = 8,
        in_flight: int | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """The same for a channel that reads and writes for many deliveries at once."""
        self._plugs[name] = Plug(name, channel, per_destination, in_flight or self._limits.in_flight, circuit)

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop`; then ends what is under way, gives back the rest, and returns."""
        if self._sole_process:
            await self._store.write(self.release_all)
        lanes = [Lane(self._store, self, self._limits, plug, self._clock) for plug in self._plugs.values()]
        ends = [
            subscribe
            for lane in lanes
            for subscribe in (
                self._store.subscribe(WAKE_CHANNEL.format(lane.name), lane.wake),
                self._store.subscribe(HURRY_CHANNEL.format(lane.name), lane.hurry),
            )
        ]
        try:
            async with asyncio.TaskGroup() as running:
                for lane in lanes:
                    running.create_task(lane.run(stop), name=f"outbox {lane.name}")
        finally:
            for end in ends:
                end()

    # units ------------------------------------------------------------------------------------------------------------

    async def enqueue(self, tx: Tx, delivery: NewDelivery) -> str:
        """Adds a delivery to the caller's unit; returns its id."""
        now = self._clock.now_ms()
        delivery_id = delivery.id or new_id(self._clock, self._randomness)
        await tx.run(
            queries.insert_delivery,
            delivery_id,
            delivery.channel,
            delivery.destination,
            delivery.payload.decode(),
            now,
            self._deadline(delivery, now),
        )
        tx.notify(WAKE_CHANNEL.format(delivery.channel))
        return delivery_id

    async def enqueue_all(self, tx: Tx, deliveries: Sequence[NewDelivery]) -> list[str]:
        """Adds many deliveries in one statement; returns their ids in the same order."""
        made = [self._new(delivery) for delivery in deliveries]
        await self._insert(tx, made, state="READY", lease_until=None)
        _wake(tx, made)
        return [one.id for one in made]

    async def enqueue_held(self, tx: Tx, deliveries: Sequence[NewDelivery], lease_until: int) -> list[Delivery]:
        """Adds deliveries whose first attempt the caller makes itself, and ends with `settle` before `lease_until`.

        When the caller dies, they go the way of all others once the lease has run out.
        """
        made = [self._new(delivery, attempts=1) for delivery in deliveries]
        await self._insert(tx, made, state="LEASED", lease_until=lease_until)
        return made

    async def _insert(self, tx: Tx, made: Sequence[Delivery], state: State, lease_until: int | None) -> None:
        rows = [
            DeliveryRow(
                id=one.id,
                channel=one.channel,
                destination=one.destination,
                state=state,
                payload=one.payload,
                attempts=one.attempts,
                next_attempt_at=lease_until or one.created_at,
                lease_until=lease_until,
                deadline_at=one.deadline_at,
                created_at=one.created_at,
            )
            for one in made
        ]
        await tx.run_for(queries.insert_deliveries, rows)

    def _new(self, delivery: NewDelivery, attempts: int = 0) -> Delivery:
        now = self._clock.now_ms()
        return Delivery(
            id=delivery.id or new_id(self._clock, self._randomness),
            channel=delivery.channel,
            destination=delivery.destination,
            payload=delivery.payload.decode(),
            attempts=attempts,
            deadline_at=self._deadline(delivery, now),
            created_at=now,
        )

    def _deadline(self, delivery: NewDelivery, now: int) -> int:
        if delivery.deadline_ms is not None:
            return delivery.deadline_ms
        return now + round(self._limits.deadline_seconds * 1000)

    async def hurry(self, tx: Tx, channel: str, destination: str) -> None:
        """What waits for a destination is due now: whatever it failed for has been put right."""
        await tx.run(queries.hurry_deliveries, channel, destination, self._clock.now_ms())
        tx.notify(HURRY_CHANNEL.format(channel))

    async def claim(
        self, tx: Tx, channel: str, count: int, places_left: Mapping[str, int], places: int, start: str = ""
    ) -> Claim:
        """Leases up to `count` due deliveries of a channel, beginning with the destination `start`.

        `places_left`: how many more each busy destination takes; every other one takes `places`.
        """
        now = self._clock.now_ms()
        return await claim(
            tx,
            channel,
            now=now,
            lease_until=now + round(self._limits.lease_seconds * 1000),
            count=count,
            places_left=places_left,
            places=places,
            start=start,
        )

    def is_late(self, delivery: Delivery) -> bool:
        """Whether the deadline has passed."""
        return delivery.deadline_at is not None and self._clock.now_ms() >= delivery.deadline_at

    async def settle(self, tx: Tx, outcomes: Sequence[Outcome]) -> list[Settled]:
        """Records attempts and moves their deliveries on.

        Whose lease ran out and was taken by somebody else is left out: its result no longer counts.
        """
        settled = [self._decide(outcome) for outcome in outcomes]
        rows = [_row(outcome, one) for outcome, one in zip(outcomes, settled, strict=True)]
        held = {delivery_id for (delivery_id,) in await tx.all_for(queries.settle_deliveries, rows)}
        if len(held) < len(rows):
            logger.info("%d deliveries took longer than their lease; somebody else has them", len(rows) - len(held))
            settled = [one for one in settled if one.delivery.id in held]
            rows = [row for row in rows if row.id in held]
        if rows:
            earlier = [
                row for outcome in outcomes if outcome.earlier and outcome.delivery.id in held
                for row in _earlier_rows(outcome)
            ]  # fmt: skip
            await tx.run_for(queries.insert_attempts, earlier + rows)
        return settled

    def _decide(self, outcome: Outcome) -> Settled:
        """What the result of an attempt means for its delivery."""
        delivery, result = outcome.delivery, outcome.result
        if isinstance(result, Delivered):
            return Settled(delivery, result, next_state("LEASED", "DELIVERED"), None)
        if isinstance(result, GiveUp):
            return Settled(delivery, result, next_state("LEASED", "GIVE_UP"), _short(result.reason))
        retry_at = self._clock.now_ms() + self._pause_ms(delivery, result)
        why_over = self._why_over(delivery, result, retry_at)
        if why_over is not None:
            return Settled(delivery, result, next_state("LEASED", "GIVE_UP"), _short(f"{why_over}: {result.reason}"))
        return Settled(delivery, result, next_state("LEASED", "RETRY"), _short(result.reason), retry_at)

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
        _wake(tx, deliveries)

    async def release_all(self, tx: Tx) -> None:
        """Gives back every lease that there is: for the only process, when it starts."""
        await tx.run(queries.release_all, self._clock.now_ms())

    async def purge(self, tx: Tx, limit: int) -> int:
        """Forgets up to `limit` deliveries that were finished long ago; returns how many."""
        before = self._clock.now_ms() - round(self._limits.kept_seconds * 1000)
        finished = await tx.all(queries.finished_before, first_id_at(before), before, limit)
        for (delivery_id,) in finished:
            await tx.run(queries.delete_attempts, delivery_id)
        for (delivery_id,) in finished:
            await tx.run(queries.delete_delivery, delivery_id)
        return len(finished)


def _wake(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    for channel in {one.channel for one in deliveries}:
        tx.notify(WAKE_CHANNEL.format(channel))


class _Row(msgspec.Struct, gc=False):
    """What both statements of `settle` need of one attempt; the second one alone of an earlier one."""

    id: str
    attempt: int
    at: int
    outcome: str
    detail: str | None
    duration_ms: int
    fence: int = 0
    state: str = ""
    retry_at: int = 0
    finished_at: int | None = None
    reason: str | None = None


def _row(outcome: Outcome, settled: Settled) -> _Row:
    delivery, result = outcome.delivery, outcome.result
    return _Row(
        id=delivery.id,
        attempt=delivery.attempts + len(outcome.earlier),
        at=outcome.at,
        outcome=_OUTCOMES[type(result)],
        detail=_short(result.detail if isinstance(result, Delivered) else result.reason),
        duration_ms=outcome.duration_ms,
        fence=delivery.attempts,
        state=settled.state,
        retry_at=settled.retry_at or outcome.at,
        finished_at=None if settled.state == "READY" else outcome.at,
        reason=settled.reason,
    )


def _earlier_rows(outcome: Outcome) -> list[_Row]:
    return [
        _Row(
            id=outcome.delivery.id,
            attempt=outcome.delivery.attempts + number,
            at=one.at,
            outcome="FAILED",
            detail=_short(one.reason),
            duration_ms=one.duration_ms,
        )
        for number, one in enumerate(outcome.earlier)
    ]


def _short(text: str | None) -> str | None:
    # A stranger's words end up here: neither long nor with what PostgreSQL cannot store.
    return None if text is None else text.replace("\0", "")[:_TEXT_LIMIT]
