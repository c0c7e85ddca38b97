"""Wake-ups that one process has pushed and another one is told about, or that nobody holds any more."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar, cast

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.calls import Outcome
from ringback.calls.push_only import Reason, _End
from ringback.calls.queries import lock_wakeup
from ringback.calls.recording import holder_channel
from ringback.errors import StoreUnavailable, WakeupNotFound
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.store import Store, Tx, Unit
from tests.calls.waking import PROXY, Waking, asked, is_over, until
from tests.outbox.outboxes import running

T = TypeVar("T")


async def test_whoever_is_told_tells_the_phones(one: Waking, two: Waking) -> None:
    voip, _ = await one.token("apns-voip"), await one.token("apns")
    await one.token("fcm", registration_id="r2")
    made = await one.push_only.create(PROXY, asked())
    await one.pushed()
    ended = await two.push_only.end(PROXY, made.row.id, "cancelled", None)
    assert (ended.state, ended.row.outcome, len(ended.pushes)) == ("ENDED", "CANCELLED", 2)
    async with running(two.room.outbox):
        await until(lambda: _has_got(two, 1, 1))
    await until(lambda: is_over(one))
    await one.pushed()
    # Not from here: the phones would hear of it twice.
    assert (len(one.room.apns.got), len(one.room.fcm.got)) == (1, 1)
    [alert], [data] = two.room.apns.got, two.room.fcm.got
    assert (alert.kind, alert.content.title, alert.content.body) == ("apns", "Missed call", "Bob")
    by_token = {push.push_token_id: push.push_id for push in made.pushes}
    assert alert.content.push_id == by_token[voip.id]
    for told in (alert, data):
        assert (told.content.purpose, told.content.extras) == ("call_cancelled", {"reason": "cancelled"})
        assert told.content.call is not None
        assert told.content.call.display_number == "bob"
    assert [event.change for event in one.heard] == ["STARTED"]
    assert [event.outcome for event in two.heard] == ["CANCELLED"]
    assert (await one.row(made.row.id)).outcome == "CANCELLED"


async def _has_got(waking: Waking, apns: int, fcm: int) -> bool:
    return (len(waking.room.apns.got), len(waking.room.fcm.got)) == (apns, fcm)


async def test_the_phone_that_answered_is_not_told(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    await one.token("fcm", registration_id="r2")
    for call_id, process_told in (("call-1", one), ("call-2", two)):
        made = await one.push_only.create(PROXY, asked(call_id=call_id))
        await one.pushed()
        answered, other = made.pushes
        before = len(process_told.room.fcm.got)
        async with running(two.room.outbox):
            await process_told.push_only.end(PROXY, made.row.id, "answered", answered.push_id)
            await until(lambda: _told(process_told, before + 1))  # noqa: B023 - awaited here
        told = process_told.room.fcm.got[-1].content
        assert (told.push_id, told.extras) == (other.push_id, {"reason": "answered_elsewhere"})


async def _told(waking: Waking, count: int) -> bool:
    return len(waking.room.fcm.got) == count


async def test_attempts_end_with_the_call_wherever_it_was_ended(one: Waking, two: Waking) -> None:
    tried = asyncio.Event()

    async def busy(_: OutgoingPush) -> Reaction:
        tried.set()
        return Reaction(Verdict.RETRY, "ServiceUnavailable", 503)

    one.room.fcm.say(busy)
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked())
    await tried.wait()
    await two.push_only.end(PROXY, made.row.id, "answered", None)
    await one.room.calls.idle()
    assert (await one.room.push(made.pushes[0].push_id)).reason == "the call ended: ServiceUnavailable"


async def test_of_calls_that_share_a_channel_only_the_one_that_was_ended_ends(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    by_channel: dict[str, str] = {}
    for number in range(257):  # there are 256 channels
        made = await one.push_only.create(PROXY, asked(call_id=f"call-{number}"))
        other = by_channel.setdefault(holder_channel(made.row.id), made.row.id)
        if other != made.row.id:
            break
    await one.pushed()
    count = one.wake_ups.count
    await two.push_only.end(PROXY, other, "cancelled", None)

    async def has_ended() -> bool:
        return one.wake_ups.find(other) is None

    await until(has_ended)
    assert one.wake_ups.find(made.row.id) is not None
    assert one.wake_ups.count == count - 1


async def test_a_registration_that_another_process_was_told_of_counts(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked(seconds=5))  # of real time, in which it has to register
    one.clock.advance(0.4)
    seen = await two.push_only.registered(PROXY, made.row.id)
    again = await two.push_only.registered(PROXY, made.row.id)
    assert (seen.state, again.row.registered_at) == ("REGISTERED", seen.row.registered_at)
    ended = await two.push_only.get(made.row.id, "REGISTERED", 20)
    assert (ended.row.outcome, ended.row.registered_at) == ("DEFLECTED", made.row.started_at + 400)


async def test_a_registration_that_this_process_has_not_heard_of_counts_when_the_timeis_over(
    one: Waking, two: Waking
) -> None:
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked(seconds=5))
    await one.pushed()
    for stop in one.recorder._listening:
        stop()
    await two.push_only.registered(PROXY, made.row.id)
    await until(lambda: is_over(one))
    await one.pushed()
    row = await one.row(made.row.id)
    assert (row.outcome, one.steps(row)) == ("DEFLECTED", ["asked", "preference", "pushed", "registered"])
    assert len(one.room.fcm.got) == 1


async def test_a_registration_and_the_end_that_are_heard_of_together_are_both_on_record(
    one: Waking, two: Waking
) -> None:
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked())
    await one.pushed()

    async def both(tx: Tx) -> None:
        await two.push_only._register(tx, PROXY, made.row.id)
        await two.push_only._end(tx, PROXY, made.row.id, _End(reason="answered", answered_by=None, held=None))

    await two.store.write(both)
    await until(lambda: is_over(one))
    await one.pushed()
    row = await one.row(made.row.id)
    assert (row.outcome, one.steps(row)) == ("ANSWERED", ["asked", "preference", "pushed", "registered"])


async def test_a_wake_up_whose_process_died_ends_in_time(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    missed = await one.push_only.create(PROXY, asked())
    came = await one.push_only.create(PROXY, asked(call_id="call-2"))
    await one.pushed()
    await one.push_only.close()
    await two.push_only.registered(PROXY, came.row.id)
    one.clock.advance(51)
    async with running(two.room.outbox):
        await two.store.write(two.ending.end_overdue, 200)
        await until(lambda: _told(two, 1))
    rows = [await two.row(wakeup.row.id) for wakeup in (missed, came)]
    assert [row.outcome for row in rows] == ["TIMEOUT", "DEFLECTED"]
    assert two.room.fcm.got[0].content.extras == {"reason": "missed"}
    assert two.room.fcm.got[0].content.push_id == missed.pushes[0].push_id


@pytest.mark.parametrize("who", ["one", "two"])
async def test_a_wake_up_that_has_timed_out_stays_so(one: Waking, two: Waking, who: str) -> None:
    """A proxy that waits as long as the wake-up says that the call is over in the same moment."""
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked(seconds=1))
    await one.pushed()
    async with asyncio.timeout(60):
        while one.wake_ups.count:  # noqa: ASYNC110 - in the very turn of the loop
            await asyncio.sleep(0)
    told = {"one": one, "two": two}[who]
    ended = await told.push_only.end(PROXY, made.row.id, "answered_elsewhere", None)
    assert (ended.row.outcome, (await one.row(made.row.id)).outcome) == ("TIMEOUT", "TIMEOUT")
    await one.pushed()
    assert [push.content.extras for push in one.room.fcm.got[1:]] == [{"reason": "missed"}]
    assert [event.outcome for event in (*one.heard, *two.heard) if event.change == "ENDED"] == ["TIMEOUT"]


async def test_a_wake_up_that_was_ended_does_not_time_out(one: Waking) -> None:
    """Its time is over while the store is about to answer."""
    made_at = asyncio.get_running_loop().time()
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked(seconds=5))
    await one.pushed()
    is_stored, goes_on = asyncio.Event(), asyncio.Event()
    one.push_only._store = cast("Store", _HeldUp(one.store, is_stored, goes_on))
    ending = asyncio.create_task(one.push_only.end(PROXY, made.row.id, "answered_elsewhere", None))
    await is_stored.wait()

    loop = asyncio.get_running_loop()
    is_time = asyncio.Event()
    loop.call_at(made_at + 5.1, is_time.set)
    await is_time.wait()
    goes_on.set()
    assert (await ending).row.outcome == "ANSWERED_ELSEWHERE"
    await until(lambda: is_over(one))
    await one.pushed()
    assert [push.content.extras for push in one.room.fcm.got[1:]] == [{"reason": "answered_elsewhere"}]


async def test_asked_again_after_a_restart_nothing_is_pushed_twice(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked())
    await one.pushed()
    again = await two.push_only.create(PROXY, asked())
    assert (again.row.id, again.pushes) == (made.row.id, made.pushes)
    assert two.room.fcm.got == []


@pytest.mark.parametrize(("seconds", "pushed"), [(0, ["call", "call_cancelled"]), (5, [])])
async def test_a_call_that_was_ended_elsewhere_before_it_was_pushed(
    one: Waking, two: Waking, seconds: int, pushed: list[str]
) -> None:
    """The process is held up when it has stored the call: for long, and it looks again first; or for a moment."""
    await one.token("fcm")
    is_stored, goes_on = asyncio.Event(), asyncio.Event()
    one.push_only._store = cast("Store", _HeldUp(one.store, is_stored, goes_on))
    first = asyncio.create_task(one.push_only.create(PROXY, asked()))
    await is_stored.wait()
    again = await two.push_only.create(PROXY, asked())
    await two.push_only.end(PROXY, again.row.id, "cancelled", None)
    one.clock.advance(seconds)
    goes_on.set()
    assert (await first).row.id == again.row.id
    await until(lambda: is_over(one))
    await one.pushed()
    assert [push.content.purpose for push in one.room.fcm.got] == pushed
    assert (await one.row(again.row.id)).outcome == "CANCELLED"


class _HeldUp:
    """The store of a process that is held up after its next COMMIT."""

    def __init__(self, store: Store, is_stored: asyncio.Event, goes_on: asyncio.Event) -> None:
        self.read = store.read
        self._store, self._is_stored, self._goes_on = store, is_stored, goes_on

    async def write(self, unit: Unit[T], *args: Any) -> T:
        result = await self._store.write(unit, *args)
        self._is_stored.set()
        await self._goes_on.wait()
        return result


@pytest.mark.parametrize("reason", ["answered", "cancelled"])
async def test_whoever_is_told_at_once_waits_until_it_knows_of_the_pushes(
    one: Waking, two: Waking, reason: str
) -> None:
    await one.token("fcm")
    await one.token("fcm", registration_id="r2")
    made = await one.push_only.create(PROXY, asked())
    took = made.pushes[0].push_id
    answered_by = took if reason == "answered" else None
    ended = await two.push_only.end(PROXY, made.row.id, cast("Reason", reason), answered_by)
    expected = {push.push_id for push in made.pushes} - {answered_by}
    await one.pushed()  # before, the phones would be told a second later, and the clock stands still
    async with running(two.room.outbox):
        await until(lambda: _told(two, len(expected)))
    assert {push.push_id for push in ended.pushes} == {push.push_id for push in made.pushes}
    assert {push.content.push_id for push in two.room.fcm.got} == expected
    assert len(one.room.fcm.got) == 2
    assert [(event.pushes, event.pushed_at) for event in two.heard] == [(2, made.row.started_at)]


async def test_what_is_told_of_a_call_that_is_ended_at_once(one: Waking) -> None:
    await one.token("fcm")
    made = await one.push_only.create(PROXY, asked())
    await one.push_only.end(PROXY, made.row.id, "cancelled", None)
    assert [(event.change, event.pushes, event.pushed_at) for event in one.heard] == [
        ("STARTED", 0, None), ("ENDED", 1, made.row.started_at),
    ]  # fmt: skip


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_process_that_is_stuck_with_one_call_keeps_no_other_call_waiting(
    one: Waking, two: Waking, database_url: str
) -> None:
    await one.token("fcm")
    stuck = await asyncpg.connect(database_url)
    await stuck.execute("BEGIN")
    assert await stuck.fetchval(lock_wakeup.postgres, "call-1\nalice@example.org")
    tries = [asyncio.create_task(two.push_only.create(PROXY, asked())) for _ in range(40)]
    other = await two.push_only.create(PROXY, asked(call_id="call-2"))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    await stuck.close()
    assert len(other.pushes) == 1
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert len((await two.push_only.create(PROXY, asked())).pushes) == 1


async def test_a_call_that_sip_holds_can_be_ended_over_http(one: Waking, two: Waking) -> None:
    await one.token("fcm")
    live = await one.call()
    live.push()
    told: list[str] = []
    live.on_cancelled = told.append
    await one.pushed()
    ended = await two.push_only.end(PROXY, live.id, "answered_elsewhere", None)
    assert (ended.row.mode, ended.row.outcome) == ("embedded", "ANSWERED_ELSEWHERE")
    await until(lambda: is_over(one))
    assert told == ["answered_elsewhere"]
    live.end(Outcome.TIMEOUT, status=480)
    await one.pushed()
    assert (await one.row(live.id)).outcome == "ANSWERED_ELSEWHERE"
    assert len(one.room.fcm.got) == 1


async def test_a_call_can_be_ended_before_it_is_on_record(one: Waking) -> None:
    live = await one.call()
    told: list[str] = []
    live.on_cancelled = told.append
    ended = await one.push_only.end(PROXY, live.id, "cancelled", None)
    assert (ended.row.id, told) == (live.id, ["cancelled"])
    await one.recorder.idle()
    assert (await one.row(live.id)).outcome == "CANCELLED"
    with pytest.raises(WakeupNotFound):
        await one.push_only.end(PROXY, "unknown", "cancelled", None)
