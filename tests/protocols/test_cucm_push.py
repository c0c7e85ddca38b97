"""The V2 payload of call pushes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.cucm_push import (
    INCOMING_CALL,
    CallPush,
    CallPushMalformed,
    read_call_push,
    write_call_push,
)

PUSH = CallPush(INCOMING_CALL, "0b7f", "Alice", "+14085550123", huntpilotdn="4000", ringexpiretime="1800000000000")


def test_the_members_are_those_of_the_seed_and_all_are_strings() -> None:
    assert json.loads(write_call_push(PUSH)) == {
        "type": "incomingcall",
        "pushid": "0b7f",
        "displayname": "Alice",
        "displaynumber": "+14085550123",
        "payloadversion": "V2",
        "huntpilotdn": "4000",
        "ringexpiretime": "1800000000000",
    }


@given(values=st.lists(st.text(max_size=50), min_size=7, max_size=7))
def test_what_is_written_is_read(values: list[str]) -> None:
    push = CallPush(*values)
    assert read_call_push(write_call_push(push)) == push


def test_both_spellings_of_the_push_id_are_read() -> None:
    assert read_call_push(b'{"type":"incomingcall","pushId":"7"}').pushid == "7"
    assert read_call_push(b'{"type":"incomingcall","pushid":"8","pushId":"7"}').pushid == "8"


def test_absent_null_and_unknown_members_do_no_harm() -> None:
    push = read_call_push(b'{"type":"incomingcall","pushid":"7","displayname":null,"extras":{"a":1}}')
    assert push == CallPush("incomingcall", "7")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b'{"type":"incomingcall"}', "pushid"),
        (b'{"pushid":"7"}', "type"),
        (b'{"type":"incomingcall","pushid":7}', "pushid"),
        (b'{"type":"incomingcall","pushid":"7","ringexpiretime":30}', "ringexpiretime"),
        (b"[]", ""),
        (b"incomingcall", ""),
        (b"", ""),
    ],
)
def test_what_cannot_be_read_is_named(payload: bytes, field: str) -> None:
    with pytest.raises(CallPushMalformed) as caught:
        read_call_push(payload)
    assert caught.value.field == field
