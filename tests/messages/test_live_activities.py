"""Live Activities: a back end names the push token of one activity, and APNs gets what iOS draws there."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.testing import Providers, reject
from tests.messages.bank import Bank
from tests.served import Answer

PATH = "/api/v1/live-activities"
ACTIVITY = "A5" * 80
STATE = {"minutes": 5, "late": False}
UPDATE: dict[str, Any] = {
    "appId": "bank",
    "userId": "jan",
    "pushToken": ACTIVITY,
    "event": "update",
    "contentState": STATE,
}
START: dict[str, Any] = {
    **UPDATE,
    "event": "start",
    "attributesType": "Ride",
    "attributes": {},
    "title": "Taxi",
    "message": "Soon",
}


async def pushed(bank: Bank, **fields: Any) -> str:
    answer = await bank.post(PATH, **{**UPDATE, **fields})
    assert (answer.status, set(answer.body)) == (201, {"pushId"}), answer
    push_id: str = answer.body["pushId"]
    return push_id


async def test_an_activity_is_started_changed_and_ended(sending_bank: Bank, providers: Providers) -> None:
    bank, now = sending_bank, sending_bank.clock.now_ms()
    made = [await pushed(bank, **START, sound="ding", timestampStale=now + 60_000)]
    await providers.apns.wait_for(1, status=200)
    made.append(await pushed(bank, priority=5, timestampExpires=now + 30_000))
    await providers.apns.wait_for(2, status=200)
    made.append(await pushed(bank, event="end", contentState=None, timestampDismissal=now))
    start, update, end = await providers.apns.wait_for(3, status=200)
    assert [one.push_token for one in (start, update, end)] == [ACTIVITY.lower()] * 3
    assert {one.topic for one in (start, update, end)} == {f"{providers.bundle_id}.push-type.liveactivity"}
    assert [one.headers["apns-push-type"] for one in (start, update, end)] == ["liveactivity"] * 3
    assert [one.headers["apns-priority"] for one in (start, update, end)] == ["10", "5", "10"]
    assert update.headers["apns-expiration"] == str((now + 30_000) // 1000)
    assert start.payload["aps"] == {
        "timestamp": now // 1000,
        "event": "start",
        "stale-date": (now + 60_000) // 1000,
        "attributes-type": "Ride",
        "attributes": {},
        "alert": {"title": "Taxi", "body": "Soon", "sound": "ding"},
        "content-state": STATE,
    }
    assert update.payload["aps"] == {"timestamp": now // 1000, "event": "update", "content-state": STATE}
    assert end.payload["aps"] == {"timestamp": now // 1000, "event": "end", "dismissal-date": now // 1000}
    assert [one.payload["pushid"] for one in (start, update, end)] == made


async def test_what_became_of_it_can_be_asked(sending_bank: Bank, providers: Providers) -> None:
    bank = sending_bank
    providers.apns_sandbox.script(ACTIVITY.lower(), [reject("Unregistered")])
    push_id = await pushed(bank, environment="development")
    await providers.apns_sandbox.wait_for(1, status=410)
    trace = await bank.trace(push_id)
    while trace["pushes"][0]["status"] == "QUEUED":
        trace = await bank.trace(push_id)
    assert (trace["userId"], trace["subjectKind"]) == ("jan", "liveActivity")
    [considered], [push] = trace["considered"], trace["pushes"]
    assert (considered["used"], considered["pushToken"]) == (True, "a5a5a5…a5a5a5")
    assert (push["kind"], push["status"], push["pushId"]) == ("apns-liveactivity", "FAILED", push_id)
    assert push["reason"].startswith("Unregistered")
    assert [one["attempt"] for one in push["attempts"]] == [1]
    listed = await bank.get("/api/v1/pushes?userId=jan")
    assert [one["pushes"][0]["pushId"] for one in listed.body["items"]] == [push_id]
    assert not providers.apns.received


async def test_nothing_else_is_sent_to_an_activity(sending_bank: Bank, providers: Providers) -> None:
    await pushed(sending_bank)
    await providers.apns.wait_for(1, status=200)
    made = await sending_bank.post("/api/v1/messages", userId="jan", title="News")
    assert made.body["pushIds"] == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"pushToken": "taxi"}, "pushToken"),
        ({"pushToken": ACTIVITY[1:]}, "pushToken"),
        ({"event": "stop"}, "event"),
        ({"contentState": None}, "contentState"),
        ({"contentState": []}, "contentState"),
        ({"contentState": {"text": "x" * 3_600}}, "contentState"),
        ({**START, "contentState": {"text": "x" * 3_500}, "sound": "漢" * 255}, "contentState"),
        ({"attributes": {}}, "attributes"),
        ({"attributesType": "Ride"}, "attributesType"),
        ({**START, "attributes": None}, "attributes"),
        ({**START, "attributesType": None}, "attributesType"),
        ({**START, "title": " "}, "title"),
        ({"timestampDismissal": 1}, "timestampDismissal"),
        ({"timestampExpires": 1}, "timestampExpires"),
        ({"priority": 1}, "priority"),
        ({"environment": "sandbox"}, "environment"),
        ({"userId": ""}, "userId"),
    ],
)
async def test_what_apns_would_not_understand_is_refused(bank_sqlite: Bank, fields: dict[str, Any], named: str) -> None:
    refused: Answer = await bank_sqlite.post(PATH, **{**UPDATE, **fields})
    assert refused.status == 400
    assert [one["fieldName"] for one in refused.body["violations"]] == [named]


async def test_an_app_of_others(bank_sqlite: Bank) -> None:
    app, other = await bank_sqlite.served.new_tenant("shop")
    refused = await bank_sqlite.served.call("POST", PATH, UPDATE, auth=other)
    unknown = await bank_sqlite.post(PATH, **{**UPDATE, "appId": "nothing"})
    assert (refused.status, refused.body["code"]) == (unknown.status, unknown.body["code"])
    assert (await bank_sqlite.served.call("POST", PATH, {**UPDATE, "appId": app["id"]}, auth=other)).status == 201
