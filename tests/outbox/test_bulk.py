"""Many deliveries in one unit of work: what that must not change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import asyncpg  # type: ignore[import-untyped]
import msgspec
import pytest

from ringback.clock import ManualClock, SystemRandomness, new_id
from ringback.errors import StoreUnavailable
from ringback.outbox import (
    Delivered,
    Delivery,
    Earlier,
    GiveUp,
    NewDelivery,
    OutboxLimits,
    Outcome,
    Result,
    RetryLater,
    Settled,
    queries,
)
from ringback.store import Store, Tx
from tests.outbox.outboxes import QUICK, Recording, attempts, enqueue, make_outbox, rows, running, states, until

COUNT = 1_000


class Attempted(msgspec.Struct):
    """A row of attempts."""

    id: str
    attempt: int
    at: int
    outcome: str
    detail: str | None
    duration_ms: int


class Bulk:
    """A bulk channel that remembers how much it was given at once."""

    def __init__(self, answer: Callable[[Delivery], Awaitable[Result]] | None = None) -> None:
        self.loads: list[int] = []
        self.settlings: list[list[Settled]] = []
        self.got: list[str] = []
        self.poison: str | None = None
        self._answer = answer

    async def load(self, tx: Tx, deliveries: Sequence[Delivery]) -> Sequence[str]:  # noqa: ARG002
        self.loads.append(len(deliveries))
        return [one.id for one in deliveries]

    async def attempt(self, delivery: Delivery, work: str) -> Result:
        assert work == delivery.id
        self.got.append(work)
        return Delivered(note=work) if self._answer is None else await self._answer(delivery)

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:  # noqa: ARG002
        if any(one.delivery.id == self.poison for one in settled):
            raise ZeroDivisionError
        self.settlings.append(list(settled))


def many(count: int = COUNT, destination: str = "a") -> list[NewDelivery]:
    return [NewDelivery("test", destination, b"{}") for _ in range(count)]


async def test_many_are_claimed_and_settled_together(store: Store, clock: ManualClock) -> None:
    outbox, channel = make_outbox(store, clock), Bulk()
    outbox.register_bulk_channel("test", channel, per_destination=COUNT, in_flight=COUNT)
    ids = await store.write(outbox.enqueue_all, many())
    async with running(outbox):
        await until(lambda: _count(store, "DONE", COUNT))
    assert sorted(channel.got) == sorted(ids)
    assert max(channel.loads) == QUICK.batch
    settled = [one for batch in channel.settlings for one in batch]
    assert {one.result.note for one in settled} == set(ids)
    assert {(one.state, one.reason, one.retry_at) for one in settled} == {("DONE", None, None)}
    assert len(channel.settlings) < COUNT / 10
    assert len(await attempts(store)) == COUNT


async def test_an_id_may_be_given(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    mine = new_id(clock, SystemRandomness())
    assert await store.write(outbox.enqueue, NewDelivery("test", "a", b"{}", id=mine)) == mine
    other = new_id(clock, SystemRandomness())
    ids = await store.write(outbox.enqueue_all, [NewDelivery("test", "a", b"{}", id=other), *many(1)])
    assert ids[0] == other
    assert sorted(str(row[0]) for row in await rows(store)) == sorted([mine, *ids])


async def test_a_lost_lease_settles_nothing_and_does_not_fail_the_others(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    await store.write(outbox.enqueue_all, many(3))
    held = (await store.write(outbox.claim, "test", 3, {}, 8)).deliveries
    clock.advance(30)
    (taken,) = (await store.write(outbox.claim, "test", 1, {}, 8)).deliveries
    outcomes = [Outcome(one, Delivered(), clock.now_ms(), 1) for one in held]
    settled = await store.write(outbox.settle, outcomes)
    assert {one.delivery.id for one in settled} == {one.id for one in held} - {taken.id}
    assert sorted(await states(store)) == ["DONE", "DONE", "LEASED"]  # type: ignore[type-var]
    assert len(await attempts(store)) == 2


async def test_one_that_breaks_the_unit_does_not_keep_the_others_from_being_settled(
    store: Store, clock: ManualClock
) -> None:
    outbox, channel = make_outbox(store, clock), Bulk()
    outbox.register_bulk_channel("test", channel, per_destination=64)
    ids = await store.write(outbox.enqueue_all, many(40))
    channel.poison = ids[7]
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 39))
    # Its lease runs out.
    assert [row[0] for row in await rows(store) if row[1] == "LEASED"] == [ids[7]]


async def test_an_attempt_that_is_on_record_already_does_not_keep_the_others_waiting(
    store: Store, clock: ManualClock
) -> None:
    outbox, channel = make_outbox(store, clock), Bulk()
    outbox.register_bulk_channel("test", channel, per_destination=64)
    ids = await store.write(outbox.enqueue_all, many(40))
    row = Attempted(ids[7], 1, 0, "FAILED", None, 0)

    async def record(tx: Tx) -> None:
        await tx.run_for(queries.insert_attempts, [row])

    await store.write(record)
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 39))


async def test_what_is_held_at_once_is_ended_by_its_holder_with_all_its_attempts(
    store: Store, clock: ManualClock
) -> None:
    outbox, channel = make_outbox(store, clock), Recording()
    outbox.register_channel("test", channel)
    (held,) = await store.write(outbox.enqueue_held, many(1), clock.now_ms() + 30_000)
    earlier = (Earlier(1, "busy", 5), Earlier(2, "busy still", 6))
    await store.write(outbox.settle, [Outcome(held, GiveUp("no"), clock.now_ms(), 7, earlier)])
    assert [row[1:3] for row in await rows(store)] == [("DEAD", 3)]
    assert await attempts(store) == [
        (held.id, 1, "FAILED", "busy"),
        (held.id, 2, "FAILED", "busy still"),
        (held.id, 3, "REFUSED", "no"),
    ]


async def test_what_is_held_by_somebody_who_died_goes_the_way_of_the_others(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    (held,) = await store.write(outbox.enqueue_held, many(1), clock.now_ms() + 30_000)
    assert (await store.write(outbox.claim, "test", 1, {}, 8)).deliveries == []
    clock.advance(30)
    (claimed,) = (await store.write(outbox.claim, "test", 1, {}, 8)).deliveries
    assert (claimed.id, claimed.attempts) == (held.id, 2)


async def test_what_waits_for_a_destination_is_hurried(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    is_down = True

    async def answer(_: Delivery) -> Result:
        return RetryLater("parked", pause_seconds=60, leave_alone_seconds=60) if is_down else Delivered()

    channel = Recording(answer)
    outbox.register_channel("test", channel, per_destination=1)
    for destination in ("a", "a", "a", "b"):
        await enqueue(store, outbox, destination)
    async with running(outbox):
        await until(lambda: _attempted(store, 2))
        await asyncio.sleep(0.1)
        assert len(channel.got) == 2
        is_down = False
        await store.write(outbox.hurry, "test", "a")
        await until(lambda: _count(store, "DONE", 3))
        await asyncio.sleep(0.1)
        # The one to b failed as well, and nobody has put that right.
        assert (await states(store)).count("READY") == 1


async def test_an_attempt_under_way_when_its_destination_was_put_right_parks_nobody(
    store: Store, clock: ManualClock
) -> None:
    outbox = make_outbox(store, clock)
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_: Delivery) -> Result:
        if asked.is_set():
            return Delivered()
        asked.set()
        await may_answer.wait()
        return RetryLater("refused", pause_seconds=60, leave_alone_seconds=60)

    outbox.register_channel("test", Recording(answer), per_destination=1)
    await enqueue(store, outbox)
    async with running(outbox):
        await asked.wait()
        await store.write(outbox.hurry, "test", "a")
        may_answer.set()
        await until(lambda: _count(store, "DONE", 1))
    assert [row[2] for row in await attempts(store)] == ["FAILED", "DELIVERED"]


async def test_a_destination_that_is_well_keeps_its_places(store: Store, clock: ManualClock) -> None:
    began: list[str] = []
    go_on = asyncio.Event()

    async def answer(delivery: Delivery) -> Result:
        began.append(delivery.id)
        if len(began) == 1:
            return RetryLater("this phone", destination_is_well=True)
        await go_on.wait()
        return Delivered()

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(answer), per_destination=4)
    await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 1))
        for _ in range(4):
            await enqueue(store, outbox)
        async with asyncio.timeout(60):
            while len(began) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        go_on.set()


async def test_what_was_too_late_says_nothing_of_its_destination(store: Store, clock: ManualClock) -> None:
    async def answer(_: Delivery) -> Result:
        return RetryLater("parked", pause_seconds=60, leave_alone_seconds=60)

    outbox, channel = make_outbox(store, clock), Recording(answer)
    outbox.register_channel("test", channel)
    await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 1))
        for _ in range(20):
            await enqueue(store, outbox, deadline_ms=clock.now_ms() + 1)
        for _ in range(5):
            await enqueue(store, outbox)
        clock.advance(61)
        # Those that are too late go without being tried, and only one of the others is.
        await until(lambda: _count(store, "DEAD", 20))
        await until(lambda: _attempted(store, 22))
        await asyncio.sleep(0.1)
    assert len(channel.got) == 2


async def test_channels_do_not_wait_for_each_other(store: Store, clock: ManualClock) -> None:
    go_on = asyncio.Event()

    async def wait(_: Delivery) -> Result:
        await go_on.wait()
        return Delivered()

    outbox = make_outbox(store, clock, OutboxLimits(poll_seconds=0.02, in_flight=8, batch=8))
    outbox.register_channel("slow", Recording(wait), per_destination=8)
    outbox.register_channel("test", Recording(), in_flight=2)
    await store.write(outbox.enqueue_all, [NewDelivery("slow", f"d{number}", b"{}") for number in range(40)])
    await store.write(outbox.enqueue_all, many(20))
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 20))
        go_on.set()
        await until(lambda: _count(store, "DONE", 60))


@pytest.mark.parametrize("per_destination", [1, 3, 8, 64])
async def test_never_more_at_a_time_than_there_are_places(
    store: Store, clock: ManualClock, per_destination: int
) -> None:
    now, most, total, most_total = {"a": 0, "b": 0}, 0, 0, 0

    async def count(delivery: Delivery) -> Result:
        nonlocal most, total, most_total
        now[delivery.destination] += 1
        total += 1
        most, most_total = max(most, *now.values()), max(most_total, total)
        await asyncio.sleep(0.001)
        now[delivery.destination] -= 1
        total -= 1
        return Delivered()

    outbox, channel = make_outbox(store, clock), Bulk(count)
    outbox.register_bulk_channel("test", channel, per_destination=per_destination, in_flight=70)
    new = [*many(150, "a"), *many(150, "b")]
    await store.write(outbox.enqueue_all, new)
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 300))
    assert most <= per_destination
    assert most_total <= 70
    assert len(channel.got) == 300


async def test_a_long_queue_is_never_read_as_a_whole(
    store: Store, clock: ManualClock, database_url: str, tmp_path: Path
) -> None:
    outbox = make_outbox(store, clock)
    for _ in range(60):  # of a few thousand rows PostgreSQL reads all, and is right
        await store.write(outbox.enqueue_all, many())
    now = clock.now_ms()
    one = '[{"id":"x","fence":1,"attempt":1,"state":"DONE","retry_at":1}]'
    settled = (one,) if database_url else ("x", 1, 1, "DONE", 1, None, None)
    for statement, arguments in (
        (queries.waiting_destinations, ("test", "", 10)),
        (queries.claim_deliveries, ("test", now + 1, now, '{"a":8}', 100)),
        (queries.settle_deliveries, settled),
        (queries.hurry_deliveries, ("test", "a", now)),
    ):
        if database_url:
            plan = await _on_postgres(database_url, statement.postgres, arguments)
            assert "Seq Scan on deliveries" not in plan, plan
        else:
            plan = _on_sqlite(tmp_path / "ringback.db", statement.sqlite, arguments)
            assert "SCAN deliveries" not in plan, plan


def _on_sqlite(path: Path, statement: str, arguments: tuple[Any, ...]) -> str:
    connection = apsw.Connection(str(path))
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", arguments).fetchall()
    connection.close()
    return "\n".join(str(row[3]) for row in plan)


async def _on_postgres(url: str, statement: str, arguments: tuple[Any, ...]) -> str:
    connection = await asyncpg.connect(url)
    await connection.execute("ANALYZE")
    plan = await connection.fetch(f"EXPLAIN {statement}", *arguments)
    await connection.close()
    return "\n".join(row[0] for row in plan)


async def _count(store: Store, state: str, count: int) -> bool:
    return (await states(store)).count(state) == count


async def _attempted(store: Store, count: int) -> bool:
    return len(await attempts(store)) == count


async def test_a_database_that_is_away_is_told_once(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, channel = make_outbox(store, clock), Bulk()
    outbox.register_bulk_channel("test", channel)
    tries = 0

    async def load(_: Tx, deliveries: Sequence[Delivery]) -> Sequence[str]:
        nonlocal tries
        tries += 1
        if tries < 6:
            raise StoreUnavailable
        return [one.id for one in deliveries]

    channel.load = load  # type: ignore[method-assign]
    await store.write(outbox.enqueue_all, many(3))
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 3))
    begins, ends = (record.getMessage() for record in caplog.records if record.name == "ringback.outbox.lane")
    assert begins.startswith("test: no deliveries can be claimed, until this is over: The database")
    assert ends == "test: deliveries are claimed again"
