"""What phones are shown, to the letter."""

from __future__ import annotations

import json

import msgspec
import pytest

from ringback.clock import ManualClock
from ringback.languages import preferred_languages
from ringback.operations.phone_view import allowed_signature_type, format_time, show_operation
from ringback.operations.schema_mobile import OperationList
from tests.operations.rooms import BANK, SHOP, Room, phone, with_flags

PAYMENT = {"amount": "1000000000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}


def test_times() -> None:
    assert format_time(1_530_542_593_999) == "2018-07-02T14:43:13+0000"


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        (None, ["en"]),
        ("cs-CZ,cs;q=0.9,de;q=0.95", ["cs", "de", "en"]),
        ("en;q=0.5, de", ["de", "en"]),
        ("*, de;q=0, fr;q=x", ["en"]),
    ],
)
def test_preferred_languages(header: str | None, languages: list[str]) -> None:
    assert preferred_languages(header) == languages


@pytest.mark.parametrize(
    ("allowed", "kind", "variants"),
    [
        (["possession"], "1FA", ()),
        (["possession_knowledge", "possession"], "1FA", ()),
        (["possession_knowledge"], "2FA", ("possession_knowledge",)),
        (["possession_biometry", "possession_knowledge"], "2FA", ("possession_knowledge", "possession_biometry")),
        (["possession_knowledge", "possession_knowledge_biometry"], "2FA", ("possession_knowledge",)),
    ],
)
def test_phones_are_shown_the_signature_types_that_they_know(
    allowed: list[str], kind: str, variants: tuple[str, ...]
) -> None:
    shown = allowed_signature_type(json.dumps(allowed))
    assert (shown.type, shown.variants) == (kind, variants)


async def test_the_list(room: Room, clock: ManualClock) -> None:
    login = await room.create()
    clock.advance(60)
    payment = await room.create(template="payment", parameters=PAYMENT)
    found = await room.store.read(room.operations.pending, "p1", ["en"])
    shown = OperationList(format_time(clock.now_ms()), [show_operation(*one) for one in found])
    signatures = {"type": "2FA", "variants": ["possession_knowledge", "possession_biometry"]}
    assert json.loads(msgspec.json.encode(shown)) == {
        "status": "OK",
        "currentTimestamp": "2027-01-15T08:01:00+0000",
        "responseObject": [
            {
                "id": payment.id,
                "name": "authorize_payment",
                "data": "A1*A1000000000.00EUR*ICZ5508000000001234567899",
                "status": "PENDING",
                "operationCreated": "2027-01-15T08:01:00+0000",
                "operationExpires": "2027-01-15T08:06:00+0000",
                "allowedSignatureType": signatures,
                "formData": {
                    "title": "Approve payment",
                    "message": "Do you want to pay 1000000000.00 EUR to CZ5508000000001234567899?",
                    "attributes": [
                        {
                            "id": "operation.amount",
                            "type": "AMOUNT",
                            "label": "Amount",
                            "amount": 1000000000.00,
                            "currency": "EUR",
                            "amountFormatted": "1,000,000,000.00",
                            "currencyFormatted": "EUR",
                            "valueFormatted": "1,000,000,000.00 EUR",
                        },
                        {
                            "id": "operation.iban",
                            "type": "KEY_VALUE",
                            "label": "To account",
                            "value": "CZ5508000000001234567899",
                        },
                    ],
                },
            },
            {
                "id": login.id,
                "name": "login",
                "data": "A2",
                "status": "PENDING",
                "operationCreated": "2027-01-15T08:00:00+0000",
                "operationExpires": "2027-01-15T08:05:00+0000",
                "allowedSignatureType": signatures,
                "formData": {"title": "Log in", "message": "Do you want to log in?", "attributes": []},
            },
        ],
    }
    assert b'"amount":1000000000.00,' in msgspec.json.encode(shown)


async def test_an_amount_that_is_no_number_and_one_that_is_missing(room: Room) -> None:
    await room.create(template="payment", parameters={"amount": "lots", "currency": "EUR"})
    ((operation, texts),) = await room.store.read(room.operations.pending, "p1", ["en"])
    (attribute,) = show_operation(operation, texts).form_data.attributes
    assert (attribute["amount"], attribute["valueFormatted"]) == (None, "lots EUR")


async def test_who_sees_what(room: Room) -> None:
    room.phones.phones["p4"] = phone("p4")
    mine = await room.create()
    only_p4 = await room.create(registration_id="p4")
    flagged = await room.create(flag="VIP")
    await room.create(user_id="bob")
    await room.create(user_id=None)
    theirs = await room.create(SHOP)
    assert await _ids(room, "p1") == [mine.id]
    assert await _ids(room, "p4") == [only_p4.id, mine.id]
    assert await _ids(room, "p3") == [theirs.id]
    assert await _ids(room, "unknown") == []
    room.phones.phones["p1"] = with_flags(room.phones.phones["p1"], "VIP", "OTHER")
    assert await _ids(room, "p1") == [flagged.id, mine.id]


async def test_no_longer_listed_from_its_last_millisecond_on(room: Room, clock: ManualClock) -> None:
    operation = await room.create()
    clock.advance(299.999)
    assert await _ids(room, "p1") == [operation.id]
    clock.advance(0.001)
    assert await _ids(room, "p1") == []


async def test_the_list_is_bounded(room: Room, clock: ManualClock) -> None:
    for _ in range(103):
        clock.advance(0.001)
        newest = await room.create(silent=True)
    ids = await _ids(room, "p1")
    assert len(ids) == 100
    assert ids[0] == newest.id


async def test_detail(room: Room, clock: ManualClock) -> None:
    operation = await room.create()
    assert (await _detail(room, "p1", operation.id))[0] == "DONE"
    assert await _detail(room, "p2", operation.id) == ("UNKNOWN", None)
    assert await _detail(room, "p3", operation.id) == ("UNKNOWN", None)
    assert await _detail(room, "p1", "nothing") == ("UNKNOWN", None)
    clock.advance(300)
    assert await _detail(room, "p1", operation.id) == ("EXPIRED", None)
    assert (await room.look(operation, BANK)).status == "EXPIRED"


async def _ids(room: Room, registration_id: str) -> list[str]:
    found = await room.store.read(room.operations.pending, registration_id, ["en"])
    return [operation.id for operation, _ in found]


async def _detail(room: Room, registration_id: str, operation_id: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return await room.store.write(room.operations.detail, registration_id, operation_id, ["en"])
