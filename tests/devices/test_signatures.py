from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from ringback.devices import SignatureCheck
from ringback.devices.schema import ChangeRegistration
from ringback.errors import SignatureTypeInvalid
from ringback.events import RegistrationChanged
from tests.devices.conftest import BANK, OTHER, Room
from tests.devices.phone import PK, TestPhone

ALL_TYPES = [
    "possession",
    "knowledge",
    "biometry",
    "possession_knowledge",
    "possession_biometry",
    "possession_knowledge_biometry",
]


@pytest.mark.parametrize("signature_type", ALL_TYPES)
async def test_a_signature_of_every_type_is_valid_once(room: Room, signature_type: str) -> None:
    phone = await room.active_phone()
    header = phone.sign("POST", "/login", b"log", signature_type)
    check = SignatureCheck("POST", "/login", header, b"log")
    first = await room.store.write(room.devices.check_signature, check)
    assert (first.valid, first.status, first.remaining_attempts) == (True, "ACTIVE", 5)
    assert (first.user_id, first.app_id, first.registration_id) == ("jan", "bank", phone.id)
    again = await room.store.write(room.devices.check_signature, check)
    assert not again.valid
    assert again.remaining_attempts == (5 if signature_type == "possession" else 4)


async def test_five_failures_block_and_a_success_clears_the_count(room: Room) -> None:
    phone = await room.active_phone()
    assert [(await room.check(phone, wrong=True)).remaining_attempts for _ in range(4)] == [4, 3, 2, 1]
    assert (await room.check(phone)).remaining_attempts == 5
    assert (await room.registration(phone.id)).failed_attempts == 0
    remaining = [(await room.check(phone, wrong=True)).remaining_attempts for _ in range(4)]
    last = await room.check(phone, wrong=True)
    assert remaining == [4, 3, 2, 1]
    assert (last.valid, last.remaining_attempts, last.status) == (False, 0, "BLOCKED")
    assert last.blocked_reason == "MAX_FAILED_ATTEMPTS"
    assert room.published[-1] == RegistrationChanged(phone.id, "bank", "jan", "BLOCKED")
    right = await room.check(phone)
    assert (right.valid, right.status, right.remaining_attempts) == (False, "BLOCKED", 0)
    assert (await room.actions())[-1] == "activation_invalid_state"
    assert "registration.attempts_used_up" in await room.actions()
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="UNBLOCK"))
    unblocked = await room.registration(phone.id)
    assert (unblocked.status, unblocked.failed_attempts, unblocked.blocked_reason) == ("ACTIVE", 0, None)
    assert (await room.check(phone)).valid


async def test_possession_alone_neither_counts_nor_clears(room: Room) -> None:
    phone = await room.active_phone()
    for _ in range(3):
        await room.check(phone, wrong=True)
    for _ in range(10):
        assert (await room.check(phone, "possession", wrong=True)).remaining_attempts == 2
    right = await room.check(phone, "possession")
    assert (right.valid, right.remaining_attempts) == (True, 5)
    assert (await room.registration(phone.id)).failed_attempts == 3


async def test_an_unknown_registration_is_removed_and_leaves_no_mark(room: Room) -> None:
    phone = await room.active_phone()
    actions = await room.actions()
    outcome = await room.check(phone, activation_id="0190a000-0000-7000-8000-000000000000")
    assert (outcome.valid, outcome.status, outcome.user_id, outcome.remaining_attempts) == (False, "REMOVED", None, 0)
    assert await room.actions() == actions


async def test_a_registration_of_another_app_is_an_unknown_one_and_is_not_counted(room: Room) -> None:
    phone = await room.active_phone()
    before = await room.registration(phone.id)
    actions = await room.actions()
    header = phone.sign("POST", "/login", b"log")
    outcome = await room.store.write(
        room.devices.verify_signature, OTHER, SignatureCheck("POST", "/login", header, b"log")
    )
    unknown = await room.check(phone, activation_id="0190a000-0000-7000-8000-000000000000")
    assert outcome.status == unknown.status == "REMOVED"
    assert (outcome.valid, outcome.user_id, outcome.app_id, outcome.flags, outcome.registration) == (
        unknown.valid, None, None, (), None
    )  # fmt: skip
    assert await room.registration(phone.id) == before
    assert await room.actions() == actions


@pytest.mark.parametrize("whose", ["nobody", "other"])
async def test_a_foreign_application_key_is_invalid_and_counts(room: Room, whose: str) -> None:
    phone = await room.active_phone()
    key = base64.b64encode(bytes(16)).decode() if whose == "nobody" else room.apps["other"].version.app_key
    outcome = await room.check(phone, application_key=key)
    assert (outcome.valid, outcome.remaining_attempts) == (False, 4)
    assert (await room.actions())[-1] == "activation_invalid_application"


async def test_a_type_that_the_endpoint_does_not_take_is_refused_and_not_counted(room: Room) -> None:
    phone = await room.active_phone()
    for signature_type in ("possession", "knowledge"):
        header = phone.sign("POST", "/pa/activation/remove", b"", signature_type)
        with pytest.raises(SignatureTypeInvalid):
            await room.store.write(room.devices.remove_activation, header, b"")
    header = msgspec.structs.replace(phone.sign("POST", "/login", b""), signature_type="nose")
    with pytest.raises(SignatureTypeInvalid):
        await room.store.write(room.devices.check_signature, SignatureCheck("POST", "/login", header, b""))
    assert (await room.registration(phone.id)).failed_attempts == 0


async def test_fifty_checks_of_one_signature_at_once_find_exactly_one_valid(room: Room) -> None:
    phone = await room.active_phone()
    check = SignatureCheck("POST", "/login", phone.sign("POST", "/login", b"", "possession"), b"")
    outcomes = await asyncio.gather(*(room.store.write(room.devices.check_signature, check) for _ in range(50)))
    assert [outcome.valid for outcome in outcomes].count(True) == 1


async def test_wrong_signatures_at_once_are_all_counted(room: Room) -> None:
    phone = await room.active_phone()
    checks = [SignatureCheck("POST", "/login", phone.sign("POST", "/login", b"", wrong=True), b"") for _ in range(5)]
    outcomes = await asyncio.gather(*(room.store.write(room.devices.check_signature, check) for check in checks))
    assert sorted(outcome.remaining_attempts for outcome in outcomes) == [0, 1, 2, 3, 4]
    assert await room.status(phone.id) == "BLOCKED"


async def test_the_audit_row_tells_what_was_signed(room: Room) -> None:
    phone = await room.active_phone()
    body = b"x" * 5000
    header = phone.sign("post", "/login", body)
    await room.store.write(room.devices.check_signature, SignatureCheck("post", "/login", header, body))
    (details,) = await room.details("signature_ok")
    assert (details["method"], details["uriId"], details["signatureType"]) == ("POST", "/login", PK)
    assert len(details["body"]) == 1024
    assert base64.b64decode(details["body"]) == body[:768]


@pytest.mark.parametrize("change", ["method", "uri", "body", "nonce"])
async def test_whatever_is_changed_the_signature_does_not_match(room: Room, change: str) -> None:
    phone: TestPhone = await room.active_phone()
    header = phone.sign("POST", "/login", b"log", **({"nonce": bytes(16)} if change == "nonce" else {}))
    check = SignatureCheck(
        "PUT" if change == "method" else "POST",
        "/logon" if change == "uri" else "/login",
        header,
        b"lug" if change == "body" else b"log",
    )
    assert not (await room.store.write(room.devices.check_signature, check)).valid
