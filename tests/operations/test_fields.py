"""Every field of every call about operations, in one request and one answer each. Over HTTP."""

from __future__ import annotations

from typing import Any

from ringback.softphone import Phone
from tests.operations.journey import BIOMETRY, KNOWLEDGE, MOBILE, OPERATIONS, Journey, approve

TEMPLATE = {
    "name": "all", "operationType": "everything", "dataTemplate": "A1*N${note}", "riskFlags": "XF",
    "texts": [
        {
            "language": "en", "title": "All", "message": "${note}?", "ui": {"flipButtons": True},
            "resultTexts": {"success": "Yes", "reject": "No", "failure": "Oh"},
            "attributes": [{"type": "NOTE", "id": "n", "label": "Note", "note": "${note}"}],
        }
    ],
}  # fmt: skip


def as_shown(operation: dict[str, Any], status: str = "PENDING") -> dict[str, Any]:
    return {
        "id": operation["operationId"],
        "name": "everything",
        "data": "A1*Nhello",
        "status": status,
        "operationCreated": "2027-01-15T08:00:00+0000",
        "operationExpires": "2027-01-15T08:16:40+0000",
        "allowedSignatureType": {"type": "2FA", "variants": ["possession_knowledge", "possession_biometry"]},
        "formData": {
            "title": "All",
            "message": "hello?",
            "attributes": [{"type": "NOTE", "id": "n", "label": "Note", "note": "hello"}],
            "resultTexts": {"success": "Yes", "reject": "No", "failure": "Oh"},
        },
        "ui": {"flipButtons": True},
    }


async def ask(journey: Journey, phone: Phone, **more: Any) -> dict[str, Any]:
    return await journey.ask(
        userId="alice", template="all", language="en", externalId="X-1", flag="VIP", parameters={"note": "hello"},
        timestampExpires=1_800_001_000_000, proximityCheckEnabled=True, registrationId=phone.state.activation_id,
        **more,
    )  # fmt: skip


async def test_all_that_a_back_end_says_and_sees(journey: Journey) -> None:
    await journey.admin("POST", "", TEMPLATE)
    async with await journey.phone("alice", flags=["VIP"]) as phone:
        created = await ask(journey, phone, silent=True)
        whole = {
            "operationId": created["operationId"],
            "userId": "alice",
            "status": "PENDING",
            "template": "all",
            "operationType": "everything",
            "parameters": {"note": "hello"},
            "data": "A1*Nhello",
            "failureCount": 0,
            "maxFailureCount": 5,
            "timestampCreated": 1_800_000_000_001,
            "timestampExpires": 1_800_001_000_000,
            "externalId": "X-1",
            "language": "en",
            "flag": "VIP",
            "registrationId": phone.state.activation_id,
            "proximityOtp": created["proximityOtp"],
            "riskFlags": "XF",
        }
        assert created == whole
        body = {"template": "all", "activationId": phone.state.activation_id, "activationFlag": "VIP"}
        other = (await journey.served.call("POST", OPERATIONS, body)).body
        assert (other["registrationId"], other["flag"]) == (phone.state.activation_id, "VIP")
        await approve(phone, created, BIOMETRY, {"otp": created["proximityOtp"], "type": "QR_CODE"})
        path = f"{OPERATIONS}/{other['operationId']}"
        await journey.served.call("DELETE", f"{path}?statusReason=changed")
        approved, cancelled = await journey.look(created["operationId"]), await journey.look(other["operationId"])
        assert set(approved) == {*whole, "additionalData", "timestampFinalized"} - {"proximityOtp"}
        assert cancelled["statusReason"] == "changed"
        pending = await ask(journey, phone)
        assert (await journey.look(pending["operationId"])) == {**pending, "proximityOtp": pending["proximityOtp"]}
        query = f"userId=alice&pageNumber=0&pageSize=10&before={'f' * 36}"
        listed = (await journey.served.call("GET", f"{OPERATIONS}?{query}")).body["operations"]
        assert {one["operationId"]: one for one in listed} == {
            one["operationId"]: one for one in (pending, approved, cancelled)
        }
        seen = {name for one in listed for name in one}
        assert seen == {*whole, "additionalData", "timestampFinalized", "statusReason"}
        by_status = (await journey.served.call("GET", f"{OPERATIONS}?userId=alice&status=CANCELED")).body
        assert by_status == {"operations": [cancelled]}


async def test_all_that_a_phone_says_and_sees(journey: Journey) -> None:
    await journey.admin("POST", "", TEMPLATE)
    async with await journey.phone("alice", flags=["VIP"]) as phone:
        operation = await ask(journey, phone)
        await phone.create_token()
        wanted = as_shown(operation)
        frame = {"status": "OK", "currentTimestamp": "2027-01-15T08:00:00+0000"}
        assert (await journey.shown(phone)).body == {**frame, "responseObject": [wanted]}
        body = {"id": operation["operationId"]}  # inside requestObject
        for path in ("detail", "detail/claim"):
            assert (await journey.shown(phone, path, body)).body == {**frame, "responseObject": wanted}
        fields = {"allowedSignatureType": {"type", "variants"}, "formData": set(wanted["formData"])}
        assert {name: set(wanted[name]) for name in fields} == fields
        otp = (await journey.look(operation["operationId"]))["proximityOtp"]
        times = {"timestampReceived": 1_800_000_000_000, "timestampSent": 1_800_000_000_001}
        await approve(phone, operation, KNOWLEDGE, {"otp": otp, "type": "DEEPLINK", **times})
        rejected = await ask(journey, phone)
        sent = b'{"requestObject":{"id":"%s","reason":"INCORRECT_DATA"}}' % rejected["operationId"].encode()
        answer = await phone._send_signed(BIOMETRY, f"{MOBILE}/cancel", "/operation/cancel", sent, dict[str, Any])
        assert answer == {"status": "OK"}
        cancelled = await ask(journey, phone)
        await journey.served.call("DELETE", f"{OPERATIONS}/{cancelled['operationId']}?statusReason=changed")
        history = await phone._send_signed(BIOMETRY, f"{MOBILE}/history", "/operation/history", b"{}", dict[str, Any])
        assert history == {
            **frame,
            "responseObject": [
                {**as_shown(cancelled, "CANCELED"), "statusReason": "changed"},
                as_shown(rejected, "REJECTED"),
                as_shown(operation, "APPROVED"),
            ],
        }
