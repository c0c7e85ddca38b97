"""The tables: every row, as the providers' own words in, and what follows out."""

from __future__ import annotations

import msgspec
import pytest

from ringback.push.reactions import (
    APNS_REACTIONS,
    FCM_REACTIONS,
    WEB_PUSH_REACTIONS,
    Reaction,
    Verdict,
    apns_reaction,
    apns_words,
    fcm_reaction,
    web_push_reaction,
)
from ringback.testing import APNS_STATUSES, FCM_STATUSES

NOW = 1_800_000_000_000
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


def fcm_body(status: str, *details: object) -> bytes:
    return msgspec.json.encode({"error": {"code": 0, "message": "no", "status": status, "details": details}})


@pytest.mark.parametrize(("status", "reason"), APNS_REACTIONS)
def test_every_row_of_apns(status: int, reason: str) -> None:
    body = msgspec.json.encode({"reason": reason}) if reason else b""
    reaction = apns_reaction(status, {b"apns-id": b"ID"}, body, NOW)
    rule = APNS_REACTIONS[status, reason]
    assert (reaction.verdict, reaction.reason, reaction.status) == (rule.verdict, reason, status)
    assert reaction.provider_id == "ID"
    assert bool(rule.meaning) == (rule.verdict is not Verdict.DELIVERED)


def test_the_double_knows_no_reason_that_the_table_does_not() -> None:
    assert {(status, reason) for reason, status in APNS_STATUSES.items()} <= APNS_REACTIONS.keys()
    assert {(status, code) for code, (status, _, _) in FCM_STATUSES.items()} <= {key[:2] for key in FCM_REACTIONS}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (202, "DELIVERED"),
        (301, "FAILED"),
        (400, "FAILED"),
        (403, "PARK"),
        (408, "RETRY"),
        (410, "DELETE_PUSH_TOKEN"),
        (418, "FAILED"),
        (429, "RETRY"),
        (500, "RETRY"),
        (502, "RETRY"),
        (599, "RETRY"),
    ],
)
def test_what_no_table_of_apns_has_is_judged_by_its_class(status: int, verdict: str) -> None:
    for body in (b"", b"<html>", b'{"reason":"NewWord"}', b'{"reason":3}', b"[]", b"\xff"):
        assert apns_reaction(status, {}, body, NOW).verdict == verdict


def test_since_when_a_push_token_is_dead() -> None:
    body = b'{"reason":"Unregistered","timestamp":1700000000123}'
    assert apns_reaction(410, {}, body, NOW).unregistered_at == 1_700_000_000_123
    for nonsense in (b'"x"', b"-5", b"true", b"1e300", b"9999999999999999", b"null"):
        assert apns_words(b'{"reason":"Unregistered","timestamp":%b}' % nonsense) == ("Unregistered", None)


def test_the_other_answers_say_no_time_of_death() -> None:
    assert apns_reaction(400, {}, b'{"reason":"BadDeviceToken","timestamp":1700000000123}', NOW).unregistered_at is None


def test_words_of_a_stranger_are_cut_and_cleaned() -> None:
    word, _ = apns_words(msgspec.json.encode({"reason": "x\0\n" + "y" * 1000}))
    assert word.startswith("xy")
    assert len(word) <= 100


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b"Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        (b"99999999999999999999", 86_400.0),
        (b"soon", None),
        (b"-3", None),
        (b"", None),
    ],
)
def test_retry_after(value: bytes, seconds: float | None) -> None:
    assert apns_reaction(503, {b"retry-after": value}, b"", NOW).retry_after_seconds == seconds


@pytest.mark.parametrize(("status", "code", "said_by"), FCM_REACTIONS)
def test_every_row_of_fcm(status: int, code: str, said_by: str) -> None:
    detail = {
        "": [],
        "FcmError": [{"@type": FCM_ERROR, "errorCode": code}],
        "BadRequest": [{"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.data[0].value"}]}],
    }[said_by]
    body = fcm_body(code, *detail) if code else b'{"name":"projects/p/messages/1"}'
    reaction = fcm_reaction(status, {}, body, NOW)
    assert (reaction.verdict, reaction.reason) == (FCM_REACTIONS[status, code, said_by].verdict, code)


def test_of_two_answers_400_only_an_fcm_error_says_that_the_push_token_is_bad() -> None:
    fcm_error = {"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"}
    about_token = {"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.token"}]}
    about_data = {"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.data"}]}

    def verdict(*details: object) -> str:
        return fcm_reaction(400, {}, fcm_body("INVALID_ARGUMENT", *details), NOW).verdict

    assert verdict(fcm_error) == verdict(fcm_error, about_token) == "DELETE_PUSH_TOKEN"
    assert verdict(about_token) == verdict(about_data) == "FAILED"
    assert verdict(fcm_error, about_data) == verdict(about_data, fcm_error) == verdict() == "FAILED"


def test_the_field_that_fcm_does_not_accept_is_named() -> None:
    detail = {"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.android.ttl"}, {"field": 3}, 4]}
    assert "message.android.ttl" in fcm_reaction(400, {}, fcm_body("INVALID_ARGUMENT", detail, 5), NOW).sentence


def test_pauses_of_fcm() -> None:
    quota = fcm_body("RESOURCE_EXHAUSTED", {"@type": FCM_ERROR, "errorCode": "QUOTA_EXCEEDED"})
    assert fcm_reaction(429, {}, quota, NOW).retry_after_seconds == 60
    assert fcm_reaction(429, {b"retry-after": b"7"}, quota, NOW).retry_after_seconds == 7
    assert fcm_reaction(429, {}, b"", NOW).retry_after_seconds == 60
    assert fcm_reaction(503, {}, b"<html>", NOW).retry_after_seconds == 10
    assert fcm_reaction(404, {b"retry-after": b"7"}, b"", NOW).retry_after_seconds is None


def test_a_quota_of_the_project_stops_all_and_that_of_a_phone_only_its_pushes() -> None:
    quota = {"@type": FCM_ERROR, "errorCode": "QUOTA_EXCEEDED"}

    def failure(*violations: object) -> dict[str, object]:
        return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}

    def info(consumer: object) -> dict[str, object]:
        return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": {"consumer": consumer}}

    def stops_all(*details: object, status: int = 429) -> bool:
        return fcm_reaction(status, {}, fcm_body("RESOURCE_EXHAUSTED", *details), NOW).stops_all

    assert stops_all()
    assert stops_all(info("projects/1234"))
    assert stops_all(quota, info("projects/1234"))
    assert stops_all(quota, failure({"subject": "project:1234"}))
    assert not stops_all(quota)
    assert not stops_all(quota, failure({"subject": "device:eXample"}, {"subject": 3}, {}, 4), info(None), 5)
    assert not stops_all(quota, {**failure(), "violations": 3}, {**info(""), "metadata": []})
    assert not stops_all(info("projects/1234"), status=503)
    assert not fcm_reaction(429, {}, b"", NOW).stops_all


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"error":3}', b'{"error":{"details":3}}', b'{"error":{"details":[[]]}}']
)
def test_whatever_fcm_sends_is_judged(body: bytes) -> None:
    for status, verdict in (
        (400, "FAILED"),
        (401, "NEW_PROVIDER_TOKEN"),
        (403, "PARK"),
        (404, "FAILED"),
        (502, "RETRY"),
    ):
        assert fcm_reaction(status, {}, body, NOW).verdict == verdict
    assert fcm_reaction(200, {}, body, NOW) == Reaction(Verdict.DELIVERED, "", 200)


@pytest.mark.parametrize("inside", [b"[" * 60_000, b"[" * 30_000 + b"]" * 30_000, b"9" * 60_000, b"1e400"])
def test_no_body_is_too_strange_to_be_judged(inside: bytes) -> None:
    for name in (b'{"reason":"x","timestamp":', b'{"error":{"details":', b'{"error":{"status":"X","details":[{"a":'):
        assert apns_reaction(410, {}, name + inside, NOW).verdict == "DELETE_PUSH_TOKEN"
        assert fcm_reaction(503, {}, name + inside, NOW).verdict == "RETRY"


@pytest.mark.parametrize("status", WEB_PUSH_REACTIONS)
def test_every_row_of_web_push(status: int) -> None:
    reaction = web_push_reaction(status, {"location": "https://push.example/m/1", "retry-after": "9"}, NOW)
    assert reaction.verdict == WEB_PUSH_REACTIONS[status].verdict
    assert reaction.retry_after_seconds == (9 if reaction.verdict is Verdict.RETRY else None)
    assert (reaction.provider_id is not None) == (reaction.verdict is Verdict.DELIVERED)


def test_a_reason_is_a_sentence() -> None:
    reaction = apns_reaction(400, {}, b'{"reason":"DeviceTokenNotForTopic"}', NOW)
    assert reaction.sentence == "DeviceTokenNotForTopic: the push token belongs to an app with another bundle id"
    assert not apns_reaction(200, {}, b"", NOW).sentence
