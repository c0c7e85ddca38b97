"""A call that was ended in another process while its push is under way: when, and whether, its phone is told."""

from __future__ import annotations

import asyncio

import pytest

from ringback.push.model import OutgoingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.store import Query, Tx
from tests.calls.waking import PROXY, Waking, asked, is_over, until
from tests.outbox.outboxes import running
from tests.push.sending import DELIVERED

unfinished = Query(
    "test_unfinished",
    "What is not delivered or given up.",
    "SELECT channel, state, attempts FROM deliveries WHERE state IN ('READY', 'LEASED')",
)


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_phone_is_told_by_another_process_once_the_call_has_reached_it(
    one: Waking, two: Waking, arrives: bool
) -> None:
    under_way, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_: OutgoingPush) -> Reaction:
        under_way.set()
        await goes_on.wait()
        return DELIVERED if arrives else Reaction(Verdict.RETRY, "ServiceUnavailable", 503)

    one.room.fcm.say(slow)
    await one.token("fcm")
    async with running(two.room.outbox):
        await _cancelled_elsewhere(one, two, under_way)
        await until(lambda: _waits(two))
        assert two.room.fcm.got == [], "or it would overtake the call"
        await until(lambda: is_over(one))
        goes_on.set()
        await one.pushed()
        two.clock.advance(2)
        await until(lambda: _nothing_waits(two))
    assert len(one.room.fcm.got) == 1
    assert [push.content.purpose for push in two.room.fcm.got] == ["call_cancelled"] * arrives


async def test_when_the_process_that_pushed_is_gone_the_phone_is_told_after_all(one: Waking, two: Waking) -> None:
    under_way, test_is_over = asyncio.Event(), asyncio.Event()

    async def for_ever(_: OutgoingPush) -> Reaction:
        under_way.set()
        await test_is_over.wait()
        return DELIVERED

    looks = 0

    async def told() -> bool:
        nonlocal looks
        if ("push", "READY", looks + 1) in await _unfinished(two):
            looks += 1
            two.clock.advance(1)
        return bool(two.room.fcm.got)

    one.room.fcm.say(for_ever)
    await one.token("fcm")
    async with running(two.room.outbox):
        await _cancelled_elsewhere(one, two, under_way)
        await until(told)
    assert [push.content.purpose for push in two.room.fcm.got] == ["call_cancelled"]
    test_is_over.set()


async def _cancelled_elsewhere(one: Waking, two: Waking, under_way: asyncio.Event) -> None:
    """A call that one process pushes, and that the other one ends when its push is under way."""
    made = await one.push_only.create(PROXY, asked())
    await under_way.wait()
    await one.recorder.idle()
    await two.push_only.end(PROXY, made.row.id, "cancelled", None)


async def _unfinished(waking: Waking) -> list[tuple[str, str, int]]:
    async def read(tx: Tx) -> list[tuple[str, str, int]]:
        return await tx.all(unfinished)

    return await waking.store.read(read)


async def _waits(waking: Waking) -> bool:
    """Whether the farewell was looked at, and is to be looked at again."""
    return ("push", "READY", 1) in await _unfinished(waking)


async def _nothing_waits(waking: Waking) -> bool:
    return await _unfinished(waking) == []
