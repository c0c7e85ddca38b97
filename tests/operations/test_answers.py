"""What phones answer: approvals, rejections, failures, and who may."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from tests.operations.rooms import BANK, SHOP, Room, all_audit, audit_by_app, phone, with_flags


async def test_approval(room: Room) -> None:
    operation = await room.create()
    room.clock.advance(5)
    assert await room.authorize(operation.id) == "DONE"
    approved = await room.look(operation)
    assert approved.status == "APPROVED"
    assert approved.finalized_at == room.clock.now_ms()
    assert approved.additional_map() == {
        "activationId": "p1",
        "applicationId": "bank",
        "ipAddress": "192.0.2.1",
        "userAgent": "Phone/1",
        "authFactor": "possession_knowledge",
    }
    assert [(one.change, one.status) for one in room.published] == [("CREATED", "PENDING"), ("FINISHED", "APPROVED")]
    assert (await room.all(all_audit))[-1] == ("operation.approve", "p1")


async def test_rejection(room: Room) -> None:
    operation = await room.create()
    assert await room.reject(operation.id, factors="possession", reason="INCORRECT_DATA") == "DONE"
    rejected = await room.look(operation)
    assert (rejected.status, rejected.additional_map()["rejectReason"]) == ("REJECTED", "INCORRECT_DATA")
    assert await room.authorize(operation.id) == "FINISHED"


async def test_a_wrong_signature_counts_and_the_last_one_fails_the_operation(room: Room) -> None:
    operation = await room.create()
    for count in range(1, 6):
        assert await room.authorize(operation.id, signature="wrong") == "NOT_AUTHENTICATED"
        assert (await room.look(operation)).failure_count == count
    failed = await room.look(operation)
    assert failed.status == "FAILED"
    assert failed.finalized_at is not None
    assert await room.authorize(operation.id) == "FAILED"
    assert await room.authorize(operation.id, signature="wrong") == "NOT_AUTHENTICATED"
    assert (await room.look(operation)).failure_count == 5
    assert room.published[-1].status == "FAILED"


async def test_a_wrong_signature_of_somebody_else_does_not_count(room: Room) -> None:
    operation = await room.create()
    for stranger in ("p2", "p3", "unknown"):
        assert await room.authorize(operation.id, stranger, signature="wrong") == "NOT_AUTHENTICATED"
    assert (await room.look(operation)).failure_count == 0


@pytest.mark.parametrize(
    ("registration_id", "data", "factors", "verdict"),
    [
        ("p1", "A1", "possession_knowledge", "REFUSED"),
        ("p1", "A2", "possession_knowledge_biometry", "REFUSED"),
        ("p2", "A2", "possession_knowledge", "UNKNOWN"),
        ("p3", "A2", "possession_knowledge", "UNKNOWN"),
    ],
    ids=["data", "factors", "user", "app"],
)
async def test_a_mismatch_counts(room: Room, registration_id: str, data: str, factors: str, verdict: str) -> None:
    operation = await room.create()
    for count in range(1, 6):
        assert await room.authorize(operation.id, registration_id, data=data, factors=factors) == verdict
        assert (await room.look(operation)).failure_count == count
    assert (await room.look(operation)).status == "FAILED"


async def test_the_log_of_another_app_does_not_tell_whose_operation_its_phone_tried(room: Room) -> None:
    operation = await room.create()
    for _ in range(5):
        assert await room.authorize(operation.id, "p3") == "UNKNOWN"
    tried = [row[1:] for row in await room.all(audit_by_app) if row[0] != "operation_template.create"]
    assert Counter(tried) == {("bank", "alice"): 1, (None, "alice"): 5}


async def test_a_success_after_failures(room: Room) -> None:
    operation = await room.create()
    for _ in range(4):
        await room.authorize(operation.id, signature="wrong")
    assert await room.authorize(operation.id) == "DONE"
    assert (await room.look(operation)).failure_count == 4


async def test_unknown_operation(room: Room) -> None:
    assert await room.authorize("nothing") == "UNKNOWN"
    assert await room.authorize("nothing", signature="wrong") == "NOT_AUTHENTICATED"
    assert await room.reject("nothing") == "UNKNOWN"


async def test_an_operation_for_one_phone(room: Room) -> None:
    room.phones.phones["p4"] = phone("p4")
    operation = await room.create(registration_id="p4")
    assert await room.reject(operation.id, "p1") == "UNKNOWN"
    assert await room.authorize(operation.id, "p1") == "UNKNOWN"
    assert await room.authorize(operation.id, "p4") == "DONE"


async def test_a_flag_that_is_asked_for(room: Room) -> None:
    operation = await room.create(flag="VIP")
    assert await room.authorize(operation.id) == "FLAG_MISSING"
    assert (await room.look(operation)).failure_count == 0
    room.phones.phones["p1"] = with_flags(room.phones.phones["p1"], "VIP")
    assert await room.authorize(operation.id) == "DONE"


async def test_an_operation_of_nobody_belongs_to_who_approves_it(room: Room) -> None:
    operation = await room.create(user_id=None, proximity_check_enabled=False)
    assert await room.authorize(operation.id, "p3") == "UNKNOWN"
    assert await room.authorize(operation.id, "p2") == "DONE"
    assert (await room.look(operation)).user_id == "bob"


async def test_claiming(room: Room) -> None:
    operation = await room.create(user_id=None)
    verdict, found = await room.store.write(room.operations.claim, "p2", operation.id, ["en"])
    assert verdict == "DONE"
    assert found is not None
    assert (await room.look(operation)).user_id == "bob"
    assert (await room.store.write(room.operations.claim, "p1", operation.id, ["en"]))[0] == "UNKNOWN"


@pytest.mark.parametrize("late_ms", [-1, 0])
async def test_the_edge_of_expiry(room: Room, late_ms: int) -> None:
    operation = await room.create()
    room.clock.advance((operation.expires_at - room.clock.now_ms() + late_ms) / 1000)
    assert await room.authorize(operation.id) == ("DONE" if late_ms < 0 else "EXPIRED")
    assert (await room.look(operation)).status == ("APPROVED" if late_ms < 0 else "EXPIRED")


async def test_rejecting_too_late(room: Room) -> None:
    operation = await room.create()
    room.clock.advance(300)
    assert await room.reject(operation.id) == "EXPIRED"
    assert room.published[-1].status == "EXPIRED"
    cancelled = await room.create()
    await room.store.write(room.operations.cancel, BANK, cancelled.id, None)
    assert await room.reject(cancelled.id) == "CANCELED"


async def test_exactly_one_of_many_approvals_wins(room: Room) -> None:
    operation = await room.create()
    began = time.monotonic()
    verdicts = await asyncio.gather(*(room.authorize(operation.id) for _ in range(50)))
    assert Counter(verdicts) == {"DONE": 1, "FINISHED": 49}
    finished = await room.look(operation)
    assert (finished.failure_count, finished.version) == (0, 2)
    assert time.monotonic() - began < 30


async def test_parallel_failures_are_all_counted(room: Room) -> None:
    operation = await room.create()
    await asyncio.gather(*(room.authorize(operation.id, signature="wrong") for _ in range(4)))
    assert (await room.look(operation)).failure_count == 4


async def test_another_app_changes_nothing(room: Room) -> None:
    theirs = await room.create(SHOP)
    assert await room.reject(theirs.id, "p1") == "UNKNOWN"
    assert (await room.look(theirs, SHOP)).status == "PENDING"
    assert await room.authorize(theirs.id, "p3") == "DONE"
