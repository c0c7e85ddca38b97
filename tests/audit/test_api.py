"""The audit log over HTTP: PowerAuth Cloud's shape to the letter, and ours."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import quote

import pytest

from ringback.softphone import MemoryState, Phone, Unlock
from tests.served import Answer, Served

LOG = "/powerauth-cloud/audit/log"
NATIVE = "/api/v1/audit"
REGISTRATIONS = "/powerauth-cloud/v2/registrations"


async def phone_of(served: Served) -> tuple[Phone, str]:
    created = (await served.call("POST", REGISTRATIONS, {"userId": "alice", "appId": "bank"})).body
    phone = Phone(MemoryState(), session=served.session)
    code = created["activationQrCodeData"]
    await phone.activate(served.public, served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
    await served.call("POST", f"{REGISTRATIONS}/{created['registrationId']}/commit")
    return phone, created["registrationId"]


async def verify(served: Served, phone: Phone, signed: bytes, sent: bytes) -> bool:
    body = {
        "method": "POST",
        "uriId": "/payment",
        "authHeader": phone.sign("POST", "/payment", signed, Unlock(pin="1234")),
        "requestBody": base64.b64encode(sent).decode(),
    }
    answer = await served.call("POST", "/powerauth-cloud/v2/signature/verify", body)
    return bool(answer.body["signatureValid"])


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["responseObject"]["code"]


async def test_signature_checks_as_powerauth_cloud_shows_them(served: Served) -> None:
    start = int(time.time() * 1000)
    phone, registration_id = await phone_of(served)
    assert await verify(served, phone, '{"číslo":1}'.encode(), '{"číslo":1}'.encode())
    assert not await verify(served, phone, b"a", b"\xff")
    await served.call("PUT", f"{REGISTRATIONS}/{registration_id}", {"change": "BLOCK"})
    assert not await verify(served, phone, b"b", b"b")
    items = (await served.call("GET", f"{LOG}?userId=alice")).body["items"]
    assert [(item["eventType"], item["eventData"]) for item in items] == [
        ("activation_invalid_state", "POST\n/payment\nb"),
        ("signature_does_not_match", "POST\n/payment\n\N{REPLACEMENT CHARACTER}"),
        ("signature_ok", 'POST\n/payment\n{"číslo":1}'),
    ]
    assert {frozenset(item) for item in items} == {frozenset({"activationId", "eventType", "eventData", "timestamp"})}
    assert {item["activationId"] for item in items} == {registration_id}
    assert start <= items[-1]["timestamp"] <= items[0]["timestamp"] <= int(time.time() * 1000)
    middle = items[1]["timestamp"]
    one = (await served.call("GET", f"{LOG}?userId=alice&timestampFrom={middle}&timestampTo={middle}")).body["items"]
    assert items[1] in one
    page = (await served.call("GET", f"{LOG}?userId=alice&pageNumber=1&pageSize=1")).body["items"]
    assert page == [items[1]]
    assert (await served.call("GET", f"{LOG}?userId=bob")).body == {"items": []}


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("", "ERROR_REQUEST", "userId"),
        ("?userId=alice&timestampFrom=-1", "ERROR_REQUEST", "timestampFrom"),
        ("?userId=alice&timestampTo=-1", "ERROR_REQUEST", "timestampTo"),
        ("?userId=alice&timestampTo=x", "ERROR_REQUEST", "timestampTo"),
        ("?userId=alice&pageNumber=10001&pageSize=1", "ERROR_REQUEST", "pageNumber"),
        ("?userId=alice&timestampFrom=2&timestampTo=1", "ERROR_AUDIT", None),
    ],
)
async def test_what_is_wrong_is_said(served_sqlite: Served, query: str, code: str, field: str | None) -> None:
    answer = await served_sqlite.call("GET", LOG + query)
    assert refused(answer) == (400, code)
    violations = answer.body["responseObject"].get("violations", [{"fieldName": None}])
    assert [violation["fieldName"] for violation in violations] == [field]


async def test_entries_go_on_from_a_cursor(served: Served) -> None:
    _, registration_id = await phone_of(served)
    shown: list[dict[str, Any]] = []
    cursor = ""
    while True:
        path = f"{NATIVE}?subjectId={registration_id}&limit=1&cursor={quote(cursor)}"
        page = (await served.call("GET", path)).body
        assert len(page["items"]) == 1
        shown += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = page["nextCursor"]
    assert [entry["action"] for entry in shown] == [
        "registration.commit",
        "registration.key_exchange",
        "registration.create",
    ]
    assert shown[0]["details"] == {"from": "PENDING_COMMIT", "to": "ACTIVE"}
    assert (shown[0]["principalKind"], shown[0]["principalName"]) == ("system_user", "bank-back-end")
    assert (shown[0]["appId"], shown[0]["userId"], shown[0]["subjectKind"]) == ("bank", "alice", "registration")


async def test_administrators_see_all_and_others_their_apps(served: Served) -> None:
    await phone_of(served)
    _, shop = await served.new_tenant("shop")
    newest = (await served.call("GET", NATIVE, auth=served.admin)).body["items"]
    assert newest[0]["action"] == "system_user.allow_app"
    of_alice = f"{NATIVE}?userId=alice"
    assert len((await served.call("GET", of_alice, auth=served.admin)).body["items"]) == 3
    assert (await served.call("GET", of_alice, auth=shop)).body == {"items": [], "nextCursor": None}
    assert (await served.call("GET", NATIVE)).status == 400
    assert (await served.call("GET", f"{of_alice}&appId=shop")).status == 400
    assert (await served.call("GET", f"{of_alice}&cursor=***")).status == 400
