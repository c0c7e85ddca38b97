"""The proximity check, and operations that are nobody's until a phone claims them: over HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ringback.protocols.powerauth.operation_link import OperationLink, build_jwt, build_link
from ringback.softphone import OperationUnknown, RefusedByServer, SignatureRefused
from tests.operations.journey import BIOMETRY, KNOWLEDGE, OPERATIONS, WRONG, Journey, approve
from tests.operations.rooms import Room, all_audit
from tests.operations.rooms import phone as registration


def check(otp: str, **more: Any) -> dict[str, Any]:
    return {"otp": otp, "type": "QR_CODE", **more}


async def test_a_phone_approves_by_a_link_that_it_read(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask()
        assert "userId" not in operation
        otp = operation["proximityOtp"]
        assert (len(otp), otp.isdigit()) == (8, True)
        link = build_link("https://bank.example/app", OperationLink(operation["operationId"], otp))
        shown = await phone.approve_link(link, BIOMETRY)
        assert shown.form_data.title == "Log in"
        seen = await journey.look(operation["operationId"])
        assert (seen["status"], seen["userId"]) == ("APPROVED", "alice")
        assert "proximityOtp" not in seen
        assert seen["additionalData"]["proximity_otp"] == otp
        assert seen["additionalData"]["authFactor"] == "possession_biometry"


async def test_the_otp_of_a_qr_code_lives_for_two_steps(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        for seconds, accepted in ((0, True), (30, True), (60, False)):
            operation = await journey.ask(
                userId="alice", proximityCheckEnabled=True, timestampExpires=1_900_000_000_000
            )
            journey.clock.advance(-(journey.clock.now_ms() % 30_000) / 1000)  # to the beginning of a step
            otp = (await journey.look(operation["operationId"]))["proximityOtp"]
            journey.clock.advance(seconds)
            text = build_jwt(OperationLink(operation["operationId"], otp))
            if accepted:
                await phone.approve_link(text, KNOWLEDGE)
            else:
                with pytest.raises(RefusedByServer, match="OPERATION_FAILED"):
                    await phone.approve_link(text, KNOWLEDGE)
            status = (await journey.look(operation["operationId"]))["status"]
            assert status == ("APPROVED" if accepted else "PENDING")


@pytest.mark.parametrize("sent", [None, "", "00000000", "1234567", "abcdefgh", "\u0664" * 8])
async def test_a_wrong_or_missing_otp_is_a_failed_approval(journey: Journey, sent: str | None) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", proximityCheckEnabled=True)
        for failures in range(1, 6):
            with pytest.raises(RefusedByServer) as refused:
                await approve(phone, operation, BIOMETRY, None if sent is None else check(sent))
            # As after any other mismatch: never why.
            assert (refused.value.http_status, refused.value.server_code) == (401, "OPERATION_FAILED")
            assert "proximity" not in refused.value.server_message.lower()
            assert (await journey.look(operation["operationId"]))["failureCount"] == failures
        assert (await journey.look(operation["operationId"]))["status"] == "FAILED"


@pytest.mark.parametrize(
    "times",
    [
        {"timestampReceived": 1_800_000_000_000, "timestampSent": 1_800_000_000_500},
        {"timestampReceived": "2027-01-15T08:00:00.000Z", "timestampSent": "2027-01-15T08:00:00+0000"},
        {"timestampReceived": None},
        {"type": None, "unknown": {}},
    ],
)
async def test_times_in_every_form(journey: Journey, times: dict[str, Any]) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", proximityCheckEnabled=True)
        await approve(phone, operation, BIOMETRY, check(operation["proximityOtp"], **times))
        assert (await journey.look(operation["operationId"]))["status"] == "APPROVED"


@pytest.mark.parametrize(
    "bad", [{"otp": 1}, {"type": "RADIO"}, {"otp": "1" * 65}, {"timestampSent": -1}, {"timestampSent": {}}]
)
async def test_a_malformed_check_is_refused_by_name(journey: Journey, bad: dict[str, Any]) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", proximityCheckEnabled=True)
        with pytest.raises(RefusedByServer, match=r"INVALID_REQUEST.*proximityCheck") as refused:
            await approve(phone, operation, BIOMETRY, {**check(operation["proximityOtp"]), **bad})
        assert refused.value.http_status == 400
        assert (await journey.look(operation["operationId"]))["failureCount"] == 0


async def test_who_is_checked(journey: Journey) -> None:
    template = {
        "name": "near", "operationType": "near", "dataTemplate": "A2", "proximityCheckEnabled": True,
        "texts": [{"language": "en", "title": "Near"}],
    }  # fmt: skip
    assert (await journey.admin("POST", "", template)).body["proximityCheckEnabled"] is True
    for fields, checked in (
        ({"userId": "alice"}, False),
        ({"userId": "alice", "proximityCheckEnabled": True}, True),
        ({"userId": "alice", "template": "near"}, True),
        ({"userId": "alice", "template": "near", "proximityCheckEnabled": False}, False),
        ({}, True),
        ({"proximityCheckEnabled": False}, False),
    ):
        assert ("proximityOtp" in await journey.ask(**fields)) is checked, fields


async def test_the_otp_is_shown_only_while_the_operation_waits(journey: Journey) -> None:
    operation = await journey.ask()
    path = f"{OPERATIONS}/{operation['operationId']}"
    assert "proximityOtp" in (await journey.served.call("GET", path)).body
    await journey.served.call("DELETE", path)
    assert "proximityOtp" not in (await journey.served.call("GET", path)).body
    overdue = await journey.ask()
    journey.clock.advance(300)
    seen = await journey.look(overdue["operationId"])
    assert (seen["status"], "proximityOtp" in seen) == ("EXPIRED", False)


async def test_the_step_is_a_setting(tmp_path: Path) -> None:
    async with Journey.start(tmp_path, "", proximity_check_step_seconds="60") as journey:
        operation = await journey.ask()
        journey.clock.advance(-(journey.clock.now_ms() % 60_000) / 1000)
        otp = (await journey.look(operation["operationId"]))["proximityOtp"]
        journey.clock.advance(59)
        assert (await journey.look(operation["operationId"]))["proximityOtp"] == otp
        journey.clock.advance(1)
        assert (await journey.look(operation["operationId"]))["proximityOtp"] != otp


# claiming -------------------------------------------------------------------------------------------------------------


async def test_a_claimed_operation_is_the_users(journey: Journey) -> None:
    async with (
        await journey.phone("alice") as alice,
        await journey.phone("alice") as hers,
        await journey.phone("bob") as bob,
    ):
        operation = await journey.ask()
        operation_id = operation["operationId"]
        assert await alice.list_operations() == []
        assert (await bob.operation_detail(operation_id)).id == operation_id
        assert (await alice.claim(operation_id)).id == operation_id
        assert [one.id for one in await hers.list_operations()] == [operation_id]
        assert (await hers.claim(operation_id)).id == operation_id
        for refused in (bob.claim(operation_id), bob.operation_detail(operation_id)):
            with pytest.raises(OperationUnknown):
                await refused
        seen = await journey.look(operation_id)
        assert (seen["status"], seen["userId"]) == ("PENDING", "alice")
        await approve(hers, operation, BIOMETRY, check(operation["proximityOtp"]))


async def test_claiming_what_is_over(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        cancelled, overdue = await journey.ask(), await journey.ask()
        await journey.served.call("DELETE", f"{OPERATIONS}/{cancelled['operationId']}")
        with pytest.raises(RefusedByServer, match="OPERATION_ALREADY_CANCELED"):
            await phone.claim(cancelled["operationId"])
        journey.clock.advance(300)
        with pytest.raises(RefusedByServer, match="OPERATION_EXPIRED"):
            await phone.claim(overdue["operationId"])
        with pytest.raises(OperationUnknown):
            await phone.claim("nothing")


async def test_one_of_fifty_phones_claims_over_http(journey: Journey) -> None:
    phones = await asyncio.gather(*(journey.phone(f"user {n}") for n in range(50)))
    await asyncio.gather(*(phone.create_token() for phone in phones))
    operation = await journey.ask()
    answers = await asyncio.gather(*(phone.claim(operation["operationId"]) for phone in phones), return_exceptions=True)
    winners = [n for n, answer in enumerate(answers) if not isinstance(answer, OperationUnknown)]
    assert len(winners) == 1
    assert (await journey.look(operation["operationId"]))["userId"] == f"user {winners[0]}"
    await approve(phones[winners[0]], operation, BIOMETRY, check(operation["proximityOtp"]))


async def test_one_of_fifty_phones_claims(room: Room) -> None:
    users = [f"user {n}" for n in range(50)]
    room.phones.phones.update({user: registration(user, user) for user in users})
    operation = await room.create(user_id=None)
    claims = (room.store.write(room.operations.claim, user, operation.id, ["en"]) for user in users)
    verdicts = Counter([verdict for verdict, _ in await asyncio.gather(*claims)])
    assert verdicts == {"DONE": 1, "UNKNOWN": 49}
    claimed = await room.look(operation)
    assert (claimed.user_id in users, claimed.version) == (True, 2)
    # What a unit that lost published was rolled back with it; what was recorded is what is so.
    assert [action for action, _ in await room.all(all_audit)].count("operation.claim") == 1


async def test_each_attempt_that_fails_is_told(room: Room) -> None:
    operation = await room.create(proximity_check_enabled=True)
    room.published.clear()
    for _ in range(4):
        await room.authorize(operation.id, otp="00000000")
    await room.authorize(operation.id, signature="wrong")
    told = [(one.change, one.status) for one in room.published]
    assert told == [*[("ATTEMPT_FAILED", "PENDING")] * 4, ("FINISHED", "FAILED")]
    failed = await room.look(operation)
    assert failed.additional_map()["ipAddress"] == "192.0.2.1"


async def test_a_stranger_leaves_no_trace_in_the_notes(room: Room) -> None:
    operation = await room.create()
    assert await room.authorize(operation.id, "p3") == "UNKNOWN"
    assert (await room.look(operation)).additional_map() == {}


async def test_a_wrong_pin_with_a_right_otp_counts(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", proximityCheckEnabled=True)
        with pytest.raises(SignatureRefused):
            await approve(phone, operation, WRONG, check(operation["proximityOtp"]))
        assert (await journey.look(operation["operationId"]))["failureCount"] == 1
        await approve(phone, operation, KNOWLEDGE, check(operation["proximityOtp"]))
