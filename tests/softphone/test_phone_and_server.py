"""The phone and the wired server: the same halves of the protocol never meet in one process's code path."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ringback.softphone import MemoryState, Phone, SignatureRefused, Unlock
from ringback.softphone.client import POSSESSION, signed_request
from ringback.softphone.load import Lane, run_load
from ringback.softphone.load_wire import http_request
from ringback.softphone.wire import plain_body
from tests.served import Served

PIN = "1357"


async def enrolled(served: Served, phone: Phone, user_id: str, version: str = "3.3") -> str:
    content = {"userId": user_id, "appId": served.app["id"]}
    created = (await served.call("POST", "/powerauth-cloud/v2/registrations", content)).body
    config = served.app["mobileSdkConfig"]
    await phone.activate(served.public, config, created["activationQrCodeData"], name="x", pin=PIN, version=version)
    await served.call("POST", f"/powerauth-cloud/v2/registrations/{created['registrationId']}/commit", {})
    return str(created["registrationId"])


async def test_whole_life_of_a_phone(served: Served, version: str) -> None:
    async with Phone(MemoryState()) as phone:
        registration_id = await enrolled(served, phone, "alice", version)
        await phone.validate(Unlock(pin=PIN))
        await phone.validate(POSSESSION)
        await phone.validate(Unlock(pin=PIN, biometry=True))
        await phone.register_push()
        async with asyncio.timeout(60), phone.open_push_stream() as pushes:
            content = {"userId": "alice", "template": "login", "language": "en"}
            created = (await served.call("POST", "/powerauth-cloud/v2/operations", content)).body
            push = await anext(pushes)
            assert push.content["extras"]["operationId"] == created["operationId"]
        await phone.approve(created["operationId"], Unlock(biometry=True))
        seen = (await served.call("GET", f"/powerauth-cloud/v2/operations/{created['operationId']}")).body
        assert seen["status"] == "APPROVED"
        assert (await phone.status()).counters == "in step"
        header = phone.sign("POST", "/payment", b"1000 EUR", Unlock(pin=PIN))
        asked = {"method": "POST", "uriId": "/payment", "authHeader": header, "requestBody": "MTAwMCBFVVI="}
        told = (await served.call("POST", "/powerauth-cloud/v2/signature/verify", asked)).body
        assert (told["signatureValid"], told["signatureType"]) == (True, "possession_knowledge")
        with pytest.raises(SignatureRefused):
            await phone.validate(Unlock(pin="0000"))
        for _ in range(12):
            phone.sign("POST", "/payment", b"lost on the way", POSSESSION)
        status = await phone.status()
        assert (status.counters, status.counter_gap, status.should_sign_soon) == ("phone ahead", 13, True)
        await phone.validate(Unlock(biometry=True))
        assert (await phone.status()).counters == "in step"
        await phone.remove(Unlock(pin=PIN))
        seen = (await served.call("GET", f"/powerauth-cloud/v2/registrations/{registration_id}")).body
        assert seen["registrationStatus"] == "REMOVED"


async def test_a_phone_whose_file_is_old_catches_up(served_sqlite: Served, version: str) -> None:
    kept = MemoryState()
    async with Phone(kept) as phone:
        await enrolled(served_sqlite, phone, "alice", version)
        backup = phone.state
        for steps in (1, 19, 20):
            for _ in range(steps):
                await phone.validate(Unlock(biometry=True))
            kept.save(msgspec.structs.replace(backup, mac_token_id=None, mac_token_secret=None))
            with pytest.raises(SignatureRefused):
                await phone.validate(Unlock(biometry=True))  # spends one counter of the phone's
            status = await phone.status()
            assert (status.counters, status.counter_gap) == (("in step", 0) if steps == 1 else ("caught up", steps - 1))
            await phone.validate(Unlock(biometry=True))
            backup = phone.state


async def test_load_of_phones_that_sign(served_sqlite: Served, version: str) -> None:
    served = served_sqlite

    def signing(phone: Phone) -> Lane:
        state, body = phone.state, plain_body({})
        for _ in range(10):
            state, request = signed_request(
                state, POSSESSION, "/pa/v3/signature/validate", "/pa/signature/validate", body, lambda n: b"n" * n
            )
            headers = {**request.headers, "Content-Type": "application/json"}
            answer = yield http_request(
                "POST", f"/enrollment-server{request.path}", host="127.0.0.1", headers=headers, body=body
            )
            assert answer is not None
            assert answer.status == 200

    phones = [Phone(MemoryState()) for _ in range(4)]
    for number, phone in enumerate(phones):
        await enrolled(served, phone, f"user-{number}", version)
        await phone.close()
    host, _, port = served.public.removeprefix("http://").partition(":")
    result = await run_load(host, int(port), [signing(phone) for phone in phones])
    assert result.statuses == {200: 40}
