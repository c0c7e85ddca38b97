"""A push about a call is read out of every envelope, encrypted or not."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from ringback.protocols import jwe
from ringback.softphone import MacTokenRefused, Push, PushStream
from ringback.softphone.call_push import CallPushStream, is_incoming, read_push
from ringback.softphone.errors import CallPushUnreadable
from ringback.softphone.waking import _unless

KEY = bytes(range(32))
CALL = {
    "type": "incomingcall",
    "pushid": "push-1",
    "displayname": "Alice",
    "displaynumber": "+14085550123",
    "payloadversion": "V2",
    "huntpilotdn": "",
    "ringexpiretime": "1800000030000",
}
SEALED = jwe.encrypt(msgspec.json.encode(CALL), KEY, bytes(12))


@pytest.mark.parametrize(
    "payload",
    [
        {"pushId": "push-1", "title": None, "call": CALL},
        {"aps": {}, **CALL},
        {"message": {"token": "t", "data": CALL, "android": {"priority": "HIGH"}}},
        CALL,
    ],
    ids=["local", "apns", "fcm", "webpush"],
)
def test_a_call_in_the_clear(payload: dict[str, Any]) -> None:
    push = read_push(payload)
    assert push is not None
    assert (push.pushid, push.displayname, is_incoming(push)) == ("push-1", "Alice", True)


@pytest.mark.parametrize(
    "payload",
    [
        {"pushId": "push-1", "data": SEALED, "timestampCreated": 1},
        {"aps": {}, "data": SEALED},
        {"message": {"token": "t", "data": {"body": SEALED}}},
    ],
    ids=["local", "apns", "fcm"],
)
def test_an_encrypted_call(payload: dict[str, Any]) -> None:
    push = read_push(payload, KEY)
    assert push is not None
    assert push.ringexpiretime == CALL["ringexpiretime"]
    for wrong in (None, bytes(32), b"short"):
        with pytest.raises(CallPushUnreadable):
            read_push(payload, wrong)


@pytest.mark.parametrize(
    "payload",
    [
        {"pushId": "1", "title": "Balance", "message": "10 EUR", "extras": {"operationId": "o"}},
        {"aps": {"alert": {"title": "x"}}, "pushid": "1"},
        {"message": {"token": "t", "data": {"pushid": "1"}, "notification": {"title": "x"}}},
        {"type": "message", "pushid": "1", "payloadversion": "V2", "title": "x"},
        {},
    ],
)
def test_a_push_about_something_else_is_no_call(payload: dict[str, Any]) -> None:
    assert read_push(payload, KEY) is None


def test_a_call_that_is_over() -> None:
    push = read_push({**CALL, "type": "missedcall"})
    assert push is not None
    assert not is_incoming(push)


def test_a_call_without_its_id_cannot_be_read() -> None:
    with pytest.raises(CallPushUnreadable):
        read_push({**CALL, "pushid": 7})


class Stream:
    """Pushes that a test hands out one by one."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Push:
        content = await self.came.get()
        if isinstance(content, Exception):
            raise content
        return Push("1", content)


async def test_while_a_phone_waits_it_hears_that_the_call_is_over() -> None:
    stream = Stream()
    async with CallPushStream(cast("PushStream", stream)).reading() as pushes:
        stream.came.put_nowait({"title": "something else"})
        stream.came.put_nowait({**CALL, "pushid": "a"})
        push = await anext(pushes)
        over = pushes.over(push.pushid)
        assert not over.is_set()
        stream.came.put_nowait({**CALL, "pushid": "b"})
        stream.came.put_nowait({**CALL, "pushid": "a", "type": "missedcall"})
        async with asyncio.timeout(60):
            await over.wait()
        assert [(await anext(pushes)).pushid for _ in range(2)] == ["b", "a"]
        stream.came.put_nowait(MacTokenRefused(401, "x", "y"))
        with pytest.raises(MacTokenRefused):
            await anext(pushes)


async def test_a_phone_stops_waiting_when_it_is_over() -> None:
    over: asyncio.Event = asyncio.Event()
    async with asyncio.timeout(60):
        assert await _unless(over, asyncio.sleep(0, "came")) == "came"
        waiting = asyncio.create_task(_unless(over, asyncio.sleep(3600, "never")))
        await asyncio.sleep(0)
        over.set()
        assert await waiting is None
