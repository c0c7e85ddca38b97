"""What a look at the queue takes, from whom, and how much work that is, however much waits behind closed doors."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.clock import ManualClock
from ringback.outbox import Delivered, Delivery, NewDelivery, Outbox, OutboxLimits, Result, queries
from ringback.outbox.claiming import MOST_DESTINATIONS, Claim
from ringback.store import Command, Store
from tests.outbox.outboxes import Recording, make_outbox, running, states, until
from tests.plans import Plans

CLOSED = 50_000
_FILL = """INSERT INTO deliveries(id, channel, destination, state, payload, attempts, next_attempt_at, created_at,
    finished_at) SELECT {number}, 'test', {destination}, '{state}', '{{}}', 1, {at}, 0, {finished}"""
_SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) {fill} FROM n",
    "postgres": "{fill} FROM generate_series(1, {count}) AS n(i)",
}


async def fill(
    plans: Plans, count: int, destination: str, *, state: str = "READY", at: str = "i", finished: str = "NULL"
) -> None:
    """Rows by the database itself; `destination`, `at` and `finished` are SQL with the row's number `i`."""
    number = {"sqlite": f"printf('%08d', i) || {destination}", "postgres": f"lpad(i::text, 8, '0') || {destination}"}
    await plans.load(
        **{
            kind: series.format(
                count=count,
                fill=_FILL.format(number=number[kind], destination=destination, state=state, at=at, finished=finished),
            )
            for kind, series in _SERIES.items()
        }
    )


@pytest.fixture
def plans(store: Store, database_url: str, tmp_path: Path) -> Plans:
    return Plans(store, database_url, tmp_path / "ringback.db")


async def look(store: Store, outbox: Outbox, count: int, places_left: dict[str, int], places: int = 8) -> Claim:
    return await store.write(outbox.claim, "test", count, places_left, places)


async def enqueue_each(store: Store, outbox: Outbox, *destinations: str) -> list[str]:
    return await store.write(outbox.enqueue_all, [NewDelivery("test", one, b"{}") for one in destinations])


# work -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["READY", "LEASED"])
async def test_what_waits_behind_a_closed_door_costs_a_claim_nothing(
    store: Store, clock: ManualClock, plans: Plans, state: str
) -> None:
    """Longest due is what stands there: parked, or leased by somebody who died."""
    await fill(plans, 10, "'open'", at="1000000 + i")
    now = clock.now_ms()
    looked = ("test", "", MOST_DESTINATIONS + 1)
    alone = await plans.run(queries.waiting_destinations, *looked)
    await fill(plans, CLOSED, "'closed'", state=state)
    behind = await plans.run(queries.waiting_destinations, *looked)
    taking = await plans.run(queries.claim_deliveries, "test", now, now, '{"open":8}', 128)
    assert not behind.scans + taking.scans + behind.sorts
    assert behind.amount <= alone.amount + 50
    assert taking.amount < 2_000
    claim = await look(store, make_outbox(store, clock), 128, {"closed": 0})
    assert [one.destination for one in claim.deliveries] == ["open"] * 8


async def test_one_that_has_nearly_no_place_left_costs_no_more_than_it_gets(clock: ManualClock, plans: Plans) -> None:
    await fill(plans, CLOSED, "'busy'")
    now = clock.now_ms()
    taking = await plans.run(queries.claim_deliveries, "test", now, now, '{"busy":1}', 10)
    assert not taking.scans
    assert taking.amount < 2_000


async def test_a_look_goes_past_a_bounded_number_of_destinations(plans: Plans) -> None:
    await fill(plans, CLOSED, "('d' || (i % 20000))")
    work = await plans.run(queries.waiting_destinations, "test", "", MOST_DESTINATIONS + 1)
    assert not work.scans + work.sorts
    assert work.amount < 40 * MOST_DESTINATIONS


async def test_what_is_finished_is_in_nobodys_way(plans: Plans, database_url: str, tmp_path: Path) -> None:
    await fill(plans, CLOSED, "'a'", state="DONE", finished="1")
    await fill(plans, 100, "'b'")
    for command, args in (
        (queries.release_all, (1,)),
        (queries.hurry_deliveries, ("test", "b", 1)),
        (queries.finished_before, ("00000100", 2, 100)),
    ):
        plan = await _plan(command, args, database_url, tmp_path / "ringback.db")
        assert "ix_deliveries_unfinished" in plan or "pk_deliveries" in plan or "autoindex_deliveries" in plan, plan
        assert "Seq Scan" not in plan, plan


async def _plan(command: Any, args: tuple[Any, ...], url: str, path: Path) -> str:
    if not url:
        file = apsw.Connection(str(path))
        steps = file.execute(f"EXPLAIN QUERY PLAN {command.sqlite}", args).fetchall()
        file.close()
        return "\n".join(str(step[3]) for step in steps)
    connection = await asyncpg.connect(url)
    lines = await connection.fetch(f"EXPLAIN {command.postgres}", *args)
    await connection.close()
    return "\n".join(line[0] for line in lines)


# shares ---------------------------------------------------------------------------------------------------------------


async def test_every_destination_gets_the_same_share_and_its_oldest_first(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    first = await enqueue_each(store, outbox, *["early"] * 50)
    clock.advance(1)
    await enqueue_each(store, outbox, *["early"] * 50)
    late = await enqueue_each(store, outbox, *["late"] * 4, *["one"])
    claim = await look(store, outbox, 30, {}, 64)
    taken = Counter(one.destination for one in claim.deliveries)
    assert taken == {"early": 10, "late": 4, "one": 1}
    assert {one.id for one in claim.deliveries} < {*first, *late}
    # Only who took its whole share may have more.
    assert claim.filled == ("early",)
    assert claim.go_on_at == ""


async def test_where_more_are_due_than_a_look_serves_they_take_turns(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    await enqueue_each(store, outbox, *[f"d{number}" for number in range(10)] * 3)
    start, served = "", []
    while True:
        claim = await store.write(outbox.claim, "test", 4, {"d3": 0, "d7": 1}, 8, start)
        assert len(claim.deliveries) <= 4
        served += [one.destination for one in claim.deliveries]
        start = claim.go_on_at
        if not start:
            break
    assert set(served) == {f"d{number}" for number in range(10)} - {"d3"}
    assert Counter(served)["d7"] == 1


async def test_a_round_comes_to_every_destination(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    names = [f"d{number}" for number in range(MOST_DESTINATIONS + 100)]
    await enqueue_each(store, outbox, *names)
    closed = dict.fromkeys(names[1:], 0)
    looks, start, served = 0, "", []
    while not looks or start:
        claim = await store.write(outbox.claim, "test", 128, closed, 8, start)
        served += [one.destination for one in claim.deliveries]
        start = claim.go_on_at
        looks += 1
    assert (served, looks) == (["d0"], 2)


async def test_every_delivery_is_begun_without_waiting_for_a_poll(store: Store, clock: ManualClock) -> None:
    """More destinations than a look goes past, fewer places than it could claim, news in the middle of rounds."""

    async def answer(delivery: Delivery) -> Result:
        await asyncio.sleep(0.001 * (int(delivery.destination[1:]) % 3))
        return Delivered()

    outbox = make_outbox(store, clock, OutboxLimits(poll_seconds=600, batch=16))
    outbox.register_channel("test", Recording(answer), per_destination=2, in_flight=40)
    names = [f"d{number}" for number in range(MOST_DESTINATIONS + 200)]
    chosen = random.Random(7)
    count = len(names)
    await enqueue_each(store, outbox, *names)
    async with running(outbox):
        for _ in range(40):
            news = chosen.choices(names, k=10) + [names[0]] * 3
            await enqueue_each(store, outbox, *news)
            count += len(news)
            await asyncio.sleep(0.005)

        async def all_done() -> bool:
            return (await states(store)).count("DONE") == count

        await until(all_done)


async def test_news_that_a_round_has_passed_already_is_not_missed(store: Store, clock: ManualClock) -> None:
    """The round stops for want of places; then somebody whom it has passed gets another delivery."""
    go_on = asyncio.Event()

    async def answer(_: Delivery) -> Result:
        await go_on.wait()
        return Delivered()

    outbox, channel = make_outbox(store, clock, OutboxLimits(poll_seconds=600)), Recording(answer)
    outbox.register_channel("test", channel, per_destination=2, in_flight=8)
    await enqueue_each(store, outbox, *[f"d{number:02}" for number in range(12)])
    async with running(outbox):

        async def all_begun() -> bool:
            return len(channel.got) == 8

        await until(all_begun)
        await enqueue_each(store, outbox, "d00")
        await asyncio.sleep(0.05)
        go_on.set()

        async def all_done() -> bool:
            return (await states(store)).count("DONE") == 13

        await until(all_done)


async def test_who_delivers_something_else_is_not_woken(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    woken: list[str] = []
    for name in ("test", "other"):
        store.subscribe(f"outbox:{name}", lambda name=name: woken.append(name))
    await enqueue_each(store, outbox, "a", "b")
    (held, *_) = (await look(store, outbox, 1, {})).deliveries
    await store.write(outbox.release, [held])
    assert woken == ["test", "test"]


# two processes --------------------------------------------------------------------------------------------------------

begin_to_claim = queries.claim_deliveries.postgres
older = Command("test_older", "So that the order is known.", "UPDATE deliveries SET next_attempt_at = $2 WHERE id = $1")


async def test_what_another_process_is_claiming_is_passed_by(
    store: Store, clock: ManualClock, database_url: str
) -> None:
    if not database_url:
        return  # SQLite has one process
    outbox = make_outbox(store, clock)
    ids = await enqueue_each(store, outbox, *["a"] * 20)
    other = await asyncpg.connect(database_url)
    began = other.transaction()
    await began.start()
    now = clock.now_ms()
    taken = await other.fetch(begin_to_claim, "test", now + 30_000, now, '{"a":5}', 10)
    claim = await look(store, outbox, 20, {}, 64)
    await began.commit()
    await other.close()
    assert {row["id"] for row in taken} | {one.id for one in claim.deliveries} == set(ids)
    # It had locked no more than it took.
    assert (len(taken), len(claim.deliveries)) == (5, 15)
