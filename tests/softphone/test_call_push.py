"""A push about a call is read out of every envelope, encrypted or not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ringback.protocols import jwe
from ringback.softphone.call_push import is_incoming, read_push
from ringback.softphone.errors import CallPushUnreadable

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
