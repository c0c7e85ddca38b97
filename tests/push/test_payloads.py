"""What each provider carries, member by member."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols import jwe
from ringback.push.content import CallContent, Content, LiveActivity, decode_content, encode_content
from ringback.push.farewells import farewell_content
from ringback.push.fitting import PayloadRefused
from ringback.push.payloads import (
    CALL_OVER_PLACEHOLDER,
    CALL_PLACEHOLDER,
    PLACEHOLDER,
    Encryption,
    apns_payload,
    fcm_message,
    local_payload,
    unusable_extra,
    web_push_payload,
)
from tests.house.source import ROOT

KEY = bytes(range(32))
ENCRYPTION = Encryption(KEY, bytes(12))
OPERATION = {"messageType": "mtoken.operationInit", "operationId": "op-1", "operationName": "login"}
MESSAGE = Content(
    push_id="push-1",
    title="Login",
    body="Log in to the bank?",
    sound="default",
    badge=3,
    icon="lock",
    category="approval",
    collapse_id="op-1",
    thread="logins",
    extras=OPERATION,
    user_id="alice",
    registration_id="phone-1",
    operation_id="op-1",
    created_at=1_800_000_000_000,
)
SILENT = Content(push_id="push-2", silent=True, title="not shown", body="nor this", badge=0, extras={"sync": True})
CALL = Content(
    push_id="push-3",
    purpose="call",
    call=CallContent(
        display_name="Bob", display_number="+14085550123", hunt_pilot_dn="4000", ring_expires_at=1_800_000_030_000
    ),
)
V2 = {
    "type": "incomingcall",
    "pushid": "push-3",
    "displayname": "Bob",
    "displaynumber": "+14085550123",
    "payloadversion": "V2",
    "huntpilotdn": "4000",
    "ringexpiretime": "1800000030000",
}


def _apns(content: Content, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(apns_payload(content, **options))
    return found


def _fcm(content: Content, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fcm_message(content, "fcm-token", **options))["message"]
    return found


def _opened(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jwe.decrypt(text, KEY))
    return found


def test_apns_shows_a_message_and_has_the_extras_beside_aps_where_the_mobile_token_sdk_reads_them() -> None:
    assert _apns(MESSAGE) == {
        "aps": {
            "alert": {"title": "Login", "body": "Log in to the bank?"},
            "sound": "default",
            "badge": 3,
            "category": "approval",
            "thread-id": "logins",
        },
        "pushid": "push-1",
        **OPERATION,
    }


def test_fcm_shows_a_message_and_has_the_extras_in_data_where_the_mobile_token_sdk_reads_them() -> None:
    assert _fcm(MESSAGE, ttl_seconds=300) == {
        "token": "fcm-token",
        "notification": {"title": "Login", "body": "Log in to the bank?"},
        "data": {"pushid": "push-1", **OPERATION},
        "android": {
            "priority": "HIGH",
            "ttl": "300s",
            "collapse_key": "op-1",
            "notification": {"sound": "default", "icon": "lock", "tag": "approval", "notification_count": 3},
        },
    }


def test_a_silent_push_wakes_the_app_and_shows_nothing() -> None:
    assert _apns(SILENT) == {"aps": {"content-available": 1, "badge": 0}, "pushid": "push-2", "sync": True}
    assert _fcm(SILENT) == {
        "token": "fcm-token",
        "data": {"pushid": "push-2", "sync": "true"},
        "android": {"priority": "NORMAL"},
    }
    assert json.loads(web_push_payload(SILENT))["silent"] is True


@pytest.mark.parametrize("silent", [True, False])
def test_a_badge_of_zero_takes_the_badge_away_whoever_carries_it(*, silent: bool) -> None:
    content = Content(push_id="p", title="Read", badge=0, silent=silent)
    assert _apns(content)["aps"]["badge"] == 0
    apart = (
        json.loads(web_push_payload(content)),
        _opened(_apns(content, encryption=ENCRYPTION)["data"]),
        _opened(_fcm(content, encryption=ENCRYPTION)["data"]["body"]),
        _opened(json.loads(local_payload(content, encryption=ENCRYPTION))["data"]),
    )
    assert [(one["badge"], one.get("silent")) for one in apart] == [(0, True if silent else None)] * 4
    if not silent:
        assert _fcm(content)["android"]["notification"]["notification_count"] == 0


def test_texts_that_the_app_has_are_named_by_their_keys() -> None:
    content = Content(push_id="p", title_loc_key="T", title_loc_args=("1",), body_loc_key="B", body_loc_args=("2", "3"))
    assert _apns(content)["aps"]["alert"] == {
        "title-loc-key": "T",
        "title-loc-args": ["1"],
        "loc-key": "B",
        "loc-args": ["2", "3"],
    }
    message = _fcm(content)
    assert message["android"]["notification"] == {
        "title_loc_key": "T",
        "title_loc_args": ["1"],
        "body_loc_key": "B",
        "body_loc_args": ["2", "3"],
        "tag": "p",
    }
    assert "notification" not in message


@pytest.mark.parametrize(
    ("more", "tag"),
    [({}, "p"), ({"collapse_id": "bill"}, "bill"), ({"collapse_id": "bill", "category": "bills"}, "bills")],
)
def test_an_android_phone_shows_a_push_once_that_arrives_twice(more: dict[str, str], tag: str) -> None:
    assert _fcm(Content(push_id="p", title="x", **more))["android"]["notification"]["tag"] == tag  # type: ignore[arg-type]


def test_extras_that_are_no_text_stay_what_they_are_where_the_provider_lets_them() -> None:
    extras = {"text": "1", "number": 1, "truth": False, "nothing": None, "list": [1, {"a": "b"}]}
    content = Content(push_id="p", extras=extras)
    assert {name: _apns(content)[name] for name in extras} == extras
    assert json.loads(web_push_payload(content))["extras"] == extras
    assert _fcm(content)["data"] == {
        "pushid": "p",
        "text": "1",
        "number": "1",
        "truth": "false",
        "nothing": "null",
        "list": '[1,{"a":"b"}]',
    }


def test_a_call_has_the_members_of_v2_everywhere() -> None:
    assert _apns(CALL, voip=True) == {"aps": {}, **V2}
    assert _fcm(CALL, ttl_seconds=0) == {
        "token": "fcm-token",
        "data": V2,
        "android": {"priority": "HIGH", "ttl": "0s"},
    }
    assert json.loads(web_push_payload(CALL)) == V2
    assert _apns(CALL)["aps"] == {"alert": {"title": "Bob", "body": "+14085550123"}}


def test_a_call_that_is_over_has_another_type() -> None:
    over = Content(push_id="push-3", purpose="call_cancelled", call=CallContent(display_name="Bob"))
    assert _apns(over, voip=True)["type"] == "missedcall"
    assert _fcm(over)["data"]["ringexpiretime"] == ""


def test_an_encrypted_call_is_the_v2_payload_and_nothing_else_is_readable() -> None:
    voip = _apns(CALL, voip=True, encryption=ENCRYPTION)
    assert voip.keys() == {"aps", "data"}
    assert voip["aps"] == {}
    assert _opened(voip["data"]) == V2
    message = _fcm(CALL, ttl_seconds=30, encryption=ENCRYPTION)
    assert message.keys() == {"token", "data", "android"}
    assert message["data"].keys() == {"body"}
    assert message["android"] == {"priority": "HIGH", "ttl": "30s"}
    assert _opened(message["data"]["body"]) == V2
    assert _opened(json.loads(web_push_payload(CALL, encryption=ENCRYPTION))["data"]) == V2


def test_an_encrypted_message_wakes_the_extension_with_a_text_that_says_nothing() -> None:
    found = _apns(MESSAGE, encryption=ENCRYPTION)
    assert found.keys() == {"aps", "data"}
    assert found["aps"] == {"alert": {"title": PLACEHOLDER}, "mutable-content": 1}
    inside = {
        "type": "message",
        "pushid": "push-1",
        "payloadversion": "V2",
        "title": "Login",
        "body": "Log in to the bank?",
        "sound": "default",
        "badge": 3,
        "icon": "lock",
        "category": "approval",
        "thread": "logins",
        "extras": OPERATION,
    }
    assert _opened(found["data"]) == inside
    assert _opened(_fcm(MESSAGE, encryption=ENCRYPTION)["data"]["body"]) == inside
    assert "notification" not in _fcm(MESSAGE, encryption=ENCRYPTION)


def test_what_an_encrypted_push_needs_outside_depends_on_what_it_is() -> None:
    assert _apns(CALL, encryption=ENCRYPTION)["aps"]["alert"] == {"title": CALL_PLACEHOLDER}
    over = farewell_content(CALL, "cancelled")
    assert _apns(over, encryption=ENCRYPTION)["aps"]["alert"] == {"title": CALL_OVER_PLACEHOLDER}
    assert _apns(over)["reason"] == "cancelled"
    assert _apns(SILENT, encryption=ENCRYPTION)["aps"] == {"content-available": 1}
    assert _fcm(SILENT, encryption=ENCRYPTION)["android"] == {"priority": "NORMAL"}


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_named(length: int) -> None:
    wrong = Encryption(bytes(length), bytes(12))
    for write in (apns_payload, web_push_payload):
        with pytest.raises(PayloadRefused) as caught:
            write(MESSAGE, encryption=wrong)
        assert caught.value.field == "encryptionKey"


def test_a_live_activity() -> None:
    activity = LiveActivity(
        event="update", timestamp=1_800_000_000, content_state={"minutes": 5, "late": False}, stale_date=1_800_000_600
    )
    content = Content(push_id="p", purpose="live_activity", title="Taxi", body="Soon", live_activity=activity)
    assert _apns(content) == {
        "aps": {
            "timestamp": 1_800_000_000,
            "event": "update",
            "stale-date": 1_800_000_600,
            "alert": {"title": "Taxi", "body": "Soon"},
            "content-state": {"minutes": 5, "late": False},
        },
        "pushid": "p",
    }
    with pytest.raises(PayloadRefused, match="Only iOS"):
        fcm_message(content, "fcm-token")
    with pytest.raises(PayloadRefused, match="cannot be encrypted"):
        apns_payload(content, encryption=ENCRYPTION)


def test_only_calls_go_to_pushkit() -> None:
    with pytest.raises(PayloadRefused) as caught:
        apns_payload(MESSAGE, voip=True)
    assert caught.value.field == "call"


@pytest.mark.parametrize(
    "name", ["", "aps", "pushid", "from", "message_type", "notification", "google.sent_time", "gcm.n.e"]
)
def test_names_that_providers_keep_are_refused_in_extras(name: str) -> None:
    assert unusable_extra({"fine": 1, name: 1}) == name
    content = Content(push_id="p", extras={name: "x"})
    for write in (apns_payload, lambda wrong: fcm_message(wrong, "fcm-token")):
        with pytest.raises(PayloadRefused) as caught:
            write(content)
        assert caught.value.field == f"extras.{name}"


def test_other_names_are_usable() -> None:
    assert unusable_extra({**OPERATION, "data": 1, "body": 1, "type": "x", "goo": 1}) is None


def test_the_local_provider_hands_out_what_it_always_did() -> None:
    assert json.loads(local_payload(MESSAGE)) == {
        "pushId": "push-1",
        "userId": "alice",
        "title": "Login",
        "message": "Log in to the bank?",
        "sound": "default",
        "extras": OPERATION,
        "registrationId": "phone-1",
        "timestampCreated": 1_800_000_000_000,
    }
    assert json.loads(local_payload(CALL))["call"] == V2
    assert _opened(json.loads(local_payload(CALL, encryption=ENCRYPTION))["data"]) == V2


@given(
    content=st.builds(
        Content,
        push_id=st.text(max_size=40),
        title=st.none() | st.text(max_size=40),
        badge=st.none() | st.integers(0, 9),
        silent=st.booleans(),
        extras=st.dictionaries(st.text(max_size=10), st.none() | st.integers() | st.text(max_size=10), max_size=3),
        body_loc_args=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        call=st.none() | st.builds(CallContent, display_name=st.text(max_size=20)),
    )
)
def test_a_content_survives_the_store(content: Content) -> None:
    assert decode_content(encode_content(content)) == content


def test_an_encryption_does_not_show_its_key() -> None:
    assert repr(ENCRYPTION) == "Encryption()"


def test_the_example_of_the_reference_opens_and_is_what_apns_gets() -> None:
    page = (ROOT / "docs/reference/push-payloads.md").read_text()
    sent, inside = re.findall(r"```json\n(.*)\n```", page)
    key = b64decode(re.findall(r"`([A-Za-z0-9+/]{43}=)`", page)[0])
    assert jwe.decrypt(json.loads(sent)["data"], key).decode() == inside
    call = CallContent(display_name="Alice", display_number="+14085550123", ring_expires_at=1_800_000_030_000)
    content = Content(push_id="0b7f3f0e-4f2a-7a60-9a0e-0a4e0d7f5f11", purpose="call", call=call)
    assert apns_payload(content, voip=True, encryption=Encryption(key, bytes(range(12)))).decode() == sent
