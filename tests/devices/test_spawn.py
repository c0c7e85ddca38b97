"""A phone gets an activation code for another app of its user, over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.protocols.powerauth.activation_code import build_qr
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION
from ringback.softphone import ActivationRefused, Phone, RefusedByServer, SignatureRefused, Unlock
from ringback.softphone.recovery import SpawnedActivation
from tests.devices.phone import ALL_VERSIONS
from tests.devices.stories import PIN, REGISTRATIONS, active_phone, configure, create, new_phone, status
from tests.served import Served

PATH = "/api/activation/code"


async def refused(phone: Phone, app_id: str = "shop", otp: str = "12345678", unlock: Unlock = PIN) -> RefusedByServer:
    with pytest.raises(RefusedByServer) as error:
        await phone.spawn_activation(app_id, otp, unlock)
    return error.value


@pytest.mark.parametrize("version", ALL_VERSIONS)
async def test_a_phone_activates_another_app_of_its_user(served: Served, version: str) -> None:
    shop, shop_login = await served.new_tenant("shop")
    await configure(served, "activation_spawn", ["shop"])
    phone = await active_phone(served, version=version)
    spawned = await phone.spawn_activation("shop", "12345678", PIN)
    qr = build_qr(spawned.activation_code, decode_base64(spawned.activation_signature, limit=72))
    other = new_phone(served)
    arguments: dict[str, Any] = {"name": "Shop", "pin": "1234", "version": version}
    with pytest.raises(ActivationRefused):
        await other.activate(served.public, shop["mobileSdkConfig"], qr, otp="87654321", **arguments)
    await other.activate(served.public, shop["mobileSdkConfig"], qr, otp="12345678", **arguments)
    assert (await other.status()).status == "ACTIVE"
    assert other.state.activation_id == spawned.activation_id
    shown = (await served.call("GET", f"{REGISTRATIONS}/{spawned.activation_id}", auth=shop_login)).body
    assert (shown["userId"], shown["applicationId"]) == ("jan", "shop")


async def test_the_request_may_be_bare(served: Served) -> None:
    await served.new_tenant("shop")
    await configure(served, "activation_spawn", ["shop"])
    phone = await active_phone(served)
    content = {"applicationId": "shop", "otp": "12345678"}
    for sign_content in (True, False):
        spawned = await phone.send_encrypted_signed(
            PIN, PATH, PATH, SH1_ACTIVATION, content, SpawnedActivation, sign_content=sign_content
        )
        assert len(spawned.activation_code) == 23


async def test_only_apps_that_the_configuration_names(served: Served) -> None:
    await served.new_tenant("shop")
    await served.new_tenant("third")
    phone = await active_phone(served)
    assert ((await refused(phone)).http_status, (await refused(phone)).server_code) == (400, "INVALID_APPLICATION")
    await configure(served, "activation_spawn", ["third"])
    for app_id in ("shop", "bank", "none"):
        assert (await refused(phone, app_id)).server_code == "INVALID_APPLICATION"
    await phone.spawn_activation("third", "12345678", PIN)


async def test_it_takes_two_factors_and_an_active_phone(served: Served) -> None:
    await served.new_tenant("shop")
    await configure(served, "activation_spawn", ["shop"])
    phone = await active_phone(served)
    assert (await refused(phone, unlock=Unlock())).http_status == 401
    with pytest.raises(SignatureRefused) as error:
        await phone.spawn_activation("shop", "12345678", Unlock(pin="0000"))
    assert (error.value.http_status, error.value.server_code) == (401, "POWERAUTH_AUTH_FAIL")
    assert (await phone.status()).failed_attempts == 1
    path = f"{REGISTRATIONS}/{phone.state.activation_id}"
    await served.call("PUT", path, {"change": "BLOCK"})
    assert (await refused(phone)).http_status == 401
    await served.call("PUT", path, {"change": "UNBLOCK"})
    await phone.spawn_activation("shop", "12345678", PIN)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"applicationId": "shop"},
        {"applicationId": "shop", "otp": ""},
        {"applicationId": "shop", "otp": 12345678},
        {"applicationId": "shop", "otp": "1" * 256},
        {"requestObject": None},
        {"requestObject": {"applicationId": "shop"}},
        [],
        "shop",
    ],
)
async def test_bad_requests_are_refused(served_sqlite: Served, content: Any) -> None:
    await configure(served_sqlite, "activation_spawn", [])
    phone = await active_phone(served_sqlite)
    with pytest.raises(RefusedByServer) as error:
        await phone.send_encrypted_signed(
            PIN, PATH, PATH, SH1_ACTIVATION, content, SpawnedActivation, sign_content=True
        )
    assert (error.value.http_status, error.value.server_code) == (400, "INVALID_REQUEST")


async def test_a_phone_without_headers_is_refused(served_sqlite: Served) -> None:
    created = await create(served_sqlite)
    answer = await served_sqlite.phone_call("POST", PATH, {"encryptedData": "", "mac": "", "ephemeralPublicKey": ""})
    assert (answer.status, answer.body["responseObject"]["code"]) == (401, "POWERAUTH_AUTH_FAIL")
    assert await status(served_sqlite, created["registrationId"]) == "CREATED"
