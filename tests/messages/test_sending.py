"""Messages that a back end sends: PowerAuth Cloud's way, and ours with texts by language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringback.store import Query
from tests.messages.bank import MESSAGES, SEND, SHORT, Bank
from tests.served import Answer

_payloads = Query("test_payloads", "What is pushed.", "SELECT payload, status FROM pushes ORDER BY id")


async def payloads(bank: Bank) -> list[dict[str, Any]]:
    rows = await bank.served.installation.store.read(lambda tx: tx.all(_payloads))
    return [json.loads(payload) for payload, _ in rows]


def field_of(answer: Answer) -> str:
    """The field that a refusal names, in either API."""
    shown = answer.body.get("responseObject", answer.body)
    return str(shown["violations"][0]["fieldName"])


async def test_a_message_goes_to_all_phones_of_the_user_or_to_one(bank: Bank) -> None:
    first, second = await bank.with_local("jan"), await bank.with_local("jan")
    other = await bank.with_local("eva")
    sent = await bank.post(SEND, userId="jan", sound="default", extras={"account": 7}, **SHORT)
    assert (sent.status, sent.body["status"], sent.body["pushes"]) == (200, "OK", 2)
    one = await bank.post(SEND, userId="jan", registrationId=second.state.activation_id, **SHORT)
    assert one.body["pushes"] == 1
    told = await payloads(bank)
    assert {one["registrationId"] for one in told[:2]} == {first.state.activation_id, second.state.activation_id}
    assert told[2]["registrationId"] == second.state.activation_id
    assert (told[0]["title"], told[0]["message"], told[0]["sound"], told[0]["extras"]) == (
        "Balance Update", "Look at it.", "default", {"account": 7},
    )  # fmt: skip
    assert other.state.activation_id not in json.dumps(told)


async def test_success_means_queued_even_when_nobody_is_reached(bank: Bank) -> None:
    phone = await bank.with_local("jan")
    for fields in (
        {"userId": "nobody"},
        {"userId": "jan", "registrationId": "00000000-0000-0000-0000-000000000000"},
        {"userId": "eva", "registrationId": phone.state.activation_id},
    ):
        sent = await bank.post(SEND, **fields, **SHORT)
        assert (sent.status, sent.body["status"], sent.body["pushes"]) == (200, "OK", 0)
    assert await payloads(bank) == []


async def test_a_silent_message_needs_no_text_and_shows_none(bank: Bank) -> None:
    await bank.with_local("jan")
    assert (await bank.post(SEND, userId="jan", silent=True, extras={"sync": "now"})).body["pushes"] == 1
    [told] = await payloads(bank)
    assert (told["silent"], told["title"], told["message"], told["extras"]) == (True, None, None, {"sync": "now"})


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"title": " "}, "ERROR_PUSH_MESSAGE", "title"),
        ({"title": None}, "ERROR_PUSH_MESSAGE", "title"),
        ({"message": ""}, "ERROR_PUSH_MESSAGE", "message"),
        ({"title": "x" * 5000}, "ERROR_REQUEST", "title"),
        ({"title": "x" * 1025}, "ERROR_REQUEST", "title"),
        ({"message": "x" * 10_001}, "ERROR_REQUEST", "message"),
        ({"userId": ""}, "ERROR_REQUEST", "userId"),
        ({"extras": {"a": "x" * 2048}}, "ERROR_REQUEST", "extras"),
        ({"extras": {"aps": {}}}, "ERROR_REQUEST", "extras.aps"),
        ({"extras": {"a": {"b": '"\\' * 500}}}, "ERROR_REQUEST", "extras"),
        ({"extras": {"a": "x" * 2000}, "sound": "\x01" * 255}, "ERROR_REQUEST", "extras"),
        ({"extras": []}, "ERROR_REQUEST", "extras"),
        ({"sound": "x" * 256}, "ERROR_REQUEST", "sound"),
        ({"silent": "yes"}, "ERROR_REQUEST", "silent"),
    ],
)
async def test_what_is_refused_names_its_field_and_stores_nothing(
    bank_sqlite: Bank, fields: dict[str, Any], code: str, field: str
) -> None:
    bank = bank_sqlite
    await bank.with_local("jan")
    refused = await bank.post(SEND, **{"userId": "jan", **SHORT, **fields})
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, code)
    assert field_of(refused) == field
    assert await payloads(bank) == []


async def test_a_user_without_an_application_sends_nothing(bank: Bank) -> None:
    made = await bank.post("/powerauth-cloud/admin/users", auth=bank.served.admin, username="lonely")
    lonely = bank.served.integration._replace(login="lonely", password=made.body["password"])
    assert (await bank.post(SEND, auth=lonely, userId="jan", **SHORT)).status == 400
    assert (await bank.post(MESSAGES, auth=lonely, userId="jan", **SHORT)).status == 400


async def test_texts_by_language_reach_each_phone_in_its_own(bank: Bank) -> None:
    czech, german, silent = [await bank.with_local("jan", one) for one in ("cs", "de-AT,de;q=0.9", None)]
    texts = {"en": {"title": "Hello", "message": "News"}, "cs": {"title": "Ahoj", "message": "Novinky"}}
    sent = await bank.post(MESSAGES, userId="jan", texts=texts)
    assert (sent.status, len(sent.body["pushIds"])) == (201, 3)
    titles = {one["registrationId"]: (one["title"], one["message"]) for one in await payloads(bank)}
    assert titles[czech.state.activation_id] == ("Ahoj", "Novinky")
    assert titles[german.state.activation_id] == titles[silent.state.activation_id] == ("Hello", "News")


async def test_the_app_may_have_the_texts_itself(bank: Bank) -> None:
    phone = await bank.phone("jan")
    await bank.register("jan", phone, "fcm")
    sent = await bank.post(
        MESSAGES, userId="jan", titleLocKey="NEWS", titleLocArgs=["7"], messageLocKey="BODY", badge=0,
        collapseId="news", category="c", thread="t", icon="i", sound="ding",
    )  # fmt: skip
    assert sent.status == 201
    [told] = await payloads(bank)
    assert (told["titleLocKey"], told["titleLocArgs"], told["bodyLocKey"]) == ("NEWS", ["7"], "BODY")
    assert (told["badge"], told["collapseId"], told["category"], told["thread"]) == (0, "news", "c", "t")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "title"),
        ({"title": "a", "texts": {"en": {"title": "b"}}}, "title"),
        ({"title": "a", "titleLocKey": "K"}, "title"),
        ({"texts": {"en": {"title": "b"}}, "message": "c"}, "message"),
        ({"texts": {}}, "title"),
        ({"texts": {"English": {"title": "b"}}}, "texts"),
        ({"texts": {"en": {"title": ""}}}, "texts[...].title"),
        ({"title": "a", "collapseId": "ř" * 40}, "collapseId"),
        ({"title": "a", "badge": -1}, "badge"),
        ({"title": "a", "timestampExpires": 1}, "timestampExpires"),
        ({"title": "a", "appIds": []}, "appIds"),
        ({"titleLocKey": "K", "titleLocArgs": ["x" * 255] * 18}, "titleLocArgs"),
        ({"titleLocKey": "K", "messageLocKey": "L", "messageLocArgs": ["x" * 255] * 12}, "messageLocArgs"),
        (
            {"title": "a", "icon": "漢" * 250, "sound": "漢" * 251, "category": "漢" * 255, "thread": "漢" * 254},
            "category",
        ),
        ({"texts": {"en": {"title": "a"}}, "extras": {"a": ["\\" * 1_000]}}, "extras"),
        ({"silent": True, "extras": {"a": ["\\" * 1_000]}}, "extras"),
    ],
)
async def test_what_the_native_api_refuses(bank_sqlite: Bank, fields: dict[str, Any], field: str) -> None:
    await bank_sqlite.with_local("jan")
    refused = await bank_sqlite.post(MESSAGES, userId="jan", **fields)
    assert (refused.status, refused.headers["Content-Type"]) == (400, "application/problem+json")
    assert field_of(refused) == field
    assert await payloads(bank_sqlite) == []


async def test_only_some_of_the_apps_and_never_those_of_others(bank: Bank) -> None:
    _, shop = await bank.served.new_tenant("shop")
    await bank.with_local("jan")
    assert (await bank.post(MESSAGES, userId="jan", title="a", appIds=["bank"])).status == 201
    assert (await bank.post(MESSAGES, userId="jan", title="a", appIds=["bank", "shop"])).status == 400
    stranger = await bank.post(MESSAGES, auth=shop, userId="jan", title="a")
    assert (stranger.status, stranger.body["pushIds"]) == (201, [])


async def test_the_same_request_sent_again_tells_nobody_twice(bank: Bank) -> None:
    await bank.with_local("jan")
    options = {"headers": {"Idempotency-Key": "monday"}}
    body = {"userId": "jan", "title": "a"}
    first, again = [await bank.served.call("POST", MESSAGES, body, **options) for _ in range(2)]
    assert first.body == again.body
    assert len(await payloads(bank)) == 1
    other = await bank.served.call("POST", MESSAGES, {**body, "title": "b"}, **options)
    assert other.status == 409


async def test_who_sent_it_is_in_the_audit_log(bank: Bank) -> None:
    sent = await bank.post(SEND, userId="jan", **SHORT)
    entries = (await bank.get(f"/api/v1/audit?subjectId={sent.body['messageId']}")).body["items"]
    assert [(one["action"], one["userId"]) for one in entries] == [("message.send", "jan")]
    assert "Balance" not in json.dumps(entries)
