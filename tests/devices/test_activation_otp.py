"""Activation OTPs and commit phases, over HTTP, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.devices.schema import ReplaceOtp
from ringback.errors import ActivationInvalid, EncryptionFailed, RegistrationChangeRefused
from ringback.softphone import ActivationRefused, Phone
from tests.devices.conftest import BANK, Room
from tests.devices.phone import ALL_VERSIONS
from tests.devices.stories import (
    PIN,
    REGISTRATIONS,
    activation,
    audited,
    commit,
    create,
    detail,
    new_phone,
    status,
)
from tests.served import Served

AT_ONCE = 50


async def activate(served: Served, created: dict[str, Any], otp: str | None = None, **more: Any) -> Phone:
    phone = new_phone(served)
    await phone.activate(code=created["activationQrCodeData"], otp=otp, **activation(served, **more))
    return phone


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("fields", [{"otpValidation": "ON_KEY_EXCHANGE"}, {"commitPhase": "ON_KEY_EXCHANGE"}])
async def test_an_otp_at_the_key_exchange_makes_the_phone_active(
    served: Served, version: str, fields: dict[str, str]
) -> None:
    created = await create(served, otp="1234567", **fields)
    with pytest.raises(ActivationRefused):
        await activate(served, created, "7654321", version=version)
    assert await status(served, created["registrationId"]) == "CREATED"
    phone = await activate(served, created, "1234567", version=version)
    assert (await phone.status()).status == "ACTIVE"
    await phone.validate(PIN)
    assert (await phone.status()).failed_attempts == 0
    actions = set(await audited(served, created["registrationId"]))
    assert {"registration.create", "registration.otp_failed", "registration.key_exchange_commits"} <= actions


@pytest.mark.parametrize("fields", [{"otpValidation": "ON_COMMIT"}, {"commitPhase": "ON_COMMIT"}, {}])
async def test_an_otp_at_the_commit(served: Served, fields: dict[str, str]) -> None:
    created = await create(served, otp="1234567", **fields)
    await activate(served, created)
    registration_id = created["registrationId"]
    for body in (None, {"otp": "0000000"}, {"otp": None}):
        refused = await commit(served, registration_id, body)
        assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REGISTRATION_CHANGE")
        assert await status(served, registration_id) == "PENDING_COMMIT"
    assert (await commit(served, registration_id, {"otp": "1234567"})).status == 200
    assert await status(served, registration_id) == "ACTIVE"


async def test_a_registration_is_removed_after_the_fifth_wrong_otp_at_the_commit(served: Served) -> None:
    created = await create(served, otp="1234567")
    await activate(served, created)
    for _ in range(5):
        assert (await commit(served, created["registrationId"], {"otp": "1"})).status == 400
    assert await status(served, created["registrationId"]) == "REMOVED"
    assert (await commit(served, created["registrationId"], {"otp": "1234567"})).status == 400
    assert (await audited(served, created["registrationId"]))[-1] == "registration.otp_attempts_used_up"


async def test_the_otp_may_be_set_later(served: Served) -> None:
    created = await create(served, otpValidation="ON_COMMIT")
    path = f"{REGISTRATIONS}/{created['registrationId']}/otp"
    await activate(served, created)
    assert (await commit(served, created["registrationId"])).status == 400
    assert (await commit(served, created["registrationId"], {"otp": ""})).status == 400
    assert (await served.call("PUT", path, {"otp": "111111", "externalUserId": "eva"})).status == 200
    assert (await served.call("PUT", path, {"otp": "222222"})).status == 200
    assert (await commit(served, created["registrationId"], {"otp": "111111"})).status == 400
    assert (await commit(served, created["registrationId"], {"otp": "222222"})).status == 200
    assert (await audited(served, created["registrationId"])).count("registration.otp_replaced") == 2


async def test_an_otp_that_was_replaced_before_the_key_exchange(served: Served) -> None:
    created = await create(served, otp="111111", otpValidation="ON_KEY_EXCHANGE")
    path = f"{REGISTRATIONS}/{created['registrationId']}/otp"
    assert (await served.call("PUT", path, {"otp": "222222"})).status == 200
    with pytest.raises(ActivationRefused):
        await activate(served, created, "111111")
    assert (await (await activate(served, created, "222222")).status()).status == "ACTIVE"


@pytest.mark.parametrize("end", ["ACTIVE", "BLOCKED", "REMOVED"])
async def test_an_otp_is_not_replaced_when_it_is_too_late(served: Served, end: str) -> None:
    created = await create(served, commitPhase="ON_KEY_EXCHANGE")
    await activate(served, created)
    path = f"{REGISTRATIONS}/{created['registrationId']}"
    if end != "ACTIVE":
        await served.call("PUT", path, {"change": "BLOCK" if end == "BLOCKED" else "REMOVE"})
    refused = await served.call("PUT", f"{path}/otp", {"otp": "222222"})
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REGISTRATION_CHANGE")
    assert await status(served, created["registrationId"]) == end


@pytest.mark.parametrize("fields", [{}, {"otp": "1234567"}, {"commitPhase": "ON_KEY_EXCHANGE"}])
async def test_an_otp_that_nobody_expects_is_refused_and_not_counted(served: Served, fields: dict[str, str]) -> None:
    created = await create(served, **fields)
    for _ in range(6):
        with pytest.raises(ActivationRefused):
            await activate(served, created, "1234567")
    assert await status(served, created["registrationId"]) == "CREATED"
    await activate(served, created)


async def test_a_commit_with_an_otp_that_nobody_expects_is_refused(served: Served) -> None:
    created = await create(served)
    await activate(served, created)
    for _ in range(6):
        refused = await commit(served, created["registrationId"], {"otp": "1234567"})
        assert (refused.status, refused.body["responseObject"]["violations"][0]["fieldName"]) == (400, "otp")
    assert (await commit(served, created["registrationId"])).status == 200


async def test_fifty_wrong_otps_at_the_key_exchange_at_once_are_counted_exactly(served: Served) -> None:
    created = await create(served, otp="1234567", otpValidation="ON_KEY_EXCHANGE")

    async def guess(number: int) -> Phone:
        return await activate(served, created, str(number))

    results = await asyncio.gather(*(guess(number) for number in range(AT_ONCE)), return_exceptions=True)
    assert [type(result) for result in results] == [ActivationRefused] * AT_ONCE
    await _five_were_counted(served, created["registrationId"])


async def test_fifty_wrong_otps_at_the_commit_at_once_are_counted_exactly(served: Served) -> None:
    created = await create(served, otp="1234567")
    await activate(served, created)
    guesses = (commit(served, created["registrationId"], {"otp": str(number)}) for number in range(AT_ONCE))
    assert [answer.status for answer in await asyncio.gather(*guesses)] == [400] * AT_ONCE
    await _five_were_counted(served, created["registrationId"])


async def _five_were_counted(served: Served, registration_id: str) -> None:
    assert await status(served, registration_id) == "REMOVED"
    stored = await served.installation.store.read(served.rooms.devices.registration, registration_id)
    assert stored is not None
    assert (stored.failed_attempts, stored.activation_otp_fingerprint) == (5, None)
    actions = await audited(served, registration_id)
    assert actions.count("registration.otp_failed") == 4
    assert actions.count("registration.otp_attempts_used_up") == 1


async def test_an_otp_is_stored_as_a_fingerprint_and_forgotten_when_it_was_used(served: Served) -> None:
    created = await create(served, otp="1234567")
    devices, store = served.rooms.devices, served.installation.store
    stored = await store.read(devices.registration, created["registrationId"])
    assert stored is not None
    assert len(stored.activation_otp_fingerprint or b"") == 32
    assert "otp" not in str(await detail(served, created["registrationId"])).lower()
    await activate(served, created)
    await commit(served, created["registrationId"], {"otp": "1234567"})
    stored = await store.read(devices.registration, created["registrationId"])
    assert stored is not None
    assert stored.activation_otp_fingerprint is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"commitPhase": "ON_COMMIT", "otpValidation": "ON_COMMIT", "otp": "1"}, "commitPhase"),
        ({"commitPhase": "ON_KEY_EXCHANGE", "otpValidation": "ON_COMMIT", "otp": "1"}, "commitPhase"),
        ({"otpValidation": "ON_KEY_EXCHANGE"}, "otp"),
        ({"otpValidation": "NONE", "otp": "1"}, "otp"),
        ({"otpValidation": "LATER"}, "otpValidation"),
        ({"otpValidation": 1}, "otpValidation"),
        ({"otp": ""}, "otp"),
        ({"otp": 1234}, "otp"),
        ({"otp": "1" * 256}, "otp"),
        ({"commitPhase": "NEVER"}, "commitPhase"),
    ],
)
async def test_what_does_not_fit_together_is_refused_by_name(
    served_sqlite: Served, fields: dict[str, Any], field: str
) -> None:
    answer = await served_sqlite.call("POST", REGISTRATIONS, {"userId": "jan", "appId": "bank", **fields})
    assert answer.status == 400
    assert answer.body["responseObject"]["violations"][0]["fieldName"] == field


async def test_a_commit_phase_goes_with_no_otp_validation(served_sqlite: Served) -> None:
    created = await create(served_sqlite, commitPhase="ON_KEY_EXCHANGE", otpValidation="NONE")
    phone = await activate(served_sqlite, created)
    assert (await phone.status()).status == "ACTIVE"


@pytest.mark.parametrize("body", [{}, {"otp": ""}, {"otp": None}, {"otp": 1}, {"otp": "1" * 256}, {"otp": "1\0"}])
async def test_a_bad_new_otp_is_refused(served_sqlite: Served, body: dict[str, Any]) -> None:
    created = await create(served_sqlite, otp="1234567")
    path = f"{REGISTRATIONS}/{created['registrationId']}/otp"
    assert (await served_sqlite.call("PUT", path, body)).status == 400


async def test_another_back_end_cannot_set_an_otp(served_sqlite: Served) -> None:
    _, shop = await served_sqlite.new_tenant("shop")
    created = await create(served_sqlite, otp="1234567")
    path = f"{REGISTRATIONS}/{created['registrationId']}/otp"
    answer = await served_sqlite.call("PUT", path, {"otp": "1"}, auth=shop)
    assert answer.body["responseObject"]["code"] == "ERROR_REGISTRATION_NOT_FOUND"


async def test_only_one_in_progress_is_still_refused(served: Served) -> None:
    await create(served, otp="1234567")
    answer = await served.call(
        "POST",
        f"{REGISTRATIONS}?incompleteStatusCheck=true",
        {"userId": "jan", "appId": "bank", "otp": "1", "commitPhase": "ON_KEY_EXCHANGE"},
    )
    assert answer.body["responseObject"]["code"] == "ERROR_REGISTRATION_NOT_ALLOWED"


async def test_a_replayed_wrong_otp_is_counted_once(room: Room) -> None:
    created = await room.create(otp="1234567", otp_validation="ON_KEY_EXCHANGE")
    phone = room.phone()
    key = await room.temporary_key(phone)
    body, _ = phone.activation_request(key, created.activation_code, activationOtp="7654321")
    for refusal in (ActivationInvalid, EncryptionFailed, EncryptionFailed):
        with pytest.raises(refusal):
            await room.devices.create_activation(room.store, phone.encryption_header, body, "192.0.2.1")
    assert (await room.registration(created.registration_id)).failed_attempts == 1


async def test_an_otp_expires_with_its_registration(room: Room) -> None:
    created = await room.create(otp="1234567", otp_validation="ON_KEY_EXCHANGE")
    room.clock.advance(120)
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone(), created.activation_code, activationOtp="1234567")
    stored = await room.registration(created.registration_id)
    assert (stored.status, stored.failed_attempts, stored.activation_otp_fingerprint) == ("REMOVED", 0, None)


async def test_an_expired_registration_takes_no_other_otp(room: Room) -> None:
    created = await room.create(otp="1234567")
    room.clock.advance(120)
    command = ReplaceOtp("7654321")
    refusal = await room.store.write(room.devices.replace_otp, BANK, created.registration_id, command)
    assert refusal is RegistrationChangeRefused
    assert await room.status(created.registration_id) == "REMOVED"


async def test_whoever_listens_hears_that_the_attempts_are_used_up(room: Room) -> None:
    created = await room.create(otp="1234567", otp_validation="ON_KEY_EXCHANGE")
    for _ in range(5):
        with pytest.raises(ActivationInvalid):
            await room.activate(room.phone(), created.activation_code, activationOtp="7654321")
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone(), created.activation_code, activationOtp="1234567")
    heard = [event.status for event in room.published]
    assert heard == ["CREATED", "REMOVED"]
    counted = await room.details("registration.otp_failed")
    assert sorted(one["remainingAttempts"] for one in counted) == [1, 2, 3, 4]
