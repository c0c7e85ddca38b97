"""The room over HTTP, with a back end, an administrator, and a phone in software."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.http import IdempotencyKeys
from ringback.http.idempotency import claim_key
from ringback.softphone import Phone, Unlock
from ringback.store import Store, Tx
from tests.journeys.phones import PIN, Bank
from tests.served import Served

OPERATIONS = "/powerauth-cloud/v2/operations"
TEMPLATES = "/api/v1/operation-templates"
LIST = "/api/auth/token/app/operation/list"
TEMPLATE: dict[str, Any] = {
    "name": "transfer",
    "operationType": "transfer",
    "dataTemplate": "A1*A${amount}EUR",
    "texts": [{"language": "en", "title": "Transfer", "message": "${amount} EUR?"}],
}
TUTORIAL_LOGIN = {"userId": "{userId}", "template": "login", "language": "en"}
TUTORIAL_PAYMENT = {
    "userId": "{userId}",
    "template": "login",
    "language": "en",
    "parameters": {"amount": "1000000000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"},
}


async def phone_of(served: Served, user: str) -> Phone:
    bank = Bank.of_served(served)
    return bank.phone(await bank.enrol(user))


async def test_the_payloads_of_the_tutorial(served: Served) -> None:
    for payload in (TUTORIAL_LOGIN, TUTORIAL_PAYMENT):
        created = await served.call("POST", OPERATIONS, payload)
        assert created.status == 200
        operation_id = created.body["operationId"]
        seen = await served.call("GET", f"{OPERATIONS}/{operation_id}?operationId={operation_id}")
        assert seen.body == created.body
        assert seen.body["status"] == "PENDING"
        assert seen.body["parameters"] == payload.get("parameters", {})
        deleted = await served.call("DELETE", f"{OPERATIONS}/{operation_id}", {"operationId": operation_id})
        assert (deleted.status, deleted.body) == (200, {"status": "OK"})
        again = await served.call("DELETE", f"{OPERATIONS}/{operation_id}")
        assert (again.status, again.body["responseObject"]["code"]) == (400, "ERROR_OPERATION_STATE_CHANGE")


async def test_a_reason_for_cancelling(served: Served) -> None:
    operation_id = (await served.call("POST", OPERATIONS, TUTORIAL_LOGIN)).body["operationId"]
    await served.call("DELETE", f"{OPERATIONS}/{operation_id}?statusReason=changed%20our%20mind")
    seen = (await served.call("GET", f"{OPERATIONS}/{operation_id}")).body
    assert (seen["status"], seen["statusReason"]) == ("CANCELED", "changed our mind")


async def test_another_tenant_sees_nothing(served: Served) -> None:
    operation_id = (await served.call("POST", OPERATIONS, TUTORIAL_LOGIN)).body["operationId"]
    _, other = await served.new_tenant("shop")
    for method in ("GET", "DELETE"):
        theirs = await served.call(method, f"{OPERATIONS}/{operation_id}", auth=other)
        unknown = await served.call(method, f"{OPERATIONS}/nothing", auth=other)
        assert (theirs.status, theirs.body) == (unknown.status, unknown.body)
        assert theirs.body["responseObject"]["code"] == "ERROR_OPERATION_NOT_FOUND"
    assert (await served.call("POST", OPERATIONS, TUTORIAL_LOGIN, auth=served.admin)).status == 403


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"template": "login", "userId": ""},
        {"template": "nothing", "userId": "a"},
        {"template": "login", "userId": "a", "proximityCheckEnabled": "yes"},
        {"template": "login", "userId": "a", "timestampExpires": 1},
        {"template": "login", "userId": "a", "timestampExpires": 10**30},
        {"template": "login", "userId": "a", "parameters": {"a": "\x01"}},
        {"template": "login", "userId": "a\x00"},
        {"template": "login", "userId": "a" * 256},
    ],
)
async def test_bad_requests(served: Served, payload: dict[str, Any]) -> None:
    refused = await served.call("POST", OPERATIONS, payload)
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")


async def test_a_payment_from_push_to_approval(served: Served) -> None:
    phone = await phone_of(served, "alice")
    async with phone:
        await phone.register_push("local")
        payload = {**TUTORIAL_PAYMENT, "userId": "alice", "template": "payment"}
        async with asyncio.timeout(60), phone.open_push_stream() as stream:
            created = (await served.call("POST", OPERATIONS, payload)).body
            push = await anext(stream)
        assert created["operationId"] in repr(push)
        (listed,) = await phone.list_operations()
        assert listed.id == created["operationId"]
        await phone.approve(listed.id, Unlock(biometry=True))
        seen = (await served.call("GET", f"{OPERATIONS}/{listed.id}")).body
        assert seen["status"] == "APPROVED"
        assert seen["additionalData"]["authFactor"] == "possession_biometry"
        assert seen["timestampFinalized"] >= seen["timestampCreated"]
        with pytest.raises(Exception, match=r"(?i)finished|OPERATION_ALREADY_FINISHED"):
            await phone.approve(listed.id, Unlock(biometry=True))


async def test_a_phone_that_hangs_up_leaves_nothing_behind(served: Served) -> None:
    async with await phone_of(served, "alice") as phone:
        async with phone.open_push_stream():
            assert served.rooms.streams.count() == 1
        async with asyncio.timeout(60):
            while served.rooms.streams.count():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_wrong_pin_counts_twice_over(served: Served) -> None:
    phone = await phone_of(served, "alice")
    async with phone:
        created = (await served.call("POST", OPERATIONS, {**TUTORIAL_LOGIN, "userId": "alice"})).body
        with pytest.raises(Exception, match=r".+"):
            await phone.approve(created["operationId"], Unlock(pin="0000" if PIN != "0000" else "1111"))
        seen = (await served.call("GET", f"{OPERATIONS}/{created['operationId']}")).body
        assert (seen["failureCount"], seen["status"]) == (1, "PENDING")
        await phone.reject(created["operationId"], "UNEXPECTED_OPERATION")
        seen = (await served.call("GET", f"{OPERATIONS}/{created['operationId']}")).body
        assert (seen["status"], seen["additionalData"]["rejectReason"]) == ("REJECTED", "UNEXPECTED_OPERATION")


async def test_without_a_proof(served: Served) -> None:
    paths = {"list": {}, "detail": {"requestObject": {"id": "x"}}, "authorize": {}, "cancel": {}}
    for path, body in paths.items():
        for headers in ({}, {"X-PowerAuth-Token": "no", "X-PowerAuth-Authorization": "no"}):
            refused = await served.phone_call("POST", LIST.replace("list", path), body, headers=headers)
            assert (refused.status, refused.body["responseObject"]["code"]) == (401, "POWERAUTH_AUTH_FAIL")
    refused = await served.phone_call("GET", "/api/push/local/stream")
    assert (refused.status, refused.body["responseObject"]["code"]) == (401, "ERR_AUTHENTICATION")


async def test_templates(served: Served) -> None:
    admin: dict[str, Any] = {"auth": served.admin}
    created = await served.call("POST", TEMPLATES, TEMPLATE, headers={"Idempotency-Key": "k1"}, **admin)
    assert (created.status, created.body["expirationSeconds"]) == (201, 300)
    again = await served.call("POST", TEMPLATES, TEMPLATE, headers={"Idempotency-Key": "k1"}, **admin)
    assert (again.status, again.body) == (created.status, created.body)
    other = {**TEMPLATE, "maxFailureCount": 1}
    refused = await served.call("POST", TEMPLATES, other, headers={"Idempotency-Key": "k1"}, **admin)
    assert (refused.status, refused.body["title"]) == (409, "IdempotencyKeyReused")
    taken = await served.call("POST", TEMPLATES, TEMPLATE, headers={"Idempotency-Key": "k2"}, **admin)
    assert (taken.status, taken.body["title"]) == (409, "TemplateExists")
    assert taken.headers["Content-Type"] == "application/problem+json"
    too_long = await served.call("POST", TEMPLATES, TEMPLATE, headers={"Idempotency-Key": "k" * 256}, **admin)
    assert too_long.status == 400
    page = (await served.call("GET", f"{TEMPLATES}?limit=2", **admin)).body
    assert [one["name"] for one in page["items"]] == ["login", "payment"]
    page = (await served.call("GET", f"{TEMPLATES}?limit=2&cursor={page['nextCursor']}", **admin)).body
    assert ([one["name"] for one in page["items"]], page["nextCursor"]) == (["transfer"], None)
    assert (await served.call("GET", f"{TEMPLATES}?cursor=%C3%A9", **admin)).status == 400
    changed = await served.call("PUT", f"{TEMPLATES}/transfer", {**TEMPLATE, "dataTemplate": "A2"}, **admin)
    assert changed.body["dataTemplate"] == "A2"
    assert (await served.call("DELETE", f"{TEMPLATES}/transfer", **admin)).status == 200
    assert (await served.call("GET", f"{TEMPLATES}/transfer", **admin)).status == 404
    assert (await served.call("GET", TEMPLATES)).status == 403


async def test_one_key_many_times_at_once_makes_one_template(served: Served) -> None:
    many = [
        served.call("POST", TEMPLATES, TEMPLATE, headers={"Idempotency-Key": "once"}, auth=served.admin)
        for _ in range(20)
    ]
    answers = await asyncio.gather(*many)
    assert {answer.status for answer in answers} == {201}
    assert all(answer.body == answers[0].body for answer in answers)
    assert await served.installation.store.write(served.rooms.idempotency_keys.purge, 10) == 0


async def test_keys_are_forgotten_after_a_day(store: Store, clock: ManualClock) -> None:
    keys = IdempotencyKeys(clock=clock)
    now = clock.now_ms()
    for n in range(3):

        async def keep(tx: Tx, n: int = n) -> None:
            await tx.one(claim_key, str(n), b"", now + n)

        await store.write(keep)
    clock.advance(86_400.002)
    assert await store.write(keys.purge, 10) == 2
