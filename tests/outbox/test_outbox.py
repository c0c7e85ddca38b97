"""The outbox's promises, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from ringback.clock import ManualClock
from ringback.outbox import (
    BROKEN,
    Circuit,
    Delivered,
    Delivery,
    GiveUp,
    NewDelivery,
    OutboxLimits,
    Outcome,
    Result,
    RetryLater,
)
from ringback.store import Store, Tx
from tests.outbox.outboxes import QUICK, Recording, attempts, enqueue, make_outbox, rows, running, states, until


async def test_what_is_enqueued_is_delivered_and_recorded(store: Store, clock: ManualClock) -> None:
    outbox, channel = make_outbox(store, clock), Recording()
    outbox.register_channel("test", channel)
    async with running(outbox):
        delivery_id = await enqueue(store, outbox)
        await until(lambda: _all(store, "DONE"))
    assert [(one.id, one.payload, one.attempts) for one in channel.got] == [(delivery_id, '{"n":1}', 1)]
    assert await attempts(store) == [(delivery_id, 1, "DELIVERED", None)]


async def test_a_unit_that_fails_delivers_nothing(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)

    async def fails(tx: Tx) -> None:
        await outbox.enqueue(tx, NewDelivery("test", "a", b"{}"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.write(fails)
    assert await rows(store) == []


async def test_retries_with_growing_pauses_and_the_same_id(store: Store, clock: ManualClock) -> None:
    async def fail(_: Delivery) -> Result:
        return RetryLater("busy")

    limits = OutboxLimits(poll_seconds=0.02, first_pause_seconds=2, longest_pause_seconds=8)
    outbox, channel = make_outbox(store, clock, limits), Recording(fail)
    outbox.register_channel("test", channel)
    delivery_id = await enqueue(store, outbox)
    pauses = []
    async with running(outbox):
        for attempt in range(1, 6):
            await until(lambda number=attempt: _attempted(store, number))  # type: ignore[misc]
            (row,) = await rows(store)
            assert row[1] == "READY"
            pauses.append((int(str(row[3])) - clock.now_ms()) / 1000)
            clock.advance(pauses[-1])
    assert {one.id for one in channel.got} == {delivery_id}
    for pause, whole in zip(pauses, [2, 4, 8, 8, 8], strict=True):
        assert whole / 2 <= pause <= whole


async def test_a_destination_may_ask_for_a_longer_pause(store: Store, clock: ManualClock) -> None:
    async def fail(_: Delivery) -> Result:
        return RetryLater("429", after_seconds=100)

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(fail))
    await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 1))
    (row,) = await rows(store)
    assert row[3] == clock.now_ms() + 100_000


async def test_a_channel_may_choose_the_pause_and_the_number_of_attempts(store: Store, clock: ManualClock) -> None:
    async def fail(_: Delivery) -> Result:
        return RetryLater("500", pause_seconds=0.5, most_attempts=2)

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(fail))
    await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 1))
        assert (await rows(store))[0][3] == clock.now_ms() + 500
        clock.advance(0.5)
        await until(lambda: _all(store, "DEAD"))
    assert (await rows(store))[0][5] == "attempts used up: 500"


async def test_a_circuit_leaves_a_destination_alone_but_for_an_attempt_now_and_then(
    store: Store, clock: ManualClock
) -> None:
    down = True

    async def deliver(delivery: Delivery) -> Result:
        return RetryLater("down", pause_seconds=1) if down and delivery.destination == "a" else Delivered()

    outbox, channel = make_outbox(store, clock), Recording(deliver)
    outbox.register_channel("test", channel, per_destination=1, circuit=Circuit(failures=3, pause_seconds=60))
    for _ in range(10):
        await enqueue(store, outbox, "a")
    async with running(outbox):
        await until(lambda: _attempted(store, 3))
        await enqueue(store, outbox, "b")
        await until(lambda: _count(store, "DONE", 1))
        for attempts_so_far in (4, 5):
            clock.advance(60)
            await until(lambda number=attempts_so_far: _attempted(store, number + 1))  # type: ignore[misc]
            await asyncio.sleep(0.1)
            assert len(channel.got) == attempts_so_far + 1
        down = False
        clock.advance(60)
        await until(lambda: _all(store, "DONE"))


async def test_dead_when_the_next_attempt_would_be_too_late(store: Store, clock: ManualClock) -> None:
    ended: list[tuple[str, str, str | None]] = []

    async def on_end(_: Tx, delivery: Delivery, state: str, reason: str | None) -> None:
        ended.append((delivery.id, state, reason))

    async def fail(_: Delivery) -> Result:
        return RetryLater("busy")

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(fail), on_end=on_end)
    delivery_id = await enqueue(store, outbox, deadline_ms=clock.now_ms() + 900)
    async with running(outbox):
        await until(lambda: _all(store, "DEAD"))
    assert (await rows(store))[0][5] == "deadline: busy"
    assert ended == [(delivery_id, "DEAD", "deadline: busy")]


async def test_past_its_deadline_nothing_is_sent(store: Store, clock: ManualClock) -> None:
    outbox, channel = make_outbox(store, clock), Recording()
    outbox.register_channel("test", channel)
    await enqueue(store, outbox, deadline_ms=clock.now_ms() + 900)
    clock.advance(0.9)
    async with running(outbox):
        await until(lambda: _all(store, "DEAD"))
    assert channel.got == []


async def test_give_up_is_dead_at_once(store: Store, clock: ManualClock) -> None:
    async def refuse(_: Delivery) -> Result:
        return GiveUp("no such phone\0")

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(refuse))
    delivery_id = await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _all(store, "DEAD"))
    assert await attempts(store) == [(delivery_id, 1, "REFUSED", "no such phone")]


async def test_an_exception_and_a_hanging_channel_count_as_failures(store: Store, clock: ManualClock) -> None:
    async def break_or_hang(delivery: Delivery) -> Result:
        if delivery.destination == "hangs":
            await asyncio.sleep(60)
        raise ValueError("oh")

    limits = OutboxLimits(poll_seconds=0.02, attempt_seconds=0.1)
    outbox = make_outbox(store, clock, limits)
    outbox.register_channel("test", Recording(break_or_hang))
    await enqueue(store, outbox, "hangs")
    await enqueue(store, outbox, "breaks")
    async with running(outbox):
        await until(lambda: _attempted(store, 2))
    assert sorted(str(row[5]) for row in await rows(store)) == [BROKEN, "no answer within 0.1 s"]


async def test_a_lease_that_ran_out_goes_to_somebody_else(store: Store, clock: ManualClock) -> None:
    first, second = make_outbox(store, clock), make_outbox(store, clock)
    delivery_id = await enqueue(store, first)
    (held,) = (await store.write(first.claim, "test", 10, {}, 8)).deliveries
    assert (await store.write(second.claim, "test", 10, {}, 8)).deliveries == []
    clock.advance(29.999)
    assert (await store.write(second.claim, "test", 10, {}, 8)).deliveries == []
    clock.advance(0.001)
    (taken,) = (await store.write(second.claim, "test", 10, {}, 8)).deliveries
    assert (taken.id, taken.attempts) == (delivery_id, 2)
    assert await store.write(first.settle, [Outcome(held, Delivered(), clock.now_ms(), 1)]) == []
    assert await attempts(store) == []
    (settled,) = await store.write(second.settle, [Outcome(taken, Delivered(), clock.now_ms(), 1)])
    assert (settled.delivery.id, settled.state) == (delivery_id, "DONE")
    assert await states(store) == ["DONE"]


async def test_the_only_process_takes_back_all_leases_at_its_start(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    await enqueue(store, outbox)
    await store.write(outbox.claim, "test", 10, {}, 8)
    await store.write(outbox.release_all)
    assert await states(store) == ["READY"]
    assert len((await store.write(outbox.claim, "test", 10, {}, 8)).deliveries) == 1


async def test_claims_no_more_of_a_destination_than_it_has_places(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    for destination in ["a"] * 5 + ["b"] * 5 + ["c"] * 5:
        await enqueue(store, outbox, destination)
    claimed = await store.write(outbox.claim, "test", 100, {"a": 0, "b": 1}, 3)
    assert sorted(one.destination for one in claimed.deliveries) == ["b", "c", "c", "c"]


async def test_one_dead_destination_blocks_nobody(store: Store, clock: ManualClock) -> None:
    hanging = 0
    most = 0

    async def deliver(delivery: Delivery) -> Result:
        nonlocal hanging, most
        if delivery.destination != "dead":
            return Delivered()
        hanging += 1
        most = max(most, hanging)
        try:
            await asyncio.sleep(60)
        finally:
            hanging -= 1
        return Delivered()

    limits = OutboxLimits(poll_seconds=0.02, attempt_seconds=30, drain_seconds=0.1, in_flight=16)
    outbox = make_outbox(store, clock, limits)
    outbox.register_channel("test", Recording(deliver), per_destination=4)
    for _ in range(40):
        await enqueue(store, outbox, "dead")
    for number in range(40):
        await enqueue(store, outbox, f"live {number % 2}")
    async with running(outbox):
        await until(lambda: _count(store, "DONE", 40))
    assert most == 4
    # What was under way when it stopped was given back, not lost and not held.
    assert sorted(await states(store)) == ["DONE"] * 40 + ["READY"] * 40  # type: ignore[type-var]


async def test_a_failing_destination_is_tried_one_at_a_time(store: Store, clock: ManualClock) -> None:
    now_running = 0
    most_after_failure = 0
    failed = False

    async def deliver(_: Delivery) -> Result:
        nonlocal now_running, most_after_failure, failed
        now_running += 1
        if failed:
            most_after_failure = max(most_after_failure, now_running)
        await asyncio.sleep(0.01)
        now_running -= 1
        failed = now_running == 0
        return RetryLater("down")

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(deliver), per_destination=4)
    for _ in range(12):
        await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 12))
    assert most_after_failure == 1


async def test_one_that_is_not_answered_again_and_again_holds_up_nobody(store: Store, clock: ManualClock) -> None:
    silent, hanging = "", asyncio.Event()

    async def deliver(delivery: Delivery) -> Result:
        if delivery.id != silent:
            return Delivered()
        if delivery.attempts > 1:
            hanging.set()
            await asyncio.sleep(60)
        return RetryLater("no answer")

    outbox = make_outbox(store, clock, OutboxLimits(poll_seconds=0.02, attempt_seconds=60, drain_seconds=0.1))
    outbox.register_channel("test", Recording(deliver), per_destination=8)
    silent = await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _attempted(store, 1))
        clock.advance(10)
        await hanging.wait()
        for _ in range(20):
            await enqueue(store, outbox)
        await until(lambda: _count(store, "DONE", 20))


async def test_stopping_waits_for_what_is_under_way(store: Store, clock: ManualClock) -> None:
    began = asyncio.Event()

    async def slow(_: Delivery) -> Result:
        began.set()
        await asyncio.sleep(0.2)
        return Delivered()

    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording(slow))
    await enqueue(store, outbox)
    async with running(outbox):
        await asyncio.wait_for(began.wait(), 60)
    assert await states(store) == ["DONE"]


async def test_woken_by_a_commit_without_waiting_for_the_poll(store: Store, clock: ManualClock) -> None:
    outbox, channel = make_outbox(store, clock, OutboxLimits(poll_seconds=60)), Recording()
    outbox.register_channel("test", channel)
    async with running(outbox):
        await asyncio.sleep(0.2)
        await enqueue(store, outbox)
        await until(lambda: _all(store, "DONE"))
    assert len(channel.got) == 1


async def test_many_workers_deliver_each_once(store: Store, clock: ManualClock) -> None:
    boxes = [make_outbox(store, clock) for _ in range(3)]
    channel = Recording()
    for _ in range(60):
        await enqueue(store, boxes[0], "a")
    for outbox in boxes:
        outbox.register_channel("test", channel)
    async with running(boxes[0]), running(boxes[1]), running(boxes[2]):
        await until(lambda: _count(store, "DONE", 60))
    assert len({one.id for one in channel.got}) == 60
    assert len(channel.got) == 60


async def test_forgets_what_was_finished_long_ago(store: Store, clock: ManualClock) -> None:
    outbox = make_outbox(store, clock)
    outbox.register_channel("test", Recording())
    await enqueue(store, outbox)
    async with running(outbox):
        await until(lambda: _all(store, "DONE"))
    clock.advance(QUICK.kept_seconds - 1)
    await enqueue(store, outbox)
    assert await store.write(outbox.purge, 100) == 0
    clock.advance(2)
    assert await store.write(outbox.purge, 100) == 1
    assert await states(store) == ["READY"]
    assert await attempts(store) == []


async def _all(store: Store, state: str) -> bool:
    return set(await states(store)) == {state}


async def _count(store: Store, state: str, count: int) -> bool:
    return (await states(store)).count(state) == count


async def _attempted(store: Store, count: int) -> bool:
    return len(await attempts(store)) == count
