"""A push that is too large loses what people read, never what programs read, and no character is broken."""

from __future__ import annotations

import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols import jwe
from ringback.protocols.cucm_push import read_call_push
from ringback.protocols.web_push import LONGEST_PLAINTEXT
from ringback.push.content import CallContent, Content
from ringback.push.fitting import ELLIPSIS, PayloadTooLarge, shortened
from ringback.push.payloads import (
    APNS_BYTES,
    APNS_VOIP_BYTES,
    FCM_BYTES,
    Encryption,
    apns_payload,
    fcm_message,
    web_push_payload,
)
from ringback.push.room import check_room

KEY = bytes(range(32))
ENCRYPTION = Encryption(KEY, bytes(12))
PUSH_TOKEN = "t" * 163
FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🇨🇿"

texts = st.one_of(
    st.text(max_size=60),
    st.builds(lambda piece, times: piece * times, st.text(min_size=1, max_size=8), st.integers(1, 3_000)),
    st.builds(
        lambda piece, times: piece * times, st.sampled_from([FAMILY, FLAG, "é", '"', "\n", "각"]), st.integers(1, 2_000)
    ),
)
extras = st.dictionaries(
    st.from_regex(r"x[a-z]{0,10}", fullmatch=True), st.text(max_size=40) | st.integers() | st.none(), max_size=8
)
contents = st.builds(
    lambda title, body, extras: Content(push_id="0" * 36, title=title, body=body, extras=extras), texts, texts, extras
)


def _is_beginning(shown: str | None, text: str) -> bool:
    """Whether a reader sees the text, or a beginning of it and "…"."""
    return shown == text or (shown is not None and shown.endswith(ELLIPSIS) and text.startswith(shown[:-1]))


def _check(shown: dict[str, str], content: Content) -> None:
    assert _is_beginning(shown.get("title", ""), content.title or "")
    assert _is_beginning(shown.get("body", ""), content.body or "")
    if shown.get("title", "") != content.title:  # the title is shortened only when no more can be taken from the body
        assert len(shown.get("body", "").encode()) <= len(ELLIPSIS.encode())


@given(content=contents)
def test_apns_alerts_fit(content: Content) -> None:
    payload = apns_payload(content)
    found = json.loads(payload)
    assert len(payload) <= APNS_BYTES
    _check(found["aps"].get("alert", {}), content)
    assert {name: found[name] for name in content.extras} == content.extras


@given(content=contents)
def test_fcm_notifications_fit(content: Content) -> None:
    payload = fcm_message(content, PUSH_TOKEN, ttl_seconds=60)
    message = json.loads(payload)["message"]
    assert len(payload) - len(PUSH_TOKEN) - 2 <= FCM_BYTES
    assert message["token"] == PUSH_TOKEN
    _check(message.get("notification", {}), content)
    assert set(message["data"]) == {*content.extras, "pushid"}
    assert all(isinstance(value, str) for value in message["data"].values())


@given(content=contents)
def test_web_pushes_fit(content: Content) -> None:
    payload = web_push_payload(content)
    found = json.loads(payload)
    assert len(payload) <= LONGEST_PLAINTEXT
    _check(found, content)
    assert found.get("extras", {}) == content.extras


@given(content=contents)
def test_encrypted_pushes_fit_and_use_the_room(content: Content) -> None:
    payload = apns_payload(content, encryption=ENCRYPTION)
    found = json.loads(jwe.decrypt(json.loads(payload)["data"], KEY))
    assert len(payload) <= APNS_BYTES
    _check(found, content)
    assert found.get("extras", {}) == content.extras
    message = fcm_message(content, PUSH_TOKEN, encryption=ENCRYPTION)
    assert len(message) - len(PUSH_TOKEN) - 2 <= FCM_BYTES
    _check(json.loads(jwe.decrypt(json.loads(message)["message"]["data"]["body"], KEY)), content)


@given(name=texts)
def test_a_caller_with_a_long_name_still_rings(name: str) -> None:
    call = CallContent(display_name=name, display_number="+14085550123", ring_expires_at=1_800_000_000_000)
    content = Content(push_id="0" * 36, purpose="call", call=call)
    plain = apns_payload(content, voip=True)
    sealed = apns_payload(content, voip=True, encryption=ENCRYPTION)
    assert max(len(plain), len(sealed)) <= APNS_VOIP_BYTES
    read = read_call_push(jwe.decrypt(json.loads(sealed)["data"], KEY))
    assert _is_beginning(read.displayname, name)
    assert (read.pushid, read.displaynumber) == (content.push_id, call.display_number)
    assert len(fcm_message(content, PUSH_TOKEN)) - len(PUSH_TOKEN) - 2 <= FCM_BYTES


@given(text=st.text(alphabet='x"\x01漢👍', min_size=1, max_size=12), more=st.integers(0, 3_000))
def test_what_there_is_room_for_reaches_every_phone(text: str, more: int) -> None:
    content = Content(
        push_id="0" * 36, title=text, body=text, sound=text * 20, thread=text * 20, title_loc_key="K",
        title_loc_args=(text,) * 20, collapse_id="é" * 32, extras={"a": "x" * more, "b": [text]},
    )  # fmt: skip
    try:
        check_room(content)
    except PayloadTooLarge:
        return
    for encryption in (None, ENCRYPTION):
        apns_payload(content, encryption=encryption)
        fcm_message(content, PUSH_TOKEN, ttl_seconds=2_419_200, encryption=encryption)
        web_push_payload(content, encryption=encryption)


def test_extras_as_large_as_they_may_be_leave_room_for_an_ordinary_push() -> None:
    check_room(
        Content(
            push_id="", title="T", body="B", sound="default", icon="lock", category="approval", thread="t" * 36,
            collapse_id="c" * 64, extras={"a": "x" * 2_040},
        )
    )  # fmt: skip


@pytest.mark.parametrize("letter", ["x", "👍", "\x01"])
def test_every_operation_can_be_told(letter: str) -> None:
    """Whatever its template is called, and whatever stands in its texts."""
    told = {"messageType": "mtoken.operationInit", "operationId": "0" * 36, "operationName": letter * 255}
    check_room(Content(push_id="", title=letter * 9_000, body=letter * 9_000, sound="default", extras=told))


@pytest.mark.parametrize("letter", ["x", "漢", "👍", '"'])
def test_the_longest_call_still_rings(letter: str) -> None:
    call = CallContent(display_name=letter * 128, display_number=letter * 256, ring_expires_at=1_800_000_000_000)
    content = Content(push_id="0" * 36, purpose="call", call=call)
    for encryption in (None, ENCRYPTION):
        apns_payload(content, voip=True, encryption=encryption)
        apns_payload(content, encryption=encryption)
        fcm_message(content, PUSH_TOKEN, ttl_seconds=60, encryption=encryption)
        web_push_payload(content, encryption=encryption)


def test_all_the_room_is_used() -> None:
    content = Content(push_id="p", title="Balance", body="x" * 9_000)
    assert len(apns_payload(content)) == APNS_BYTES
    assert len(web_push_payload(content)) == LONGEST_PLAINTEXT
    assert APNS_BYTES - 2 <= len(apns_payload(content, encryption=ENCRYPTION)) <= APNS_BYTES  # Base64 goes by threes


def test_three_letters_that_are_escaped_make_room_too() -> None:
    size = len(apns_payload(Content(push_id="p", title=ELLIPSIS, extras={"a": ""})))
    content = Content(push_id="p", title="\x01" * 3, extras={"a": "x" * (APNS_BYTES - size)})
    assert json.loads(apns_payload(content))["aps"]["alert"] == {"title": ELLIPSIS}


def test_the_body_is_shortened_before_the_title() -> None:
    alert = json.loads(apns_payload(Content(push_id="p", title="T" * 3_000, body="B" * 3_000)))["aps"]["alert"]
    assert alert["title"] == "T" * 3_000
    assert alert["body"].startswith("BBB")
    alert = json.loads(apns_payload(Content(push_id="p", title="T" * 5_000, body="B" * 3_000)))["aps"]["alert"]
    assert alert["body"] == ELLIPSIS
    assert alert["title"].startswith("TTT")


@pytest.mark.parametrize("encryption", [None, ENCRYPTION])
def test_extras_are_never_shortened(encryption: Encryption | None) -> None:
    content = Content(push_id="p", title="T", body="B", extras={"data": "x" * 5_000})
    for write in (apns_payload, web_push_payload):
        with pytest.raises(PayloadTooLarge) as caught:
            write(content, encryption=encryption)
        assert caught.value.field == "extras"
    with pytest.raises(PayloadTooLarge):
        fcm_message(content, PUSH_TOKEN, encryption=encryption)


def test_what_is_too_large_is_named() -> None:
    styled = Content(push_id="p", title="T" * 5_000, sound="s" * 100, extras={"a": "x" * 2_000})
    for content, field in (
        (msgspec.structs.replace(styled, title_loc_args=("x" * 255,) * 18), "titleLocArgs"),
        (msgspec.structs.replace(styled, body_loc_key="k" * 5_000), "bodyLocKey"),
        (msgspec.structs.replace(styled, extras={"a": "x" * 5_000}), "extras"),
    ):
        with pytest.raises(PayloadTooLarge) as caught:
            apns_payload(content)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("hello", 4, "hell…"),
        ("hello", 0, "…"),
        ("a" + FAMILY + "b", len(FAMILY), "a…"),
        ("a" + FAMILY + "b", len(FAMILY) + 1, "a" + FAMILY + "…"),
        ("a" + FLAG + FLAG, 2, "a…"),
        ("a" + FLAG + FLAG, 4, "a" + FLAG + "…"),
        ("e\u0301e\u0301", 1, "…"),
        ("e\u0301e\u0301", 3, "e\u0301…"),
        ("👍🏽👍🏽", 3, "👍🏽…"),
        ("✈\ufe0f!", 1, "…"),
        ("\u1100\u1161\u11a8.", 2, "…"),
        ("a\r\nb", 2, "a…"),
        ("x" + "\u0301" * 500, 200, "x" + "\u0301" * 199 + "…"),
    ],
)
def test_no_character_of_several_code_points_is_broken(text: str, most: int, shown: str) -> None:
    assert shortened(text, most) == shown


@given(text=st.text(min_size=1, max_size=200), most=st.integers(0, 199))
def test_what_is_shortened_is_a_beginning_and_ends_between_characters(text: str, most: int) -> None:
    most = min(most, len(text) - 1)
    shown = shortened(text, most)
    kept = shown.removesuffix(ELLIPSIS)
    assert text.startswith(kept)
    assert len(kept) <= most
    if kept and len(kept) < most:
        assert not unicodedata.category(text[len(kept)]).startswith("M")
