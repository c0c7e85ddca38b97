"""What travels in the open beside encrypted contents, and inside the key exchange, field by field, in every version."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import msgspec
import pytest

from ringback.clock import SystemClock
from ringback.protocols.powerauth.ecies import SH1_APPLICATION, SH1_TOKEN_CREATE, SH1_UPGRADE, EciesResponse
from ringback.protocols.powerauth.headers import ENCRYPTION_HEADER, build_encryption_header, build_signature_header
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS, protocol_version
from ringback.softphone import Phone, RefusedByServer, Unlock
from ringback.softphone.configuration import read_configuration
from ringback.softphone.encrypted import begin_encrypted_for_app, finish_encrypted
from ringback.softphone.wire import PhoneRequest
from tests.devices.phone import TestPhone
from tests.devices.stories import activation, configure, create, new_phone
from tests.devices.test_api import JSON, REGISTRATIONS, active_phone, key_of, signed
from tests.served import Served

PIN = Unlock(pin="1234")
ALWAYS = {"ephemeralPublicKey", "encryptedData", "mac"}
REQUEST = {
    "3.0": ALWAYS,
    "3.1": ALWAYS | {"nonce"},
    "3.2": ALWAYS | {"nonce", "timestamp"},
    "3.3": ALWAYS | {"nonce", "timestamp", "temporaryKeyId"},
}
RESPONSE = {
    version: {"encryptedData", "mac"} | ({"nonce", "timestamp"} if fields >= {"timestamp"} else set())
    for version, fields in REQUEST.items()
}
ENCRYPTED = {
    "/pa/v3/activation/create",
    "/pa/v3/token/create",
    "/pa/v3/vault/unlock",
    "/pa/v3/activation/detail",
    "/pa/v3/activation/rename",
    "/pa/v3/user/info",
    "/pa/v3/recovery/confirm",
    "/api/activation/code",
    "/api/config/oidc",
}
PROVIDER = {
    "providerId": "idp",
    "clientId": "app",
    "clientSecret": "secret",
    "issuerUri": "https://idp.example.com",
    "redirectUri": "app://back",
    "authorizeUri": "https://idp.example.com/authorize",
    "tokenUri": "https://idp.example.com/token",
    "jwkSetUri": "https://idp.example.com/keys",
}


class Wire:
    """What a phone sends and gets, as it is on the wire."""

    def __init__(self, phone: Phone) -> None:
        self.fields: dict[str, tuple[set[str], set[str]]] = {}
        self._send = phone._connection.send
        phone._connection.send = self.send  # type: ignore[method-assign, assignment]

    async def send(self, server_url: str, request: PhoneRequest, shape: Any) -> Any:
        """Notes the names of both sides' fields."""
        answer = await self._send(server_url, request, dict[str, Any])
        if request.path in ENCRYPTED:
            self.fields[request.path] = (set(json.loads(request.body)), set(answer))
        return msgspec.convert(answer, shape)


async def every_encrypted_request(served: Served, version: str) -> dict[str, tuple[set[str], set[str]]]:
    await served.new_tenant("second")
    for key, values in (
        ("recovery", {"enabled": True}),
        ("activation_spawn", ["second"]),
        ("oauth2_providers", [PROVIDER]),
    ):
        await configure(served, key, values)
    phone = new_phone(served)
    wire = Wire(phone)
    created = await create(served, commitPhase="ON_KEY_EXCHANGE")
    activated = await phone.activate(code=created["activationCode"], **activation(served, version=version))
    assert activated.recovery is not None
    await phone.unlock_vault("ADD_BIOMETRY", PIN)
    await phone.rename("Another name", PIN)
    await phone.detail(PIN)
    await phone.user_info()
    await phone.confirm_recovery_code(activated.recovery.recovery_code, PIN)
    await phone.spawn_activation("second", "0123456789", PIN)
    await _ask_for_provider(served, phone, version)
    return wire.fields


async def _ask_for_provider(served: Served, phone: Phone, version: str) -> None:
    configuration = read_configuration(served.app["mobileSdkConfig"])
    key = await phone.server.encryption_key(served.public, configuration, None, version)
    request, session = begin_encrypted_for_app(
        configuration,
        protocol_version(version),
        "/api/config/oidc",
        SH1_APPLICATION,
        {"providerId": "idp"},
        temporary_key=key,
        random=os.urandom,
        now_ms=SystemClock().now_ms(),
    )
    answer = await phone._connection.send(served.public, request, EciesResponse)
    shown = finish_encrypted(session, answer, dict[str, Any])["responseObject"]
    assert (shown["providerId"], shown["clientId"]) == ("idp", "app")


@pytest.mark.parametrize("version", PROTOCOL_VERSIONS)
async def test_envelopes_have_the_fields_of_their_version(served_sqlite: Served, version: str) -> None:
    seen = await every_encrypted_request(served_sqlite, version)
    assert set(seen) == ENCRYPTED
    for path, (request, response) in seen.items():
        assert request == REQUEST[version], path
        assert response == RESPONSE[version], path


async def test_both_layers_of_the_key_exchange(served_sqlite: Served) -> None:
    served = served_sqlite
    await configure(served, "recovery", {"enabled": True})
    created = await create(served)
    phone = TestPhone(served.app["mobileSdkConfig"], SystemClock())
    body, (outer, inner) = phone.activation_request(
        await key_of(served, phone), created["activationCode"], extras="extra words", externalId="external id"
    )
    headers = {**JSON, ENCRYPTION_HEADER: build_encryption_header(phone.encryption_header)}
    answer = await served.phone_call("POST", "/pa/v3/activation/create", data=body, headers=headers)
    assert answer.status == 200
    layer1 = msgspec.json.decode(outer.open_response(msgspec.convert(answer.body, EciesResponse)))
    assert set(layer1) == {"activationData", "customAttributes"}
    assert set(layer1["activationData"]) == {"encryptedData", "mac", "nonce", "timestamp"}
    assert "temporaryKeyId" not in layer1["activationData"]
    layer2 = msgspec.json.decode(inner.open_response(msgspec.convert(layer1["activationData"], EciesResponse)))
    assert set(layer2) == {"activationId", "serverPublicKey", "ctrData", "activationRecovery"}
    assert len(base64.b64decode(layer2["serverPublicKey"])) == 65
    assert len(base64.b64decode(layer2["ctrData"])) == 16
    assert set(layer2["activationRecovery"]) == {"recoveryCode", "puk"}
    found = await served.installation.store.read(served.rooms.devices.registration, layer2["activationId"])
    assert found is not None
    assert (found.extras, found.external_id) == ("extra words", "external id")


async def test_what_is_inside_a_new_mac_token(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    key = await key_of(served_sqlite, phone, activation=True)
    envelope, session = phone.seal({}, key, SH1_TOKEN_CREATE, activation=True)
    body = msgspec.json.encode(envelope)
    answer = await signed(served_sqlite, phone, "/pa/v3/token/create", "/pa/token/create", body)
    opened = msgspec.json.decode(session.open_response(msgspec.convert(answer.body, EciesResponse)))
    assert set(opened) == {"tokenId", "tokenSecret"}
    assert len(base64.b64decode(opened["tokenSecret"])) == 16


async def test_an_upgrade_is_asked_with_an_envelope_and_refused(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    envelope, _ = phone.seal({}, await key_of(served_sqlite, phone, activation=True), SH1_UPGRADE, activation=True)
    assert set(msgspec.to_builtins(envelope)) == {
        "temporaryKeyId", "ephemeralPublicKey", "encryptedData", "mac", "nonce", "timestamp",
    }  # fmt: skip
    header = msgspec.structs.replace(phone.encryption_header, activation_id=phone.id)
    answer = await served_sqlite.phone_call(
        "POST",
        "/pa/v3/upgrade/start",
        data=msgspec.json.encode(envelope),
        headers={**JSON, ENCRYPTION_HEADER: build_encryption_header(header)},
    )
    assert (answer.status, answer.body["responseObject"]["code"]) == (400, "ERR_UPGRADE")


async def test_a_confirmed_code_says_whether_it_was_before(served_sqlite: Served) -> None:
    """`alreadyConfirmed` of recovery/confirm: a code that came with an activation always was."""
    await configure(served_sqlite, "recovery", {"enabled": True})
    phone = new_phone(served_sqlite)
    created = await create(served_sqlite, commitPhase="ON_KEY_EXCHANGE")
    activated = await phone.activate(code=created["activationCode"], **activation(served_sqlite))
    assert activated.recovery is not None
    assert await phone.confirm_recovery_code(activated.recovery.recovery_code, PIN) is True
    with pytest.raises(RefusedByServer):
        await phone.confirm_recovery_code("AAAAA-AAAAA-AAAAA-AAAAA", PIN)


async def test_a_blocked_phone_says_why_everywhere(served_sqlite: Served) -> None:
    """`blockedReason` in the list and in the answer about a signature."""
    phone = await active_phone(served_sqlite)
    change = {"change": "BLOCK", "blockReason": "LOST", "externalUserId": "clerk"}
    assert (await served_sqlite.call("PUT", f"{REGISTRATIONS}/{phone.id}", change)).status == 200
    listed = (await served_sqlite.call("GET", f"{REGISTRATIONS}?userId=jan")).body["registrations"]
    assert [one["blockedReason"] for one in listed] == ["LOST"]
    asked = {
        "method": "POST",
        "uriId": "/payment",
        "authHeader": build_signature_header(phone.sign("POST", "/payment", b"{}")),
        "requestBody": base64.b64encode(b"{}").decode(),
    }
    verified = (await served_sqlite.call("POST", "/powerauth-cloud/v2/signature/verify", asked)).body
    assert (verified["signatureValid"], verified["blockedReason"]) == (False, "LOST")


async def test_flags_note_who_changed_them(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    for method, flag in (("POST", "VIP"), ("PUT", "NEW"), ("DELETE", "NEW")):
        change = {"flags": [flag], "externalUserId": f"clerk who used {method}"}
        answer = await served_sqlite.call(method, f"{REGISTRATIONS}/{phone.id}/flags", change)
        assert answer.status == 200, answer.body
    noted = await served_sqlite.call("GET", f"/api/v1/audit?subjectId={phone.id}", auth=served_sqlite.admin)
    said = [
        one["details"].get("externalUserId") for one in noted.body["items"] if one["action"] == "registration.flags"
    ]
    assert sorted(said) == ["clerk who used DELETE", "clerk who used POST", "clerk who used PUT"]


async def test_an_app_says_where_its_phones_call(served_sqlite: Served) -> None:
    shown = await served_sqlite.call("GET", "/powerauth-cloud/admin/applications/bank", auth=served_sqlite.admin)
    assert shown.body["serviceBaseUrl"] == f"{served_sqlite.public}/enrollment-server"


async def test_a_qr_code_for_every_phone_takes_the_nonce_of_the_back_end(served_sqlite: Served) -> None:
    nonce = base64.b64encode(bytes(range(16))).decode()
    path = "/powerauth-cloud/v2/applications/bank/offline/qr"
    made = (await served_sqlite.call("POST", path, {"data": "a\nb", "nonce": nonce})).body
    assert made["nonce"] == nonce
    assert f"a\nb\n{nonce}\n" in made["offlineData"]
