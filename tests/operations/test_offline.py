"""Approving without a network: the QR text, the digits, and what wrong ones cost. Over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.keys import generate_private_key
from ringback.protocols.powerauth.offline_qr import (
    OfflineOperation,
    build_offline_qr,
    operation_lines,
    parse_offline_qr,
)
from ringback.protocols.powerauth.offline_qr import parse_operation as parse
from ringback.softphone import FactorNotAllowedOffline, Phone, QrRefused, Unlock
from ringback.softphone.offline import answer_offline, read_offline_qr
from tests.operations.journey import BIOMETRY, KNOWLEDGE, OPERATIONS, WRONG, Journey, approve
from tests.served import Answer

REGISTRATIONS = "/powerauth-cloud/v2/registrations"
PAYMENT = {"amount": "1000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}
NONCE = "AAAAAAAAAAAAAAAAAAAAAA=="


async def qr_of(journey: Journey, operation: dict[str, Any], phone: Phone) -> dict[str, Any]:
    path = f"{OPERATIONS}/{operation['operationId']}/offline/qr?registrationId={phone.state.activation_id}"
    answer = await journey.served.call("GET", path)
    assert answer.status == 200, answer
    made: dict[str, Any] = answer.body
    assert set(made) == {"operationQrCodeData", "nonce"}
    return made


async def send_otp(journey: Journey, operation: dict[str, Any], phone: Phone, otp: str, nonce: str) -> Answer:
    body = {"otp": otp, "nonce": nonce, "registrationId": phone.state.activation_id}
    return await journey.served.call("POST", f"{OPERATIONS}/{operation['operationId']}/offline/otp", body)


async def test_what_the_qr_text_says(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", template="payment", parameters=PAYMENT)
        made = await qr_of(journey, operation, phone)
        lines = made["operationQrCodeData"].split("\n")
        assert lines[:6] == [
            operation["operationId"],
            "Approve payment",
            "Do you want to pay 1000.00 EUR to CZ5508000000001234567899?",
            "A1*A1000.00EUR*ICZ5508000000001234567899",
            "B",
            made["nonce"],
        ]
        assert (lines[6][0], len(lines)) == ("1", 7)
        assert len(decode_base64(made["nonce"], limit=16)) == 16


@pytest.mark.parametrize(("unlock", "factor"), [(KNOWLEDGE, "possession_knowledge"), (BIOMETRY, "possession_biometry")])
async def test_the_right_digits_approve(journey: Journey, unlock: Unlock, factor: str) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", template="payment", parameters=PAYMENT)
        made = await qr_of(journey, operation, phone)
        answer = phone.answer_offline(made["operationQrCodeData"], unlock)
        assert (answer.title, answer.data) == ("Approve payment", operation["data"])
        sent = await send_otp(journey, operation, phone, answer.code, made["nonce"])
        assert (sent.status, sent.body) == (
            200,
            {
                "otpValid": True,
                "userId": "alice",
                "registrationId": phone.state.activation_id,
                "registrationStatus": "ACTIVE",
                "signatureType": factor,
                "remainingAttempts": 5,
                "flags": [],
                "application": {"id": "bank", "roles": []},
            },
        )
        seen = await journey.look(operation["operationId"])
        assert seen["status"] == "APPROVED"
        assert seen["additionalData"] == {
            "activationId": phone.state.activation_id,
            "applicationId": "bank",
            "authFactor": factor,
        }
        again = await send_otp(journey, operation, phone, answer.code, made["nonce"])
        assert (again.status, again.body["responseObject"]["code"]) == (400, "ERROR_OPERATION_STATE_CHANGE")


@pytest.mark.parametrize("form", ["{0}{1}{2}{3}-{4}{5}{6}{7}", "{0}-{1}-{2}-{3}", "{0} {1} {2} {3}", "{0}{1}{2}{3}"])
async def test_digits_in_every_grouping(journey: Journey, form: str) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice")
        made = await qr_of(journey, operation, phone)
        digits = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code.replace("-", "")
        size = 2 if "{7}" in form else 4
        typed = form.format(*(digits[at : at + size] for at in range(0, 16, size)))
        assert (await send_otp(journey, operation, phone, typed, made["nonce"])).body["otpValid"] is True


async def test_wrong_digits_count_twice_over(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice")
        made = await qr_of(journey, operation, phone)
        wrong = phone.answer_offline(made["operationQrCodeData"], WRONG).code
        for left in range(4, -1, -1):
            sent = await send_otp(journey, operation, phone, wrong, made["nonce"])
            if left:
                assert (sent.status, sent.body["otpValid"], sent.body["remainingAttempts"]) == (200, False, left)
                assert (await journey.look(operation["operationId"]))["failureCount"] == 5 - left
        assert (sent.body["registrationStatus"], sent.body["blockedReason"]) == ("BLOCKED", "MAX_FAILED_ATTEMPTS")
        assert (await journey.look(operation["operationId"]))["status"] == "FAILED"
        registration = (await journey.served.call("GET", f"{REGISTRATIONS}/{phone.state.activation_id}")).body
        assert registration["registrationStatus"] == "BLOCKED"


async def test_online_and_offline_have_one_counter(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        first, second = await journey.ask(userId="alice"), await journey.ask(userId="alice")
        made = await qr_of(journey, first, phone)
        code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code
        await approve(phone, second, BIOMETRY)  # the server's counter is now behind the digits
        late = await send_otp(journey, first, phone, code, made["nonce"])
        assert (late.body["otpValid"], late.body["remainingAttempts"]) == (False, 4)
        for _ in range(19):
            code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code
        assert (await send_otp(journey, first, phone, code, made["nonce"])).body["otpValid"] is True
        assert (await phone.status()).counters == "in step"


async def test_one_of_many_right_answers_wins(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice")
        made = await qr_of(journey, operation, phone)
        code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code
        answers = await asyncio.gather(*(send_otp(journey, operation, phone, code, made["nonce"]) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] + [400] * 9
        assert (await journey.look(operation["operationId"]))["failureCount"] == 0


@pytest.mark.parametrize("otp", ["", "1234567", "1234-5678-9012-345", "1234-5678-9012-34567", "x" * 16, "\u0664" * 16])
async def test_what_is_no_otp_is_refused_and_not_counted(journey: Journey, otp: str) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice")
        refused = await send_otp(journey, operation, phone, otp, NONCE)
        assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_OTP_INVALID")
        assert (await journey.look(operation["operationId"]))["failureCount"] == 0


async def test_other_bad_requests(journey: Journey) -> None:
    async with await journey.phone("alice") as phone, await journey.phone("bob") as bob:
        operation = await journey.ask(userId="alice")
        path = f"{OPERATIONS}/{operation['operationId']}/offline"
        body = {"otp": "12345678-12345678", "nonce": NONCE, "registrationId": phone.state.activation_id}
        for field, value, code in (
            ("nonce", "?" * 24, "ERROR_REQUEST"),
            ("nonce", "AAAA", "ERROR_REQUEST"),
            ("registrationId", bob.state.activation_id, "ERROR_REGISTRATION_NOT_FOUND"),
            ("registrationId", "nothing", "ERROR_REGISTRATION_NOT_FOUND"),
        ):
            refused = await journey.served.call("POST", f"{path}/otp", {**body, field: value})
            assert (refused.status, refused.body["responseObject"]["code"]) == (400, code), field
        refused = await journey.served.call("GET", f"{path}/qr?registrationId={bob.state.activation_id}")
        assert refused.body["responseObject"]["code"] == "ERROR_REGISTRATION_NOT_FOUND"
        refused = await journey.served.call("GET", f"{path}/qr")
        assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")
        registration = f"{REGISTRATIONS}/{phone.state.activation_id}"
        await journey.served.call("PUT", registration, {"change": "BLOCK"})
        refused = await journey.served.call("GET", f"{path}/qr?registrationId={phone.state.activation_id}")
        assert refused.body["responseObject"]["code"] == "ERROR_REGISTRATION_CHANGE"
        sent = await journey.served.call("POST", f"{path}/otp", body)
        assert (sent.body["otpValid"], sent.body["registrationStatus"]) == (False, "BLOCKED")
        journey.clock.advance(300)
        for refused in (
            await journey.served.call("GET", f"{path}/qr?registrationId={phone.state.activation_id}"),
            await journey.served.call("POST", f"{path}/otp", body),
        ):
            assert refused.body["responseObject"]["code"] == "ERROR_OPERATION_STATE_CHANGE"
        assert (await journey.look(operation["operationId"]))["status"] == "EXPIRED"


async def test_the_proximity_otp_is_in_the_qr_text_and_under_the_signature(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", proximityCheckEnabled=True)
        journey.clock.advance(-(journey.clock.now_ms() % 30_000) / 1000)
        made = await qr_of(journey, operation, phone)
        qr = parse_offline_qr(made["operationQrCodeData"])
        assert qr.totp == (await journey.look(operation["operationId"]))["proximityOtp"]
        code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code
        journey.clock.advance(60)
        late = await send_otp(journey, operation, phone, code, made["nonce"])
        assert late.body["otpValid"] is False
        made = await qr_of(journey, operation, phone)
        code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).code
        journey.clock.advance(30)
        assert (await send_otp(journey, operation, phone, code, made["nonce"])).body["otpValid"] is True


async def test_flags_of_the_template(journey: Journey) -> None:
    texts = [{"language": "en", "title": "Two\nlines \\ one", "message": "a\tb"}]
    for name, types, risk, flags in (
        ("pin", ["possession_knowledge"], "CFX", "XFC"),
        ("both", ["possession_knowledge", "possession_biometry"], "F", "BF"),
    ):
        template = {
            "name": name, "operationType": name, "dataTemplate": "A2", "signatureTypes": types, "riskFlags": risk,
            "texts": texts,
        }  # fmt: skip
        assert (await journey.admin("POST", "", template)).status == 201
        async with await journey.phone("alice") as phone:
            operation = await journey.ask(userId="alice", template=name)
            made = await qr_of(journey, operation, phone)
            assert made["operationQrCodeData"].split("\n")[1:5] == ["Two\\nlines \\\\ one", "a b", "A2", flags]
            assert parse(parse_offline_qr(made["operationQrCodeData"]).data).title == "Two\nlines \\ one"
            if "B" not in flags:
                with pytest.raises(FactorNotAllowedOffline):
                    phone.answer_offline(made["operationQrCodeData"], BIOMETRY)
                # A phone that signs with biometry all the same: its digits are wrong.
                qr = read_offline_qr(phone.state, made["operationQrCodeData"])
                anyway = msgspec.structs.replace(qr, operation=msgspec.structs.replace(qr.operation, flags="B"))
                _, answer = answer_offline(phone.state, anyway, BIOMETRY)
                sent = await send_otp(journey, operation, phone, answer.code, made["nonce"])
                assert sent.body["otpValid"] is False
            with pytest.raises(FactorNotAllowedOffline):
                phone.answer_offline(made["operationQrCodeData"], Unlock())


async def test_operations_that_one_factor_approves_have_no_qr_text(journey: Journey) -> None:
    template = {
        "name": "tap", "operationType": "tap", "dataTemplate": "A2", "signatureTypes": ["possession"],
        "texts": [{"language": "en", "title": "Tap"}],
    }  # fmt: skip
    await journey.admin("POST", "", template)
    async with await journey.phone("alice") as phone:
        operation = await journey.ask(userId="alice", template="tap")
        path = f"{OPERATIONS}/{operation['operationId']}/offline/qr?registrationId={phone.state.activation_id}"
        refused = await journey.served.call("GET", path)
        assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")


async def test_a_qr_text_of_somebody_else_is_refused(journey: Journey) -> None:
    async with await journey.phone("alice") as phone, await journey.phone("alice") as other:
        operation = await journey.ask(userId="alice")
        text = (await qr_of(journey, operation, phone))["operationQrCodeData"]
        lines = operation_lines(OfflineOperation("id", "Pay", "me", "A1*A1EUR", "B"))
        forged = build_offline_qr(lines, bytes(16), "1", generate_private_key())
        for keeper, bad in ((other, text), (phone, forged), (phone, text.replace("A2", "A3")), (phone, "hello")):
            with pytest.raises(QrRefused):
                keeper.answer_offline(bad, KNOWLEDGE)


# registrations' own data ----------------------------------------------------------------------------------------------


async def test_data_of_ones_own(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        path = f"{REGISTRATIONS}/{phone.state.activation_id}/offline"
        made = (await journey.served.call("POST", f"{path}/qr", {"data": "Sign the lease"})).body
        data, nonce, _ = made["offlineData"].split("\n")
        assert (data, nonce) == ("Sign the lease", made["nonce"])
        asked = {"nonce": nonce, "data": "Sign the lease"}
        code = phone.answer_offline(made["offlineData"], KNOWLEDGE).grouped
        sent = (await journey.served.call("POST", f"{path}/otp", {**asked, "otp": code})).body
        assert (sent["otpValid"], sent["signatureType"], sent["userId"]) == (True, "possession_knowledge", "alice")
        again = (await journey.served.call("POST", f"{path}/otp", {**asked, "otp": code})).body
        assert (again["otpValid"], again["remainingAttempts"]) == (False, 4)
        code = phone.answer_offline(made["offlineData"], BIOMETRY).code
        for allowed, valid in ((False, False), (True, True)):
            body = {**asked, "otp": code, "allowBiometry": allowed}
            assert (await journey.served.call("POST", f"{path}/otp", body)).body["otpValid"] is valid
        chosen = (await journey.served.call("POST", f"{path}/qr", {"data": "x", "nonce": NONCE})).body
        assert chosen["nonce"] == NONCE
        block = {"change": "BLOCK", "blockReason": "LOST"}
        await journey.served.call("PUT", f"{REGISTRATIONS}/{phone.state.activation_id}", block)
        sent = (await journey.served.call("POST", f"{path}/otp", {**asked, "otp": code})).body
        assert (sent["otpValid"], sent["registrationStatus"], sent["blockedReason"]) == (False, "BLOCKED", "LOST")
        assert (sent["remainingAttempts"], sent["flags"], sent["application"]["id"]) == (0, [], "bank")


async def test_other_uris_and_fewer_digits(journey: Journey) -> None:
    async with await journey.phone("alice") as phone:
        path = f"{REGISTRATIONS}/{phone.state.activation_id}/offline"
        made = (await journey.served.call("POST", f"{path}/qr", {"data": "x"})).body
        request = read_offline_qr(phone.state, made["offlineData"])
        state, answer = answer_offline(phone.state, request, KNOWLEDGE, "/lease")
        phone._keeper.save(state)
        short = "-".join(part[-4:] for part in answer.code.split("-"))
        body = {"otp": short, "nonce": made["nonce"], "data": "x", "componentLength": 4}
        assert (await journey.served.call("POST", f"{path}/otp", body)).body["otpValid"] is False
        sent = (await journey.served.call("POST", f"{path}/otp", {**body, "uriId": "/lease"})).body
        assert sent["otpValid"] is True
        refused = await journey.served.call("POST", f"{path}/otp", {**body, "otp": answer.code})
        assert refused.body["responseObject"]["code"] == "ERROR_OTP_INVALID"


async def test_a_qr_text_for_every_phone_of_an_app(journey: Journey) -> None:
    async with await journey.phone("alice") as alice, await journey.phone("bob") as bob:
        path = "/powerauth-cloud/v2/applications/bank/offline/qr"
        made = (await journey.served.call("POST", path, {"data": "Open the door"})).body
        assert made["offlineData"].split("\n")[2][0] == "0"
        for phone in (alice, bob):
            code = phone.answer_offline(made["offlineData"], KNOWLEDGE).code
            body = {"otp": code, "nonce": made["nonce"], "data": "Open the door"}
            answer = await journey.served.call("POST", f"{REGISTRATIONS}/{phone.state.activation_id}/offline/otp", body)
            assert answer.body["otpValid"] is True


async def test_an_unknown_registration(journey: Journey) -> None:
    path = f"{REGISTRATIONS}/nothing/offline"
    refused = await journey.served.call("POST", f"{path}/qr", {"data": "x"})
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REGISTRATION_NOT_FOUND")
    body = {"otp": "1234567812345678", "nonce": NONCE, "data": "x"}
    sent = await journey.served.call("POST", f"{path}/otp", body)
    assert (sent.status, sent.body["otpValid"], sent.body["registrationStatus"]) == (200, False, "REMOVED")
    for bad in ({"data": ""}, {"data": "x", "nonce": "A"}, {}):
        assert (await journey.served.call("POST", f"{path}/qr", bad)).status == 400
