"""What back ends do: create, look, cancel; and what time does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.errors import AppNotFound, InvalidRequest, OperationNotFound, TemplateNotFound
from tests.operations.rooms import BANK, NOBODY, SHOP, Room, all_audit, all_operations, all_pushes, phone, target


async def test_everything_that_can_be_said(room: Room, clock: ManualClock) -> None:
    expires = clock.now_ms() + 2
    operation = await room.create(
        template="payment",
        language="cs",
        external_id="X-1",
        flag="VIP",
        timestamp_expires=expires,
        parameters={"amount": "1"},
        silent=True,
        registration_id="p1",
    )
    assert await room.look(operation) == operation
    assert (operation.expires_at, operation.external_id, operation.activation_flag) == (expires, "X-1", "VIP")
    assert operation.data == "A1*A1${currency}*I${iban}"
    assert (operation.operation_type, operation.max_failure_count) == ("authorize_payment", 5)
    assert (await room.all(all_audit))[-1] == ("operation.create", BANK.name)


async def test_parameters_that_the_template_does_not_know_are_kept(room: Room) -> None:
    """The tutorial's payment sends the template `login` with the parameters of a payment."""
    parameters = {"amount": "1000000000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}
    operation = await room.create(language="en", parameters=parameters)
    assert (operation.data, operation.parameter_map()) == ("A2", parameters)


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"template": "nothing"}, TemplateNotFound, None),
        ({"timestamp_expires": 1_800_000_000_000}, InvalidRequest, "timestampExpires"),
        ({"parameters": {"a": "\t"}}, InvalidRequest, "parameters.a"),
        ({"template": "payment", "parameters": {"iban": "9" * 100_000}}, InvalidRequest, "parameters"),
        ({"registration_id": "nothing"}, InvalidRequest, "registrationId"),
        ({"registration_id": "p2"}, InvalidRequest, "registrationId"),
        ({"registration_id": "p3"}, InvalidRequest, "registrationId"),
    ],
)
async def test_refusals_leave_nothing(
    room: Room, fields: dict[str, Any], error: type[Exception], field: str | None
) -> None:
    with pytest.raises(error) as refused:
        await room.create(**fields)
    if field is not None:
        assert refused.value.violations[0].field_name == field  # type: ignore[attr-defined]
    assert await room.all(all_operations) == []
    assert room.published == []


async def test_a_user_without_an_app_creates_nothing(room: Room) -> None:
    with pytest.raises(AppNotFound):
        await room.create(NOBODY)


async def test_each_back_end_sees_its_own(room: Room) -> None:
    mine, theirs = await room.create(), await room.create(SHOP)
    for operation_id in (theirs.id, "nothing"):
        with pytest.raises(OperationNotFound):
            await room.store.read(room.operations.get, BANK, operation_id)
        with pytest.raises(OperationNotFound):
            await room.store.write(room.operations.cancel, BANK, operation_id, None)
    room.access.apps[SHOP.name] = frozenset({"shop", "bank"})
    assert (await room.look(mine, SHOP)).id == mine.id
    both = await room.create(SHOP)
    assert (await room.look(both, BANK)).id == both.id
    room.access.apps[BANK.name] = frozenset()
    with pytest.raises(OperationNotFound):
        await room.store.read(room.operations.get, BANK, mine.id)


async def test_cancelling(room: Room) -> None:
    operation = await room.create()
    assert await room.store.write(room.operations.cancel, BANK, operation.id, "changed our mind") == "DONE"
    cancelled = await room.look(operation)
    assert (cancelled.status, cancelled.status_reason) == ("CANCELED", "changed our mind")
    assert await room.store.write(room.operations.cancel, BANK, operation.id, None) == "NOT_PENDING"
    assert (await room.look(operation)).version == cancelled.version


async def test_cancelling_too_late_expires(room: Room, clock: ManualClock) -> None:
    operation = await room.create()
    clock.advance(300)
    assert await room.store.write(room.operations.cancel, BANK, operation.id, None) == "NOT_PENDING"
    assert (await room.look(operation)).status == "EXPIRED"


async def test_looking_at_one_whose_time_is_over(room: Room, clock: ManualClock) -> None:
    operation = await room.create()
    clock.advance(300)
    seen = await room.look(operation)
    assert room.operations.is_overdue(seen)
    seen = await room.store.write(room.operations.get_current, BANK, operation.id)
    assert (seen.status, seen.finalized_at) == ("EXPIRED", clock.now_ms())
    assert await room.look(operation) == seen


async def test_the_job_expires_in_batches_and_tells(room: Room, clock: ManualClock) -> None:
    created = [await room.create() for _ in range(5)]
    clock.advance(1)
    later = await room.create()
    clock.advance((created[0].expires_at - clock.now_ms() - 1) / 1000)
    assert await room.store.write(room.operations.expire_operations, 3) == 0
    clock.advance(0.005)
    assert await room.store.write(room.operations.expire_operations, 3) == 3
    assert await room.store.write(room.operations.expire_operations, 3) == 2
    assert {one.operation_id for one in room.published if one.status == "EXPIRED"} == {one.id for one in created}
    assert {row[3] for row in await room.all(all_operations) if row[1] == "EXPIRED"} == {2}
    assert (await room.look(later)).status == "PENDING"
    assert [action for action, _ in await room.all(all_audit)].count("operation.expire") == 5


async def test_pushes_to_the_phones_of_the_user(room: Room) -> None:
    room.phones.phones["p4"] = phone("p4")
    room.phones.targets = [
        target("p1", "bank", "local"),
        target("p4", "bank", "apns"),
        target("p2", "bank", "local"),
        target("p3", "shop", "local"),
    ]
    operation = await room.create(template="payment", parameters={"amount": "10", "currency": "EUR", "iban": "CZ1"})
    await room.create(silent=True)
    pushes = {row[0]: row for row in await room.all(all_pushes)}
    assert set(pushes) == {"p1", "p4"}
    assert pushes["p1"][3:] == ("QUEUED", None, operation.id)
    assert pushes["p4"][3:] == ("FAILED", "no provider for apns", operation.id)
    payload = json.loads(pushes["p1"][2])
    assert (payload["title"], payload["message"]) == ("Approve payment", "Do you want to pay 10 EUR to CZ1?")
    assert payload["extras"] == {
        "messageType": "mtoken.operationInit",
        "operationId": operation.id,
        "operationName": "authorize_payment",
    }
