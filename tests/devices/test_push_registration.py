"""Phones tell where they are reached, proved by a signature or by a MAC token, in every version."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.protocols.powerauth.headers import SIGNATURE_HEADER, TOKEN_HEADER, build_token_header
from ringback.store import Query, Tx
from tests.devices.phone import ALL_VERSIONS, TestPhone
from tests.devices.test_api import REGISTRATIONS, active_phone, mac_token, refusal, signed
from tests.served import Answer, Served

PATH, URI_ID = "/api/push/device/register", "/push/device/register"
LIST = "/api/auth/token/app/operation/list"
NOT_ACTIVE, NOT_PROVEN = (400, "INVALID_ACTIVATION"), (401, "POWERAUTH_AUTH_FAIL")
_tokens = Query("tokens", "Test.", "SELECT kind, push_token FROM push_tokens WHERE registration_id = $1 ORDER BY kind")


def push(push_token: str, **more: Any) -> dict[str, Any]:
    return {"requestObject": {"platform": "fcm", "token": push_token, **more}}


async def by_signature(served: Served, phone: TestPhone, content: Any, kind: str = "possession", **more: Any) -> Answer:
    return await signed(served, phone, PATH, URI_ID, msgspec.json.encode(content), signature_type=kind, **more)


async def by_token(served: Served, phone: TestPhone, content: Any, path: str = PATH, **headers: str) -> Answer:
    token = {TOKEN_HEADER: build_token_header(phone.token_header())}
    return await served.phone_call("POST", path, content, headers={**token, **headers})


async def kept(served: Served, phone: TestPhone) -> list[tuple[str, str]]:
    async def read(tx: Tx) -> list[tuple[str, str]]:
        return [(kind, text) for kind, text in await tx.all(_tokens, phone.id)]

    return await served.installation.store.read(read)


async def block(served: Served, phone: TestPhone) -> None:
    assert (await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "BLOCK"})).status == 200


async def test_every_version_registers_by_signature_and_by_mac_token(served: Served) -> None:
    for version in ALL_VERSIONS:
        phone = await active_phone(served, version, version)
        assert (await by_signature(served, phone, push(f"S{version}"))).body == {"status": "OK"}
        assert await kept(served, phone) == [("fcm", f"S{version}")]
        assert (await by_signature(served, phone, push(f"K{version}"), "possession_knowledge")).status == 200
        await mac_token(served, phone)
        assert (await by_token(served, phone, push(f"T{version}"))).body == {"status": "OK"}
        assert await kept(served, phone) == [("fcm", f"T{version}")]
        assert (await by_token(served, phone, push(f"U{version}"), PATH + "/token")).status == 200
        assert await kept(served, phone) == [("fcm", f"U{version}")]


async def test_what_proves_nothing_registers_nothing(served: Served) -> None:
    phone = await active_phone(served)
    assert refusal(await by_signature(served, phone, push("X"), wrong=True)) == NOT_PROVEN
    assert refusal(await by_signature(served, phone, push("X"), covers=b"{}")) == NOT_PROVEN
    assert refusal(await by_signature(served, phone, push("X"), "knowledge")) == (401, "ERR_AUTHENTICATION")
    assert refusal(await by_signature(served, phone, push(""))) == (400, "INVALID_REQUEST")
    assert refusal(await served.phone_call("POST", PATH, push("X"), headers={SIGNATURE_HEADER: "?"})) == NOT_PROVEN
    await mac_token(served, phone)
    # A signature header that is there is the one that counts.
    assert refusal(await by_token(served, phone, push("X"), **{SIGNATURE_HEADER: "?"})) == NOT_PROVEN
    assert await kept(served, phone) == []


async def test_only_who_proves_its_mac_token_learns_that_the_phone_is_blocked(served: Served) -> None:
    phone = await active_phone(served)
    await mac_token(served, phone)
    await block(served, phone)
    header = build_token_header(phone.token_header())
    for path, content in ((PATH, push("X")), (PATH + "/token", push("X")), (LIST, {})):
        assert refusal(await by_token(served, phone, content, path)) == NOT_ACTIVE
        wrong = msgspec.structs.replace(phone.token_header(), token_digest=bytes(32))
        forged = {TOKEN_HEADER: build_token_header(wrong)}
        assert refusal(await served.phone_call("POST", path, content, headers=forged)) == NOT_PROVEN
    assert refusal(await by_token(served, phone, push("X"), **{TOKEN_HEADER: header})) == NOT_ACTIVE
    assert refusal(await by_token(served, phone, push("X"), **{TOKEN_HEADER: header})) == NOT_PROVEN
    assert refusal(await by_signature(served, phone, push("X"))) == NOT_PROVEN
    assert await kept(served, phone) == []
    await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "REMOVE"})
    assert refusal(await by_token(served, phone, push("X"))) == NOT_PROVEN


async def test_a_back_end_asks_about_the_mac_token_of_a_blocked_phone(served: Served) -> None:
    phone = await active_phone(served)
    await mac_token(served, phone)
    await block(served, phone)
    request = {"authHeader": build_token_header(phone.token_header())}
    answer = await served.call("POST", "/powerauth-cloud/v2/token/verify", request)
    assert (answer.body["tokenValid"], answer.body["registrationStatus"]) == (False, "BLOCKED")
