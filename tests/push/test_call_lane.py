"""Calls: on the wire before anything is stored, tried again until the ring time is over, and taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.errors import StoreUnavailable
from ringback.push import NewCallPush, PushToken, call_lane
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.store import Store, Tx
from tests.outbox.outboxes import rows, running
from tests.push.sending import DELIVERED, KEY, Room, all_pushes, all_tokens, wait_for

RETRY = Reaction(Verdict.RETRY, "ServiceUnavailable", 503)
RING_MS = 30_000


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    """Without an outbox that runs: the lane needs none."""
    return await Room(store, clock).start()


def call(room: Room, *targets: PushToken, **more: Any) -> NewCallPush:
    """Alice's phone is to ring."""
    known = {"app_id": "bank", "user_id": "alice", "display_name": "Bob", "display_number": "+420123"}
    return NewCallPush(**{**known, "targets": targets, "ring_expires_at": room.clock.now_ms() + RING_MS, **more})


async def test_it_is_on_the_wire_before_it_is_stored(room: Room) -> None:
    targets = await room.token("apns-voip", environment="production", encryption_key=KEY), await room.token("fcm")
    stored_at_the_wire = []

    async def look(_: OutgoingPush) -> Reaction:
        stored_at_the_wire.append(await room.all(all_pushes))
        return DELIVERED

    room.apns.say(look)
    ids = room.calls.send(call(room, *targets))
    assert len(ids) == 2
    await asyncio.sleep(0)
    assert (len(room.apns.got), len(room.fcm.got)) == (1, 1)
    await room.calls.idle()
    assert stored_at_the_wire == [[]]
    (voip,) = room.apns.got
    assert (voip.id, voip.kind, voip.urgent, voip.encryption_key) == (ids[0], "apns-voip", True, KEY)
    assert voip.deadline_at == room.clock.now_ms() + RING_MS
    assert voip.content.call is not None
    assert (voip.content.purpose, voip.content.push_id, voip.content.call.display_name) == ("call", ids[0], "Bob")
    for push_id in ids:
        push = await room.push(push_id)
        assert (push.status, push.provider_id) == ("DELIVERED", "provider's name")
        assert await room.attempts(push_id) == [(1, "DELIVERED", None)]
    assert {row[1] for row in await rows(room.store)} == {"DONE"}


async def test_only_push_tokens_that_can_wake_an_app_ring(room: Room) -> None:
    alert, other = await room.token("apns"), await room.token("hms")
    voip = await room.token("apns-voip", number=2)

    async def suspend(tx: Tx) -> None:
        await room.tokens.suspend_registration(tx, "r2", suspended=True)

    await room.store.write(suspend)
    (blocked,) = [one for one in await room.store.read(room.tokens.of_user, "alice") if one.id == voip.id]
    assert room.calls.send(call(room, alert, other, blocked)) == []
    await room.calls.idle()
    assert room.apns.got == []
    assert await room.all(all_pushes) == []


async def test_it_is_tried_again_from_memory_under_the_same_id(room: Room) -> None:
    room.fcm.say(RETRY, Reaction(Verdict.UNKNOWN, "the connection broke"), DELIVERED)
    (push_id,) = room.calls.send(call(room, await room.token("fcm")))
    await room.calls.idle()
    assert {one.id for one in room.fcm.got} == {push_id}
    assert await room.attempts(push_id) == [
        (1, "FAILED", "ServiceUnavailable"),
        (2, "FAILED", "the connection broke"),
        (3, "DELIVERED", None),
    ]
    assert (await room.push(push_id)).status == "DELIVERED"


async def test_a_quota_that_is_used_up_is_waited_for_while_it_rings(room: Room) -> None:
    room.fcm.say(Reaction(Verdict.RETRY, "QUOTA_EXCEEDED", 429, retry_after_seconds=0.3, stops_all=True), DELIVERED)
    (push_id,) = room.calls.send(call(room, await room.token("fcm")))
    await room.calls.idle()
    assert await room.attempts(push_id) == [(1, "FAILED", "QUOTA_EXCEEDED"), (2, "DELIVERED", None)]


async def test_never_after_the_ring_time(room: Room) -> None:
    async def too_late(_: OutgoingPush) -> Reaction:
        room.clock.advance(RING_MS / 1000)
        return RETRY

    room.fcm.say(RETRY, too_late)
    (push_id,) = room.calls.send(call(room, await room.token("fcm")))
    await room.calls.idle()
    assert len(room.fcm.got) == 2
    push = await room.push(push_id)
    assert (push.status, push.reason) == ("FAILED", "the ring time is over: ServiceUnavailable")


async def test_a_provider_that_is_silent_has_until_the_end_of_the_ring(room: Room) -> None:
    async def silent(_: OutgoingPush) -> Reaction:
        await asyncio.sleep(60)
        return DELIVERED

    room.fcm.say(silent)
    new = call(room, await room.token("fcm"), ring_expires_at=room.clock.now_ms() + 300)
    (push_id,) = room.calls.send(new)
    await room.calls.idle()
    push = await room.push(push_id)
    assert (push.status, push.reason) == ("FAILED", "no answer within the ring time")


async def test_a_call_that_is_over_already_is_not_sent(room: Room) -> None:
    (push_id,) = room.calls.send(call(room, await room.token("fcm"), ring_expires_at=room.clock.now_ms()))
    await room.calls.idle()
    assert room.fcm.got == []
    assert (await room.push(push_id)).reason == "the ring time is over"


@pytest.mark.parametrize("verdict", [Verdict.PARK, Verdict.FAILED, Verdict.SUSPECT])
async def test_what_cannot_succeed_in_time_ends_at_once(room: Room, verdict: Verdict) -> None:
    room.fcm.say(Reaction(verdict, "no"))
    (push_id,) = room.calls.send(call(room, await room.token("fcm")))
    await room.calls.idle()
    push = await room.push(push_id)
    assert (push.status, push.reason, len(room.fcm.got)) == ("FAILED", "no", 1)


async def test_a_dead_push_token_is_deleted(room: Room) -> None:
    room.apns.say(Reaction(Verdict.DELETE_PUSH_TOKEN, "Unregistered", 410))
    room.calls.send(call(room, await room.token("apns-voip")))
    await room.calls.idle()
    assert await room.all(all_tokens) == []
    assert len(room.died) == 1


@pytest.mark.parametrize("why", ["cancelled", "answered_elsewhere"])
async def test_phones_are_told_when_the_call_is_over(room: Room, why: Any) -> None:
    voip = await room.token("apns-voip", encryption_key=KEY)
    alert, fcm = await room.token("apns", environment="development"), await room.token("fcm", number=2)
    ids = room.calls.send(call(room, voip, fcm, alerts=(alert,)))
    await wait_for(lambda: len(room.apns.got) == len(room.fcm.got) == 1)
    await asyncio.sleep(0)
    room.calls.cancel(ids, why)
    room.calls.cancel(ids)
    await room.calls.idle()
    for push_id, provider in zip(ids, (room.apns, room.fcm), strict=True):
        rang, stopped = provider.got
        assert (stopped.content.purpose, stopped.content.push_id) == ("call_cancelled", push_id)
        assert stopped.content.extras == {"reason": why}
        assert stopped.id not in ids
        assert stopped.content.collapse_id == rang.content.collapse_id == push_id
        assert (stopped.urgent, stopped.deadline_at) == (True, rang.deadline_at)
        assert (await room.push(stopped.id)).status == "DELIVERED"
    # Through PushKit an app would have to show another call (Apple).
    assert [one.kind for one in room.apns.got] == ["apns-voip", "apns"]
    stopped = room.apns.got[1]
    assert (stopped.push_token, stopped.environment, stopped.encryption_key) == ("apns-1", "development", None)
    assert stopped.content.title == {"cancelled": "Missed call", "answered_elsewhere": "Answered elsewhere"}[why]


async def test_a_phone_with_nothing_but_pushkit_is_not_told(room: Room) -> None:
    alert_of_another = await room.token("apns", number=2)
    ids = room.calls.send(call(room, await room.token("apns-voip"), alerts=(alert_of_another,)))
    await room.calls.idle()
    room.calls.cancel(ids)
    await room.calls.idle()
    assert [one.kind for one in room.apns.got] == ["apns-voip"]


async def test_a_call_that_nobody_took_is_told_of_after_the_ring_time(room: Room) -> None:
    fcm = await room.token("fcm")
    ids = [*room.calls.send(call(room, fcm)), *room.calls.send(call(room, await room.token("fcm", number=2)))]
    await room.calls.idle()
    room.clock.advance(RING_MS / 1000)
    room.calls.cancel(ids[:1])
    room.calls.cancel(ids[1:], "missed")
    await room.calls.idle()
    stopped = room.fcm.got[2:]
    assert [(one.content.push_id, one.content.extras) for one in stopped] == [(ids[1], {"reason": "missed"})]
    assert stopped[0].deadline_at == room.clock.now_ms() + 60_000


async def test_another_process_may_tell_the_phones(room: Room) -> None:
    room.fcm.say(RETRY)
    room.apns.say(DELIVERED)
    ids = room.calls.send(call(room, await room.token("fcm"), await room.token("apns-voip")))
    await wait_for(lambda: len(room.fcm.got) == len(room.apns.got) == 1)
    room.calls.interrupt(ids)
    await room.calls.idle()
    assert (len(room.fcm.got), len(room.apns.got)) == (1, 1)


async def test_a_call_that_never_went_out_is_not_taken_back(room: Room) -> None:
    room.fcm.say(RETRY)
    ids = room.calls.send(call(room, await room.token("fcm")))
    await wait_for(lambda: len(room.fcm.got) == 1)
    room.calls.cancel(ids)
    await room.calls.idle()
    push = await room.push(ids[0])
    assert (push.status, push.reason) == ("FAILED", "the call ended: ServiceUnavailable")
    assert len(room.fcm.got) == 1
    assert await room.attempts(ids[0]) == [(1, "REFUSED", "the call ended: ServiceUnavailable")]


async def test_a_call_that_arrives_after_it_was_over_is_taken_back(room: Room) -> None:
    answer = asyncio.Event()

    async def slow(_: OutgoingPush) -> Reaction:
        await answer.wait()
        return DELIVERED

    room.fcm.say(slow)
    ids = room.calls.send(call(room, await room.token("fcm")))
    await wait_for(lambda: len(room.fcm.got) == 1)
    room.calls.cancel(ids)
    assert len(room.fcm.got) == 1
    answer.set()
    await room.calls.idle()
    assert [one.content.purpose for one in room.fcm.got] == ["call", "call_cancelled"]


async def test_a_phone_is_told_once_that_the_call_is_over(room: Room) -> None:
    answer = asyncio.Event()

    async def slow(_: OutgoingPush) -> Reaction:
        await answer.wait()
        return DELIVERED

    room.fcm.say(Reaction(Verdict.UNKNOWN, "the connection was lost"), slow)
    ids = room.calls.send(call(room, await room.token("fcm")))
    await wait_for(lambda: len(room.fcm.got) == 2)
    room.calls.cancel(ids)  # the first attempt may have arrived, and the second is under way
    answer.set()
    await room.calls.idle()
    assert [one.content.purpose for one in room.fcm.got] == ["call", "call", "call_cancelled"]


async def test_after_the_ring_time_nobody_is_told(room: Room) -> None:
    ids = room.calls.send(call(room, await room.token("fcm")))
    await room.calls.idle()
    room.clock.advance(RING_MS / 1000)
    room.calls.cancel([*ids, "unknown"])
    await room.calls.idle()
    assert len(room.fcm.got) == 1


async def test_a_call_to_a_phone_with_a_local_connection(room: Room) -> None:
    ids = room.calls.send(call(room, await room.token("local")))
    await room.calls.idle()
    room.calls.cancel(ids)
    await room.calls.idle()
    rang, stopped = await room.store.read(room.mailbox.after, "r1", "")
    assert f'"pushid":"{ids[0]}"' in rang.payload
    assert f'"pushid":"{ids[0]}"' in stopped.payload
    assert {push[2] for push in await room.all(all_pushes)} == {"DELIVERED"}


async def test_calls_go_out_while_the_database_is_away(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    write, is_away = room.store.write, True

    async def sometimes(*args: Any) -> Any:
        if is_away:
            raise StoreUnavailable
        return await write(*args)

    token = await room.token("fcm")
    monkeypatch.setattr(room.store, "write", sometimes)
    (push_id,) = room.calls.send(call(room, token))
    await wait_for(lambda: len(room.fcm.got) == 1)
    is_away = False
    await room.calls.idle()
    assert (await room.push(push_id)).status == "DELIVERED"


async def test_a_process_that_stops_lets_what_is_under_way_be_answered(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_lane, "_CLOSE_SECONDS", 600)
    answer = asyncio.Event()

    async def slow(_: OutgoingPush) -> Reaction:
        await answer.wait()
        return DELIVERED

    room.fcm.say(slow)
    room.apns.say(RETRY)
    ids = room.calls.send(call(room, await room.token("fcm"), await room.token("apns-voip")))
    await wait_for(lambda: len(room.fcm.got) == len(room.apns.got) == 1)
    closing = asyncio.create_task(room.calls.close())
    await asyncio.sleep(0.05)
    answer.set()
    await asyncio.wait_for(closing, 60)
    fcm, apns = [await room.push(push_id) for push_id in ids]
    assert (fcm.status, apns.status, apns.reason) == ("DELIVERED", "FAILED", "the server stopped: ServiceUnavailable")


async def test_what_a_process_that_died_left_behind_is_never_sent_again(room: Room) -> None:
    began = asyncio.Event()

    async def dies(_: OutgoingPush) -> Reaction:
        began.set()
        await asyncio.Event().wait()
        return DELIVERED

    room.fcm.say(dies)
    (push_id,) = room.calls.send(call(room, await room.token("fcm")))
    await wait_for(lambda: _is_stored(room, push_id))
    await room.store.write(room.outbox.release_all)  # as a restart on SQLite does, within the ring time
    async with running(room.outbox):
        push = await room.ended(push_id)
    assert (push.status, push.reason) == ("FAILED", "the server that rang has stopped, and the call with it")
    assert len(room.fcm.got) == 1


async def _is_stored(room: Room, push_id: str) -> bool:
    return any(row[0] == push_id for row in await room.all(all_pushes))
