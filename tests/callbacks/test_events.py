"""A whole server: everything that happens to registrations and operations is told, as it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.clock import ManualClock
from ringback.softphone import MemoryState, Phone, Unlock
from ringback.softphone.errors import RefusedByServer
from tests.callbacks.receiver import Receiver, Told
from tests.served import Served

UNLOCK = Unlock(biometry=True)
OPERATIONS = "/powerauth-cloud/v2/operations"
REGISTRATIONS = "/powerauth-cloud/v2/registrations"
CLAIM = "/api/auth/token/app/operation/detail/claim"


async def listen(served: Served, receiver: Receiver, kind: str, *attributes: str, path: str = "/hook") -> None:
    body = {
        "name": "hook",
        "type": kind,
        "callbackUrl": receiver.url.removesuffix("/hook") + path,
        "attributes": attributes,
    }
    made = await served.call("POST", "/powerauth-cloud/v2/admin/applications/bank/callbacks", body)
    assert made.status == 200, made


async def enrol(served: Served, user_id: str = "alice") -> tuple[Phone, str]:
    created = (await served.call("POST", REGISTRATIONS, {"userId": user_id, "appId": "bank"})).body
    phone = Phone(MemoryState(), session=served.session)
    code = created["activationQrCodeData"]
    await phone.activate(served.public, served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
    await served.call("POST", f"{REGISTRATIONS}/{created['registrationId']}/commit")
    return phone, created["registrationId"]


async def ask(served: Served, **fields: Any) -> str:
    made = await served.call("POST", OPERATIONS, {"template": "login", "userId": "alice", "silent": True, **fields})
    assert made.status == 200, made
    operation_id: str = made.body["operationId"]
    return operation_id


def said(told: list[Told], *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(one.body[name] for name in names) for one in told), key=str)


async def test_every_status_of_a_registration(calling: Served, receiver: Receiver) -> None:
    attributes = ("userId", "activationStatus", "blockedReason", "activationName", "applicationId", "activationFlags")
    await listen(calling, receiver, "REGISTRATION_STATUS_CHANGE", *attributes)
    _, registration_id = await enrol(calling)
    path = f"{REGISTRATIONS}/{registration_id}"
    for change in ({"change": "BLOCK", "blockReason": "LOST"}, {"change": "UNBLOCK"}, {"change": "REMOVE"}):
        assert (await calling.call("PUT", path, change)).status == 200
    told = await receiver.wait_for(6)
    assert said(told, "activationStatus", "blockedReason") == [
        ("ACTIVE", None),
        ("ACTIVE", None),
        ("BLOCKED", "LOST"),
        ("CREATED", None),
        ("PENDING_COMMIT", None),
        ("REMOVED", None),
    ]
    assert {(one.body["type"], one.body["activationId"], one.body["userId"]) for one in told} == {
        ("ACTIVATION", registration_id, "alice")
    }
    assert {one.body["activationName"] for one in told} == {None, "Phone"}


async def test_wrong_signatures_that_block_a_phone_are_told(calling: Served, receiver: Receiver) -> None:
    phone, _ = await enrol(calling)
    await listen(calling, receiver, "REGISTRATION_STATUS_CHANGE", "activationStatus", "blockedReason")
    for _ in range(5):
        with pytest.raises(RefusedByServer):
            await phone.validate(Unlock(pin="9999"))
    (told,) = await receiver.wait_for(1)
    assert (told.body["activationStatus"], told.body["blockedReason"]) == ("BLOCKED", "MAX_FAILED_ATTEMPTS")


async def test_a_registration_that_expires_is_told(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    settings = {"egress_allow": "127.0.0.0/8", "activation_validity_seconds": "1"}
    clock = ManualClock()
    async with Served.start(tmp_path, database_url, clock=clock, **settings) as served:
        await listen(served, receiver, "REGISTRATION_STATUS_CHANGE", "activationStatus")
        created = (await served.call("POST", REGISTRATIONS, {"userId": "alice", "appId": "bank"})).body
        clock.advance(1.1)
        await served.call("GET", f"{REGISTRATIONS}/{created['registrationId']}")
        told = await receiver.wait_for(2)
    assert said(told, "activationStatus") == [("CREATED",), ("REMOVED",)]


async def test_an_operation_that_is_created_and_cancelled(calling: Served, receiver: Receiver) -> None:
    await listen(calling, receiver, "OPERATION_STATUS_CHANGE", "status", "applications", "data", "externalId")
    operation_id = await ask(calling, externalId="e1")
    await calling.call("DELETE", f"{OPERATIONS}/{operation_id}")
    told = await receiver.wait_for(2)
    assert said(told, "status") == [("CANCELED",), ("PENDING",)]
    for one in told:
        assert (one.body["type"], one.body["operationId"]) == ("OPERATION", operation_id)
        assert (one.body["applications"], one.body["data"], one.body["externalId"]) == (["bank"], "A2", "e1")


async def test_an_operation_that_expires_is_told(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    clock = ManualClock()
    async with Served.start(tmp_path, database_url, clock=clock, egress_allow="127.0.0.0/8") as served:
        await listen(served, receiver, "OPERATION_STATUS_CHANGE", "status", "timestampFinalized")
        operation_id = await ask(served, timestampExpires=clock.now_ms() + 300)
        clock.advance(0.35)
        found = (await served.call("GET", f"{OPERATIONS}/{operation_id}")).body
        told = await receiver.wait_for(2)
    assert {one.body["status"]: one.body["timestampFinalized"] for one in told} == {
        "PENDING": None,
        "EXPIRED": found["timestampFinalized"],
    }


async def test_approved_and_rejected_with_what_the_phone_said_about_itself(calling: Served, receiver: Receiver) -> None:
    await listen(calling, receiver, "OPERATION_STATUS_CHANGE", "status", "additionalData", "userId")
    phone, registration_id = await enrol(calling)
    await phone.create_token()
    approved, rejected = await ask(calling), await ask(calling)
    await phone.approve(approved, UNLOCK)
    await phone.reject(rejected)
    told = await receiver.wait_for(4)
    noted = {one.body["operationId"]: one.body["additionalData"] for one in told if one.body["status"] != "PENDING"}
    assert set(noted) == {approved, rejected}
    assert {one["activationId"] for one in noted.values()} == {registration_id}
    assert noted[approved]["authFactor"] == "possession_biometry"
    assert "rejectReason" in noted[rejected]
    assert {one.body["userId"] for one in told} == {"alice"}


async def test_an_approval_that_fails_is_told_and_so_is_the_last_one(calling: Served, receiver: Receiver) -> None:
    phone, _ = await enrol(calling)
    await phone.create_token()
    operation_id = await ask(calling)
    (operation,) = await phone.list_operations()
    await listen(calling, receiver, "OPERATION_STATUS_CHANGE", "status", "failureCount", "maxFailureCount")
    forged = msgspec.structs.replace(operation, data="A1")
    for _ in range(5):
        with pytest.raises(RefusedByServer):
            await phone.approve_shown(forged, UNLOCK)
    told = await receiver.wait_for(5)
    assert said(told, "failureCount", "status") == [
        (1, "PENDING"), (2, "PENDING"), (3, "PENDING"), (4, "PENDING"), (5, "FAILED")
    ]  # fmt: skip
    assert {(one.body["operationId"], one.body["maxFailureCount"]) for one in told} == {(operation_id, 5)}


async def test_an_operation_of_nobody_that_is_claimed(calling: Served, receiver: Receiver) -> None:
    phone, _ = await enrol(calling)
    await phone.create_token()
    await listen(calling, receiver, "OPERATION_STATUS_CHANGE", "status", "userId")
    operation_id = await ask(calling, userId=None, proximityCheckEnabled=False)
    request = await phone._token_request(CLAIM, {"id": operation_id})
    headers = {"Content-Type": "application/json", **request.headers}
    answer = await calling.phone_call("POST", CLAIM, headers=headers, data=request.body)
    assert answer.status == 200, answer
    told = await receiver.wait_for(2)
    assert {(one.body["status"], one.body["userId"]) for one in told} == {("PENDING", None), ("PENDING", "alice")}


async def test_each_app_of_an_operation_hears_of_it_and_no_other(calling: Served, receiver: Receiver) -> None:
    _, shop = await calling.new_tenant("shop")
    await listen(calling, receiver, "OPERATION_STATUS_CHANGE", path="/bank")
    body = {"name": "hook", "type": "OPERATION_STATUS_CHANGE", "callbackUrl": receiver.url.replace("hook", "shop")}
    path = "/powerauth-cloud/v2/admin/applications/shop/callbacks"
    assert (await calling.call("POST", path, body, auth=shop)).status == 200
    of_bank = await ask(calling)
    access = f"/powerauth-cloud/admin/users/{calling.integration.login}/applications/shop"
    await calling.call("POST", access, auth=calling.admin)
    of_both = await ask(calling)
    assert {one.body["operationId"] for one in await receiver.wait_for(2, "/bank")} == {of_bank, of_both}
    (told,) = await receiver.wait_for(1, "/shop")
    assert told.body == {"type": "OPERATION", "operationId": of_both}


async def test_long_names_of_the_types(calling_sqlite: Served, receiver: Receiver) -> None:
    path = "/powerauth-cloud/v2/admin/applications/bank/callbacks"
    for kind in ("OPERATION_STATUS_CHANGE", "REGISTRATION_STATUS_CHANGE"):
        body = {"name": "hook", "type": kind, "callbackUrl": receiver.url, "longTypeNames": True}
        assert (await calling_sqlite.call("POST", path, body)).status == 200
    await ask(calling_sqlite)
    await calling_sqlite.call("POST", REGISTRATIONS, {"userId": "alice", "appId": "bank"})
    assert said(await receiver.wait_for(2), "type") == [("OPERATION_STATUS_CHANGE",), ("REGISTRATION_STATUS_CHANGE",)]
