"""What the tests of the outbox share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from ringback.clock import ManualClock, SystemRandomness
from ringback.outbox import Delivered, Delivery, NewDelivery, Outbox, OutboxLimits, Result
from ringback.store import Query, Store, Tx

QUICK = OutboxLimits(poll_seconds=0.02, attempt_seconds=60, drain_seconds=30)

all_rows = Query(
    "test_all_deliveries",
    "Every delivery.",
    "SELECT id, state, attempts, next_attempt_at, lease_until, last_error FROM deliveries ORDER BY id",
)
all_attempts = Query(
    "test_all_attempts",
    "Every attempt.",
    "SELECT delivery_id, attempt, outcome, detail FROM delivery_attempts ORDER BY delivery_id, attempt",
)


class Recording:
    """A channel that answers as told and remembers what it got."""

    def __init__(self, answer: Callable[[Delivery], Awaitable[Result]] | None = None) -> None:
        self.got: list[Delivery] = []
        self._answer = answer

    async def deliver(self, delivery: Delivery) -> Result:
        self.got.append(delivery)
        return Delivered() if self._answer is None else await self._answer(delivery)


def make_outbox(store: Store, clock: ManualClock, limits: OutboxLimits = QUICK) -> Outbox:
    return Outbox(store=store, clock=clock, randomness=SystemRandomness(), limits=limits)


async def enqueue(store: Store, outbox: Outbox, destination: str = "a", deadline_ms: int | None = None) -> str:
    return await store.write(outbox.enqueue, NewDelivery("test", destination, b'{"n":1}', deadline_ms))


async def rows(store: Store) -> list[tuple[object, ...]]:
    async def read(tx: Tx) -> list[tuple[object, ...]]:
        return await tx.all(all_rows)

    return await store.read(read)


async def attempts(store: Store) -> list[tuple[object, ...]]:
    async def read(tx: Tx) -> list[tuple[object, ...]]:
        return await tx.all(all_attempts)

    return await store.read(read)


@contextlib.asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(outbox.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what it waits for is in the database
            await asyncio.sleep(0.01)


async def states(store: Store) -> list[object]:
    return [row[1] for row in await rows(store)]
