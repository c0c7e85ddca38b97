"""History, device scope, activation flags, risk flags and external ids: over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.softphone import (
    POSSESSION,
    OperationUnknown,
    RefusedByServer,
    SignatureRefused,
)
from tests.operations.journey import BIOMETRY, KNOWLEDGE, MOBILE, OPERATIONS, WRONG, Journey, approve


async def test_every_status_newest_first(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        made = [await journey.ask(userId="alice") for _ in range(5)]
        ids = [one["operationId"] for one in made]
        await approve(phone, made[0], BIOMETRY)
        await phone.reject(ids[1])
        await journey.served.call("DELETE", f"{OPERATIONS}/{ids[2]}?statusReason=changed")
        for _ in range(5):
            with pytest.raises(RefusedByServer):
                await approve(phone, {**made[3], "data": "A1"}, BIOMETRY)
        journey.clock.advance(300)
        fresh = await journey.ask(userId="alice")
        shown = await phone.operation_history(KNOWLEDGE)
        assert [(one.id, one.status) for one in shown] == [
            (fresh["operationId"], "PENDING"),
            (ids[4], "EXPIRED"),  # by the clock; the job has not been there yet
            (ids[3], "FAILED"),
            (ids[2], "CANCELED"),
            (ids[1], "REJECTED"),
            (ids[0], "APPROVED"),
        ]
        assert shown[3].status_reason == "changed"
        assert shown[0].form_data.title == "Log in"


async def test_history_takes_two_factors(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        with pytest.raises(RefusedByServer) as refused:
            await phone.operation_history(POSSESSION)
        assert refused.value.http_status == 401
        with pytest.raises(SignatureRefused):
            await phone.operation_history(WRONG)
        assert (await phone.status()).failed_attempts == 1
        assert await phone.operation_history(BIOMETRY) == []


async def test_history_of_this_user_in_this_app(journey: Journey) -> None:
    _, shop = await journey.served.new_tenant("shop")
    async with await journey.phone("alice") as phone, await journey.phone("alice") as other:
        mine = await journey.ask(userId="alice")
        await journey.ask(userId="bob")
        await journey.ask(userId="alice", registrationId=other.state.activation_id)
        await journey.ask(userId="alice", flag="VIP")
        await journey.served.call("POST", OPERATIONS, {"template": "login", "userId": "alice"}, auth=shop)
        assert [one.id for one in await phone.operation_history(BIOMETRY)] == [mine["operationId"]]


async def test_addresses_with_a_nul(journey: Journey) -> None:
    for path in ("/%00", "/%00/offline/qr?registrationId=x", "/x/offline/qr?registrationId=%00"):
        assert (await journey.served.call("GET", OPERATIONS + path)).status == 400, path


async def test_history_is_bounded(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        for _ in range(103):
            newest = await journey.ask(userId="alice", silent=True)
        shown = await phone.operation_history(BIOMETRY)
        assert (len(shown), shown[0].id) == (100, newest["operationId"])


async def test_the_answer_to_the_letter(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice")
        body = b'{"requestObject":{}}'
        answer: dict[str, Any] = await phone._send_signed(
            BIOMETRY, f"{MOBILE}/history", "/operation/history", body, dict[str, Any]
        )
        assert set(answer) == {"status", "responseObject", "currentTimestamp"}
        assert set(answer["responseObject"][0]) == {
            *("id", "name", "data", "status", "operationCreated", "operationExpires"),
            *("allowedSignatureType", "formData"),
        }
        assert answer["responseObject"][0]["id"] == operation["operationId"]
        empty: dict[str, Any] = await phone._send_signed(
            BIOMETRY, f"{MOBILE}/history", "/operation/history", b"{}", dict[str, Any]
        )
        assert empty["responseObject"] == answer["responseObject"]


async def test_an_operation_for_one_phone(journey: Journey) -> None:
    async with await journey.phone("alice") as phone, await journey.phone("alice") as other:
        for name in ("registrationId", "activationId"):
            # Without a user: the phone's is meant.
            operation = await journey.ask(**{name: phone.state.activation_id})
            assert (operation["userId"], operation["registrationId"]) == ("alice", phone.state.activation_id)
            assert "proximityOtp" not in operation
            assert await other.list_operations() == []
            assert [one.id for one in await phone.list_operations()] == [operation["operationId"]]
            for refused in (other.operation_detail(operation["operationId"]), other.claim(operation["operationId"])):
                with pytest.raises(OperationUnknown):
                    await refused
            with pytest.raises(RefusedByServer, match="INVALID_OPERATION"):
                await approve(other, operation, BIOMETRY)
            assert (await journey.look(operation["operationId"]))["failureCount"] == 1
            await approve(phone, operation, BIOMETRY)
        refused = await journey.served.call("POST", OPERATIONS, {"template": "login", "activationId": "nothing"})
        assert refused.body["responseObject"]["violations"][0]["fieldName"] == "activationId"


@pytest.mark.parametrize("name", ["flag", "activationFlag"])
async def test_an_operation_that_asks_for_a_flag(journey: Journey, name: str) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", **{name: "VIP"})
        assert operation["flag"] == "VIP"
        assert await phone.list_operations() == []
        operation_id = operation["operationId"]
        for refused in (
            phone.operation_detail(operation_id),
            phone.claim(operation_id),
            approve(phone, operation, BIOMETRY),
            phone.reject(operation_id),
        ):
            with pytest.raises(RefusedByServer, match="OPERATION_REQUIRES_ACTIVATION_FLAG"):
                await refused
        assert (await journey.look(operation_id))["failureCount"] == 0


async def test_a_phone_that_has_the_flag(journey: Journey) -> None:
    async with await journey.phone("alice", flags=["VIP", "OTHER"]) as phone:
        operation = await journey.ask(userId="alice", flag="VIP")
        assert [one.id for one in await phone.list_operations()] == [operation["operationId"]]
        await approve(phone, operation, BIOMETRY)


@pytest.mark.parametrize(
    ("flags", "ui"),
    [
        ("", None),
        ("X", {"flipButtons": True}),
        ("CX", {"flipButtons": True, "blockApprovalOnCall": True}),
        ("F", {"preApprovalScreen": {"type": "WARNING", "heading": "", "message": ""}}),
    ],
)
async def test_risk_flags_stand_for_the_ui(journey: Journey, flags: str, ui: dict[str, Any] | None) -> None:
    texts = [{"language": "en", "title": "Risky"}]
    template = {"name": "risky", "operationType": "risky", "dataTemplate": "A2", "riskFlags": flags, "texts": texts}
    await journey.admin("POST", "", template)
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", template="risky")
        assert operation.get("riskFlags", "") == flags
        assert (await phone.list_operations())[0].ui == ui
        own = [{"language": "en", "title": "Risky", "ui": {"flipButtons": False}}]
        await journey.admin("PUT", "/risky", {**template, "texts": own})
        assert (await phone.list_operations())[0].ui == {"flipButtons": False}


async def test_what_is_noted_when_an_approval_fails(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", externalId="X-1")
        assert operation["externalId"] == "X-1"
        with pytest.raises(RefusedByServer):
            await approve(phone, {**operation, "data": "A1"}, BIOMETRY)
        noted = (await journey.look(operation["operationId"]))["additionalData"]
        assert (noted["activationId"], noted["applicationId"]) == (phone.state.activation_id, "bank")
        assert (noted["authFactor"], noted["ipAddress"]) == ("possession_biometry", "127.0.0.1")
