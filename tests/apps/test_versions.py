"""Applications over HTTP: lists, roles, and versions with keys of their own that the server listens to or not."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

import pytest

from ringback.protocols.powerauth.sdk_configuration import parse_sdk_configuration
from ringback.softphone import MemoryState, Phone, PhoneError, Unlock
from ringback.store import Command, Tx
from tests.served import Answer, Served

APPS = "/powerauth-cloud/admin/applications"
REGISTRATIONS = "/powerauth-cloud/v2/registrations"
_insert_master_key = Command(
    "test_insert_master_key",
    "A master key of another kind.",
    "INSERT INTO app_master_keys (app_id, key_id, public_key, private_key_sealed) VALUES ($1, $2, $3, $4)",
)


async def admin(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, APPS + path, body, auth=served.admin)


async def enrolled(served: Served, configuration: str) -> Phone:
    """An active phone whose app was built with this configuration."""
    created = await served.call("POST", REGISTRATIONS, {"userId": "alice", "appId": "bank"})
    phone = Phone(MemoryState(), session=served.session)
    code = created.body["activationQrCodeData"]
    await phone.activate(served.public, configuration, code, name="Phone", pin="1234")
    committed = await served.call("POST", f"{REGISTRATIONS}/{created.body['registrationId']}/commit")
    assert committed.status == 200
    return phone


async def verified(served: Served, phone: Phone) -> dict[str, Any]:
    header = phone.sign("POST", "/pay", b"pay", Unlock(pin="1234"))
    body = {"method": "POST", "uriId": "/pay", "authHeader": header, "requestBody": base64.b64encode(b"pay").decode()}
    answer = await served.call("POST", "/powerauth-cloud/v2/signature/verify", body)
    assert answer.status == 200
    return dict(answer.body)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["responseObject"]["code"]


async def test_a_second_version_has_keys_of_its_own_and_both_work(served: Served) -> None:
    made = (await admin(served, "POST", "/bank/versions", {"name": "2.0"})).body
    assert (made["name"], made["supported"]) == ("2.0", True)
    assert made["appKey"] != served.app["appKey"]
    first, second = (parse_sdk_configuration(one["mobileSdkConfig"]) for one in (served.app, made))
    assert first.public_keys == second.public_keys
    assert second.app_secret == base64.b64decode(made["appSecret"])
    listed = (await admin(served, "GET", "/bank/versions")).body["versions"]
    assert [one["name"] for one in listed] == ["default", "2.0"]
    assert listed[1] == made
    shown = (await admin(served, "GET", "/bank")).body
    assert (shown["versions"], shown["appKey"]) == (listed, served.app["appKey"])
    for configuration in (served.app["mobileSdkConfig"], made["mobileSdkConfig"]):
        assert (await verified(served, await enrolled(served, configuration)))["signatureValid"] is True


async def test_an_unsupported_version_is_not_listened_to_until_it_is_supported_again(served: Served) -> None:
    old = served.app["mobileSdkConfig"]
    phone = await enrolled(served, old)
    fresh = (await admin(served, "POST", "/bank/versions", {"name": "2.0"})).body
    assert (await verified(served, phone))["signatureValid"] is True
    answer = await admin(served, "POST", "/bank/versions/default/unsupport")
    assert (answer.body["name"], answer.body["supported"]) == ("default", False)
    outcome = await verified(served, phone)
    assert (outcome["signatureValid"], outcome["remainingAttempts"]) == (False, 4)
    with pytest.raises(PhoneError):
        await enrolled(served, old)
    with pytest.raises(PhoneError):
        await phone.create_token()
    current = (await admin(served, "GET", "/bank")).body
    assert current["appKey"] == fresh["appKey"]
    assert (await verified(served, await enrolled(served, fresh["mobileSdkConfig"])))["signatureValid"] is True
    assert (await admin(served, "POST", "/bank/versions/default/support")).body["supported"] is True
    assert (await verified(served, phone))["signatureValid"] is True
    assert (await admin(served, "GET", "/bank")).body["appKey"] == served.app["appKey"]


async def test_versions_are_refused_by_name(served: Served) -> None:
    assert refused(await admin(served, "POST", "/bank/versions", {"name": "default"})) == (400, "ERROR_REQUEST")
    assert refused(await admin(served, "POST", "/bank/versions", {"name": "a/b"})) == (400, "ERROR_REQUEST")
    assert refused(await admin(served, "POST", "/bank/versions/9.9/unsupport")) == (400, "ERROR_REQUEST")
    for method, path in (("GET", "/none/versions"), ("POST", "/none/versions/default/support")):
        assert refused(await admin(served, method, path)) == (400, "ERROR_REQUEST")
    many = [admin(served, "POST", "/bank/versions", {"name": "twice"}) for _ in range(8)]
    assert sorted(answer.status for answer in await asyncio.gather(*many)) == [200, *[400] * 7]


async def test_the_configuration_carries_every_master_key(served: Served) -> None:
    keys = {key_id: os.urandom(4096) for key_id in (2, 3, 4)}

    async def insert(tx: Tx) -> None:
        for key_id, key in keys.items():
            await tx.run(_insert_master_key, "bank", key_id, key, b"sealed")

    await served.installation.store.write(insert)
    shown = (await admin(served, "GET", "/bank")).body
    first = parse_sdk_configuration(served.app["mobileSdkConfig"]).public_keys[1]
    for text in (shown["mobileSdkConfig"], shown["versions"][0]["mobileSdkConfig"]):
        assert parse_sdk_configuration(text).public_keys == {1: first, **keys}
    made = (await admin(served, "POST", "/bank/versions", {"name": "2.0"})).body
    assert parse_sdk_configuration(made["mobileSdkConfig"]).public_keys == {1: first, **keys}
    assert base64.b64decode(shown["masterServerPublicKey"]) == first


async def test_roles_are_replaced_and_shown_to_back_ends(served: Served) -> None:
    answer = await admin(served, "PUT", "/bank/roles", {"roles": ["RETAIL", "TEST", "RETAIL"]})
    assert answer.body == {"id": "bank", "roles": ["RETAIL", "TEST"]}
    assert (await admin(served, "GET", "/bank")).body["roles"] == ["RETAIL", "TEST"]
    phone = await enrolled(served, served.app["mobileSdkConfig"])
    assert (await verified(served, phone))["application"] == {"id": "bank", "roles": ["RETAIL", "TEST"]}
    assert (await admin(served, "PUT", "/bank/roles", {"roles": []})).body["roles"] == []
    assert refused(await admin(served, "PUT", "/none/roles", {"roles": []})) == (400, "ERROR_REQUEST")
    assert refused(await admin(served, "PUT", "/bank/roles", {"roles": [""]})) == (400, "ERROR_REQUEST")


async def test_the_list_has_pages_by_id(served: Served) -> None:
    for name in ("a-shop", "c-shop"):
        await admin(served, "POST", "", {"id": name, "roles": ["SHOP"]})
    whole = (await admin(served, "GET", "")).body["applications"]
    assert whole == [
        {"id": "a-shop", "roles": ["SHOP"]},
        {"id": "bank", "roles": []},
        {"id": "c-shop", "roles": ["SHOP"]},
    ]
    assert (await admin(served, "GET", "?pageNumber=1&pageSize=2")).body["applications"] == whole[2:]
    far = await admin(served, "GET", "?pageNumber=10001&pageSize=1")
    assert far.body["responseObject"]["violations"][0]["fieldName"] == "pageNumber"
