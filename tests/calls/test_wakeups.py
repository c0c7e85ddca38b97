"""The core of wake-ups: whom a call reaches, what is pushed, what is on record, whoever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from ringback.calls import Outcome
from ringback.clock import ManualClock
from ringback.errors import StoreUnavailable
from ringback.store import Store
from tests.calls.waking import Waking, process, rows_in_order, until, with_apps


@pytest.fixture
async def waking(store: Store, clock: ManualClock) -> AsyncIterator[Waking]:
    """One process."""
    one = await with_apps(process(store, clock))
    yield one
    await one.room.calls.close()
    await one.wake_ups.close()


@pytest.fixture
async def other(waking: Waking) -> AsyncIterator[Waking]:
    """Another process on the same database."""
    one = process(waking.store, waking.clock)
    yield one
    await one.room.calls.close()
    await one.wake_ups.close()


async def test_nobody_is_reached_who_is_unknown(waking: Waking) -> None:
    assert await waking.wake_ups.reach("alice", "example.org", "call-1") is None
    await waking.subscriber()
    found = await waking.wake_ups.reach("alice", "example.org", "call-1")
    assert found is not None
    assert (found.callee.user_id, found.targets, found.considered) == ("alice", (), ())


async def test_each_phone_is_reached_once_in_the_way_that_wakes_it_best(waking: Waking) -> None:
    subscriber = await waking.subscriber()
    voip, alert = await waking.token("apns-voip"), await waking.token("apns")
    await waking.token("fcm")
    desk = await waking.token("fcm", device_pkid="d1")
    soft = await waking.token("fcm", subscriber_id=subscriber, sip_instance="<urn:uuid:1>")
    await waking.token("fcm", subscriber_id="another", sip_instance="<urn:uuid:2>")
    await waking.token("fcm", app_id="shop", registration_id="r2")
    await waking.token("hms", registration_id="r3")
    blocked = await waking.token("fcm", registration_id="r4")

    async def block(tx: Any) -> None:
        await waking.room.tokens.suspend_registration(tx, "r4", suspended=True)

    await waking.store.write(block)
    reach = await waking.wake_ups.reach("alice", "example.org", "call-1")
    assert reach is not None
    assert {one.id for one in reach.targets} == {voip.id, desk.id, soft.id}
    assert [one.id for one in reach.alerts] == [alert.id]
    assert len(reach.considered) == 9
    reasons = {(one.app_id, one.kind, one.registration_id): one.reason for one in reach.considered if not one.used}
    assert reasons == {
        ("bank", "apns", "r1"): "it can show something, but not ring; a call needs a push token of PushKit (apns-voip)",
        ("bank", "fcm", "r1"): "the same phone is woken by apns-voip",
        ("bank", "fcm", None): "the phone has registered as another subscriber",
        ("shop", "fcm", "r2"): "the domain example.org does not ring this app",
        ("bank", "hms", "r3"): "calls cannot be pushed to hms",
        ("bank", "fcm", "r4"): "the registration is blocked",
    }
    assert blocked.push_token not in str(reach.considered)


async def test_a_domain_without_apps_rings_them_all(waking: Waking) -> None:
    await waking.subscriber(apps=())
    await waking.token("fcm")
    await waking.token("fcm", app_id="shop", registration_id="r2")
    live = await waking.call()
    assert live.push() == 2
    await waking.pushed()
    assert {one.app_id for one in waking.room.fcm.got} == {"bank", "shop"}
    assert msgspec.json.decode((await waking.row(live.id)).app_ids) == ["bank", "shop"]


async def test_a_call_is_pushed_once(waking: Waking) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    assert (live.push(), live.push()) == (1, 1)
    again = await waking.call()
    another = await waking.call(sip_call_id="call-2")
    assert (again.push(), another.push()) == (1, 1)
    await waking.pushed()
    assert [one.content.call.display_number for one in waking.room.fcm.got if one.content.call] == ["+4312345"] * 2
    assert again.push_ids == live.push_ids
    assert "not pushed again" in waking.steps(again.row())
    assert waking.room.fcm.got[0].deadline_at == live.deadline_at == live.started_at + 30_000


async def test_a_call_that_comes_again_to_another_process_or_after_a_crash_is_not_pushed_again(
    waking: Waking, other: Waking
) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    first = await waking.call()
    assert first.push() == 1
    await waking.pushed()
    again = await other.call()
    assert other.wake_ups.rings(again)
    assert (again.push(), again.push_ids) == (1, first.push_ids)
    await other.pushed()
    assert "not pushed again" in other.steps(await other.row(again.id))
    assert (len(waking.room.fcm.got), len(other.room.fcm.got)) == (1, 0)
    # Another call is pushed, and the same one when its ring time is over.
    assert not other.wake_ups.rings(await other.call(sip_call_id="call-2"))
    waking.clock.advance(30)
    later = await other.call()
    assert (later.push(), later.push_ids == first.push_ids) == (1, False)
    await other.pushed()
    assert len(other.room.fcm.got) == 1


async def test_phones_that_another_process_rings_are_told_when_the_call_is_over_here(
    waking: Waking, other: Waking
) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    await waking.token("apns-voip", registration_id="r2")
    alert = await waking.token("apns", registration_id="r2")
    first = await waking.call()
    first.push()
    await waking.pushed()
    for _ in range(2):  # the second time from memory
        again = await other.call()
        assert again.push() == 2
    again.end(Outcome.TIMEOUT, status=480)
    again.end(Outcome.CANCELLED)
    await other.pushed()
    [data], [shown] = other.room.fcm.got, other.room.apns.got
    assert shown.push_token == alert.push_token
    for told in (data, shown):
        assert (told.content.purpose, told.content.extras) == ("call_cancelled", {"reason": "missed"})
        assert told.content.push_id in first.push_ids


async def test_what_another_process_pushed_later_counts_and_what_is_over_by_now_does_not(
    waking: Waking, other: Waking
) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    (await waking.call()).push()
    waking.clock.advance(31)
    later = await other.call()
    later.push()
    await other.pushed()
    waking.clock.advance(10)
    again = await waking.call()
    assert (again.push(), again.push_ids) == (1, later.push_ids)
    slow = await waking.call(sip_call_id="call-1")
    waking.clock.advance(30)
    assert not waking.wake_ups.rings(slow)
    assert slow.push() == 1
    assert slow.push_ids != later.push_ids


async def test_a_phone_with_a_new_push_token_is_pushed_although_the_call_came_before(
    waking: Waking, other: Waking
) -> None:
    await waking.subscriber()
    await waking.token("fcm", "before")
    (await waking.call()).push()
    await waking.pushed()

    async def forget(tx: Any) -> None:
        await waking.room.tokens.forget_registration(tx, "r1")

    await waking.store.write(forget)
    await waking.token("fcm", "after")
    assert (await other.call()).push() == 1
    await other.pushed()
    assert [one.push_token for one in other.room.fcm.got] == ["after"]


async def test_the_record_has_what_happened(waking: Waking) -> None:
    await waking.subscriber()
    await waking.token("apns-voip")
    live = await waking.call()
    live.note("subscribed", after="401")
    live.push()
    waking.clock.advance(1.5)
    live.registered(instance="<urn:uuid:1>", contact="sip:alice@10.0.0.7")
    live.registered()
    waking.clock.advance(0.5)
    live.end(Outcome.DEFLECTED, status=302)
    live.end(Outcome.TIMEOUT, status=480)
    await waking.pushed()
    row = await waking.row(live.id)
    assert (row.mode, row.call_id, row.caller_name, row.callee, row.domain) == (
        "embedded", "call-1", "Bob", "alice@example.org", "example.org",
    )  # fmt: skip
    assert (row.status, row.outcome, row.sip_status, row.pushes) == ("ENDED", "DEFLECTED", 302, 1)
    assert row.pushed_at is not None
    assert (row.registered_at, row.ended_at) == (row.pushed_at + 1500, row.started_at + 2000)
    assert waking.steps(row) == ["subscribed", "pushed", "registered", "registered"]
    assert msgspec.json.decode(row.trace)[2] == {
        "atMs": 1500,
        "step": "registered",
        "details": {"instance": "<urn:uuid:1>", "contact": "sip:alice@10.0.0.7"},
    }
    assert msgspec.json.decode(row.considered)[0]["pushId"] == live.push_ids[0]
    assert [(one.change, one.outcome) for one in waking.heard] == [("STARTED", None), ("ENDED", "DEFLECTED")]
    # The phone that came has its call: nobody is told that it is over.
    assert [one.content.purpose for one in waking.room.apns.got] == ["call"]


async def test_a_call_that_ends_at_once_is_one_row_and_two_events(waking: Waking) -> None:
    live = await waking.call("nobody")
    live.end(Outcome.UNKNOWN_CALLEE, status=404)
    await waking.recorder.idle()
    row = await waking.row(live.id)
    assert (row.outcome, row.version, row.subscriber_id, row.app_ids) == ("UNKNOWN_CALLEE", 1, None, "[]")
    assert [one.change for one in waking.heard] == ["STARTED", "ENDED"]


async def test_what_comes_from_outside_can_be_stored(waking: Waking) -> None:
    live = await waking.call(sip_call_id="a\0b", caller="sip:\udcff@x", caller_name="x" * 5000)
    live.note("odd", said="\0\udcfe")
    live.end(Outcome.REFUSED, reason="\0")
    await waking.recorder.idle()
    row = await waking.row(live.id)
    assert (row.call_id, row.caller, row.reason) == ("a\ufffdb", "sip:\ufffd@x", "\ufffd")
    assert len(row.caller_name or "") == 500


async def test_a_phone_that_was_not_pushed_is_not_called_used(waking: Waking) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    live.end(Outcome.NOT_ENABLED)
    await waking.recorder.idle()
    [one] = msgspec.json.decode((await waking.row(live.id)).considered)
    assert (one["used"], one["reason"], one.get("pushId")) == (False, "the call was not pushed", None)


async def test_a_long_trace_is_cut_and_says_so(waking: Waking) -> None:
    live = await waking.call()
    for number in range(150):
        live.note("again", number=number)
    live.end(Outcome.REFUSED)
    await waking.recorder.idle()
    last = msgspec.json.decode((await waking.row(live.id)).trace)[-1]
    assert (last["step"], last["details"]) == ("more", {"steps": 50})


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.CANCELLED, "cancelled"),
        (Outcome.ANSWERED_ELSEWHERE, "answered_elsewhere"),
        (Outcome.TIMEOUT, "missed"),
        (Outcome.DEFLECTED, None),
        (Outcome.ANSWERED, None),
    ],
)
async def test_phones_are_told_of_a_call_that_did_not_reach_them(
    waking: Waking, outcome: Outcome, reason: str | None
) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    live.push()
    await waking.pushed()
    live.end(outcome)
    await waking.pushed()
    told = [one.content.extras for one in waking.room.fcm.got[1:]]
    assert told == ([] if reason is None else [{"reason": reason}])


async def test_calls_go_on_while_the_database_is_away(waking: Waking, monkeypatch: pytest.MonkeyPatch) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    write, is_away = waking.store.write, True

    async def sometimes(*args: Any) -> Any:
        if is_away:
            raise StoreUnavailable
        return await write(*args)

    monkeypatch.setattr(waking.store, "write", sometimes)
    live = await waking.call()
    live.push()
    assert waking.wake_ups.pushed_with(live.push_ids[0]) is live
    live.end(Outcome.CANCELLED)
    await asyncio.sleep(0.05)
    is_away = False
    await waking.pushed()
    assert (await waking.row(live.id)).outcome == "CANCELLED"
    assert waking.wake_ups.pushed_with(live.push_ids[0]) is None


async def test_a_commit_that_seemed_to_fail_tells_nothing_twice(
    waking: Waking, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = waking.store.write, 1

    async def lost_answer(*args: Any) -> Any:
        nonlocal failures
        result = await write(*args)
        if failures:
            failures -= 1
            raise StoreUnavailable
        return result

    monkeypatch.setattr(waking.store, "write", lost_answer)
    live = await waking.call()
    await until(lambda: _is_stored(waking, live.id))
    live.end(Outcome.TIMEOUT, status=480)
    await waking.recorder.idle()
    assert (await waking.row(live.id)).outcome == "TIMEOUT"
    assert [one.change for one in waking.heard] == ["STARTED", "ENDED"]


async def _is_stored(waking: Waking, call_id: str) -> bool:
    return any(row[0] == call_id for row in await waking.room.all(rows_in_order))


async def test_a_call_whose_process_died_is_lost(waking: Waking, other: Waking) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    live.push()
    await waking.pushed()
    waking.clock.advance(39)
    assert await other.store.write(other.ending.end_overdue, 200) == 0
    waking.clock.advance(2)
    await other.store.write(other.ending.end_overdue, 200)
    row = await waking.row(live.id)
    assert (row.status, row.outcome, row.reason) == ("ENDED", "LOST", "the process that held the call is gone")
    assert [one.outcome for one in other.heard] == ["LOST"]
    # The process had only been slow: it hears of it, and what it does then changes nothing.
    await until(lambda: _is_over(waking))
    live.end(Outcome.DEFLECTED)
    await waking.pushed()
    assert (await waking.row(live.id)).outcome == "LOST"


async def _is_over(waking: Waking) -> bool:
    return waking.wake_ups.count == 0


async def test_old_calls_are_forgotten(waking: Waking) -> None:
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    live.push()
    live.end(Outcome.DEFLECTED)
    await waking.pushed()
    waking.clock.advance(86_400)
    assert await waking.store.write(waking.ending.purge_pushes, 200) == 0
    waking.clock.advance(41)
    assert await waking.store.write(waking.ending.purge_pushes, 200) == 1
    waking.clock.advance(30 * 86_400)
    assert await waking.store.write(waking.ending.purge, 200) == 1
    assert await waking.room.all(rows_in_order) == []


async def test_figures_tell_how_calls_end(waking: Waking) -> None:
    def figure(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"mode": "embedded", **labels}) or 0

    names = "ringback_call_wake_seconds_count", "ringback_call_push_to_register_seconds_count"
    before = [figure(name) for name in names]
    deflected = figure("ringback_calls_total", outcome="DEFLECTED")
    waiting = figure("ringback_calls_in_flight")
    await waking.subscriber()
    await waking.token("fcm")
    live = await waking.call()
    live.push()
    assert figure("ringback_calls_in_flight") == waiting + 1
    live.registered()
    live.end(Outcome.DEFLECTED)
    assert figure("ringback_calls_in_flight") == waiting
    assert figure("ringback_calls_total", outcome="DEFLECTED") == deflected + 1
    assert [figure(name) for name in names] == [count + 1 for count in before]
    await waking.pushed()
