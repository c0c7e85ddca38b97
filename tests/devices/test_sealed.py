"""Vault, detail and name, user info, upgrade: what an activated phone sends encrypted, over HTTP, in every version."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.protocols.powerauth.ecies import (
    SH1_ACTIVATION,
    SH1_TOKEN_CREATE,
    SH1_UPGRADE,
    SH1_VAULT_UNLOCK,
    EciesResponse,
)
from ringback.protocols.powerauth.ecies_client import EciesClientSession
from ringback.protocols.powerauth.headers import (
    ENCRYPTION_HEADER,
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    build_encryption_header,
    build_signature_header,
    build_token_header,
)
from ringback.protocols.powerauth.vault import decrypt_vault_key
from ringback.store import Query, Tx
from tests.devices.phone import ALL_VERSIONS, PK, TestPhone
from tests.devices.test_api import JSON, REGISTRATIONS, active_phone, key_of, refusal
from tests.served import Answer, Served

POSSESSION, BIOMETRY = "possession", "possession_biometry"
VAULT = ("/pa/v3/vault/unlock", "/pa/vault/unlock", SH1_VAULT_UNLOCK)
RENAME = ("/pa/v3/activation/rename", "/pa/activation/rename", SH1_ACTIVATION)
REASONS = ("ADD_BIOMETRY", "FETCH_ENCRYPTION_KEY", "SIGN_WITH_DEVICE_PRIVATE_KEY", "RECOVERY_CODE", "NOT_SPECIFIED")
AUTHENTICATION = (401, "ERR_AUTHENTICATION")
ENCRYPTION = (400, "ERR_ENCRYPTION")
_details = Query("details", "Test.", "SELECT details FROM audit_log WHERE action = $1 ORDER BY id")
Sealed = tuple[bytes, EciesClientSession]


async def seal(served: Served, phone: TestPhone, content: Any, shared_info1: str) -> Sealed:
    key = await key_of(served, phone, activation=True)
    envelope, session = phone.seal(content, key, shared_info1, activation=True)
    return msgspec.json.encode(envelope), session


def opened(answer: Answer, session: EciesClientSession) -> Any:
    assert answer.status == 200, answer.body
    return msgspec.json.decode(session.open_response(msgspec.convert(answer.body, EciesResponse)))


async def send_signed(
    served: Served, phone: TestPhone, endpoint: tuple[str, str, str], sealed: Sealed, kind: str = PK, **more: Any
) -> Answer:
    """`covers`: what is signed instead of the body."""
    path, uri_id, _ = endpoint
    header = build_signature_header(phone.sign("POST", uri_id, more.pop("covers", sealed[0]), kind, **more))
    return await served.phone_call("POST", path, data=sealed[0], headers={**JSON, SIGNATURE_HEADER: header})


async def unlock(served: Served, phone: TestPhone, content: Any, kind: str = PK, **more: Any) -> Any:
    """The opened answer, or the refusal."""
    sealed = await seal(served, phone, content, SH1_VAULT_UNLOCK)
    answer = await send_signed(served, phone, VAULT, sealed, kind, **more)
    return opened(answer, sealed[1]) if answer.status == 200 else (*refusal(answer), message(answer))


async def send_encrypted(served: Served, phone: TestPhone, path: str, sealed: Sealed, **headers: str) -> Answer:
    encryption = {ENCRYPTION_HEADER: build_encryption_header(phone.activation_encryption_header)}
    return await served.phone_call("POST", path, data=sealed[0], headers={**JSON, **encryption, **headers})


def message(answer: Answer) -> str:
    text: str = answer.body["responseObject"]["message"]
    return text


async def token_of(served: Served, phone: TestPhone, kind: str) -> None:
    sealed = await seal(served, phone, {}, SH1_TOKEN_CREATE)
    answer = await send_signed(served, phone, ("/pa/v3/token/create", "/pa/token/create", ""), sealed, kind)
    phone.finish_mac_token(msgspec.convert(answer.body, EciesResponse), sealed[1])


async def ask_detail(served: Served, phone: TestPhone, sealed: Sealed | None = None, **headers: str) -> Any:
    """The opened answer, or the refusal."""
    sealed = sealed or await seal(served, phone, {}, SH1_ACTIVATION)
    token = {TOKEN_HEADER: build_token_header(phone.token_header())}
    answer = await send_encrypted(served, phone, "/pa/v3/activation/detail", sealed, **{**token, **headers})
    return opened(answer, sealed[1]) if answer.status == 200 else (*refusal(answer), message(answer))


async def rename(served: Served, phone: TestPhone, content: Any, kind: str = PK, **more: Any) -> Any:
    """Signs the content, as the SDK does. The opened answer, or the refusal."""
    sealed = await seal(served, phone, content, SH1_ACTIVATION)
    answer = await send_signed(served, phone, RENAME, sealed, kind, **{"covers": msgspec.json.encode(content), **more})
    return opened(answer, sealed[1]) if answer.status == 200 else refusal(answer)


async def user_info(served: Served, phone: TestPhone) -> Any:
    """The opened answer, or the refusal."""
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    answer = await send_encrypted(served, phone, "/pa/v3/user/info", sealed)
    return opened(answer, sealed[1]) if answer.status == 200 else (*refusal(answer), message(answer))


async def failures_of(served: Served, phone: TestPhone) -> int:
    registration = await served.installation.store.read(served.rooms.devices.registration, phone.id)
    assert registration is not None
    return registration.failed_attempts


async def audited(served: Served, action: str) -> list[Any]:
    async def read(tx: Tx) -> list[Any]:
        return [msgspec.json.decode(text) for (text,) in await tx.all(_details, action)]

    return await served.installation.store.read(read)


# vault ----------------------------------------------------------------------------------------------------------------


async def test_every_version_unlocks_its_vault_for_every_reason(served: Served) -> None:
    for version in ALL_VERSIONS:
        phone = await active_phone(served, version, version)
        asked = [{"reason": reason} for reason in REASONS] + [{}, {"reason": None, "more": 1}]
        for content in asked:
            answer = await unlock(served, phone, content)
            assert set(answer) == {"encryptedVaultEncryptionKey"}
            encrypted = base64.b64decode(answer["encryptedVaultEncryptionKey"])
            assert decrypt_vault_key(phone.known_keys.transport, encrypted) == phone.known_keys.vault
    rows = await audited(served, "vault.unlock")
    expected = [*REASONS, "NOT_SPECIFIED", "NOT_SPECIFIED"] * len(ALL_VERSIONS)
    assert rows == [{"reason": reason, "signatureType": PK} for reason in expected]


async def test_a_vault_opens_only_with_knowledge(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    for kind in (POSSESSION, BIOMETRY, "knowledge", "biometry"):
        refused = await unlock(served_sqlite, phone, {}, kind)
        assert refused == (*AUTHENTICATION, "POWER_AUTH_SIGNATURE_TYPE_INVALID")
    assert "encryptedVaultEncryptionKey" in await unlock(served_sqlite, phone, {}, "possession_knowledge_biometry")
    assert await failures_of(served_sqlite, phone) == 0


@pytest.fixture
async def served_with_biometry(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with Served.start(tmp_path, sqlite_url, vault_unlock_with_biometry="true") as running:
        yield running


async def test_a_setting_lets_biometry_open_the_vault(served_with_biometry: Served) -> None:
    phone = await active_phone(served_with_biometry)
    assert "encryptedVaultEncryptionKey" in await unlock(served_with_biometry, phone, {}, BIOMETRY)
    assert (await unlock(served_with_biometry, phone, {}, POSSESSION))[:2] == AUTHENTICATION


async def test_what_a_vault_does_not_open_for(served: Served) -> None:
    phone = await active_phone(served)
    for content in ({"reason": "CURIOSITY"}, {"reason": ""}, {"reason": 7}, [], "ADD_BIOMETRY"):
        refused = await unlock(served, phone, content)
        assert refused == (400, "ERR_SECURE_VAULT", "POWER_AUTH_SECURE_VAULT_INVALID"), content
    assert await unlock(served, phone, {}, wrong=True) == (*AUTHENTICATION, "POWER_AUTH_SIGNATURE_INVALID")
    assert await failures_of(served, phone) == 1
    broken = (b'{"mac":"AAAA"}', (await seal(served, phone, {}, SH1_VAULT_UNLOCK))[1])
    assert refusal(await send_signed(served, phone, VAULT, broken, wrong=True)) == AUTHENTICATION
    assert await failures_of(served, phone) == 2
    assert refusal(await send_signed(served, phone, VAULT, broken)) == ENCRYPTION
    assert await failures_of(served, phone) == 0
    foreign = await seal(served, phone, {}, SH1_ACTIVATION)
    assert refusal(await send_signed(served, phone, VAULT, foreign)) == ENCRYPTION
    sealed = await seal(served, phone, {}, SH1_VAULT_UNLOCK)
    assert (await send_signed(served, phone, VAULT, sealed)).status == 200
    assert refusal(await send_signed(served, phone, VAULT, sealed)) == ENCRYPTION
    sealed = await seal(served, phone, {}, SH1_VAULT_UNLOCK)
    await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "BLOCK"})
    assert refusal(await send_signed(served, phone, VAULT, sealed)) == AUTHENTICATION
    assert len(await audited(served, "vault.unlock")) == 1


# detail and name ------------------------------------------------------------------------------------------------------


async def test_every_version_asks_for_its_detail_and_changes_its_name(served: Served) -> None:
    for version in ALL_VERSIONS:
        phone = await active_phone(served, version, version)
        await token_of(served, phone, PK)
        detail = {"activationId": phone.id, "activationName": "Jan's phone"}
        assert await ask_detail(served, phone) == {"status": "OK", "responseObject": detail, **detail}
        name = {"activationName": f"Žluťoučký {version}"}
        renamed = {**detail, **name}
        assert await rename(served, phone, name, BIOMETRY) == {"status": "OK", "responseObject": renamed, **renamed}
        assert (await ask_detail(served, phone))["responseObject"] == renamed
        seen = (await served.call("GET", f"{REGISTRATIONS}/{phone.id}")).body
        assert seen["name"] == name["activationName"]
        over_the_body = await seal(served, phone, {"activationName": "b"}, SH1_ACTIVATION)
        assert (await send_signed(served, phone, RENAME, over_the_body)).status == 200
    rows = await audited(served, "registration.rename")
    assert rows[:2] == [{"from": "Jan's phone", "to": "Žluťoučký 3.0"}, {"from": "Žluťoučký 3.0", "to": "b"}]


async def test_detail_takes_a_mac_token_of_two_factors_and_the_phones_own_encryption(served: Served) -> None:
    phone, other = await active_phone(served), await active_phone(served, "eva")
    await token_of(served, phone, POSSESSION)
    assert await ask_detail(served, phone) == (*AUTHENTICATION, "POWER_AUTH_SIGNATURE_TYPE_INVALID")
    await token_of(served, phone, BIOMETRY)
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    without = await send_encrypted(served, phone, "/pa/v3/activation/detail", sealed)
    assert (*refusal(without), message(without)) == (*AUTHENTICATION, "POWER_AUTH_HTTP_HEADER_MISSING")
    forged = build_token_header(msgspec.structs.replace(phone.token_header(), token_digest=bytes(32)))
    assert await ask_detail(served, phone, **{TOKEN_HEADER: forged}) == (*AUTHENTICATION, "POWER_AUTH_TOKEN_INVALID")
    stolen = build_token_header(phone.token_header())
    assert await ask_detail(served, other_with(other, phone), **{TOKEN_HEADER: stolen}) == (
        *AUTHENTICATION,
        "POWER_AUTH_TOKEN_INVALID",
    )
    app_wide = build_encryption_header(phone.encryption_header)
    assert (await ask_detail(served, phone, **{ENCRYPTION_HEADER: app_wide}))[:2] == ENCRYPTION
    assert (await ask_detail(served, phone, await seal(served, phone, {}, SH1_UPGRADE)))[:2] == ENCRYPTION
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    assert "activationId" in await ask_detail(served, phone, sealed)
    assert (await ask_detail(served, phone, sealed))[:2] == ENCRYPTION
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "BLOCK"})
    assert await ask_detail(served, phone, sealed) == (*AUTHENTICATION, "POWER_AUTH_TOKEN_INVALID")


def other_with(other: TestPhone, owner: TestPhone) -> TestPhone:
    """A phone that came by somebody else's MAC token."""
    other.mac_token = owner.mac_token
    return other


async def test_a_name_that_is_none_changes_nothing(served: Served) -> None:
    phone = await active_phone(served)
    for name in ("", "   ", "x" * 256, "a\0b", 7, None):
        assert await rename(served, phone, {"activationName": name}) == (400, "ERR_ACTIVATION"), name
    assert await rename(served, phone, []) == (400, "ERR_ACTIVATION")
    assert await rename(served, phone, {"activationName": "thief"}, POSSESSION) == AUTHENTICATION
    assert await failures_of(served, phone) == 0
    assert await rename(served, phone, {"activationName": "thief"}, wrong=True) == AUTHENTICATION
    assert await rename(served, phone, {"activationName": "thief"}, covers=b"something else") == AUTHENTICATION
    assert await failures_of(served, phone) == 2
    broken = (b"{}", (await seal(served, phone, {}, SH1_ACTIVATION))[1])
    assert refusal(await send_signed(served, phone, RENAME, broken)) == ENCRYPTION
    sealed = await seal(served, phone, {"activationName": "once"}, SH1_ACTIVATION)
    assert (await send_signed(served, phone, RENAME, sealed)).status == 200
    assert refusal(await send_signed(served, phone, RENAME, sealed)) == ENCRYPTION
    assert (await served.call("GET", f"{REGISTRATIONS}/{phone.id}")).body["name"] == "once"
    assert len(await audited(served, "registration.rename")) == 1


# user info ------------------------------------------------------------------------------------------------------------


async def test_every_version_is_told_about_its_user(served: Served) -> None:
    claims = {"name": "Jan Novák", "email_verified": True, "address": {"country": "CZ"}}
    for version in ALL_VERSIONS:
        phone = await active_phone(served, f"user {version}", version)
        told = await user_info(served, phone)
        assert (told["sub"], set(told)) == (f"user {version}", {"sub", "jti", "iat"})
        assert abs(told["iat"] - phone.clock.now_ms() // 1000) < 60
        path = f"/api/v1/apps/bank/users/user {version}/claims"
        assert (await served.call("PUT", path, {"claims": claims})).status == 200
        again = await user_info(served, phone)
        assert {**again, "jti": "", "iat": 0} == {**claims, "sub": f"user {version}", "jti": "", "iat": 0}
        assert again["jti"] != told["jti"]


async def test_the_claims_of_another_app_are_not_told(served: Served) -> None:
    phone = await active_phone(served)
    _, shop = await served.new_tenant("shop")
    path = "/api/v1/apps/shop/users/jan/claims"
    assert (await served.call("PUT", path, {"claims": {"name": "Jan of the shop"}}, auth=shop)).status == 200
    assert set(await user_info(served, phone)) == {"sub", "jti", "iat"}


async def test_who_is_not_told_about_a_user(served: Served) -> None:
    phone = await active_phone(served)
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    assert (await send_encrypted(served, phone, "/pa/v3/user/info", sealed)).status == 200
    replayed = await send_encrypted(served, phone, "/pa/v3/user/info", sealed)
    assert (*refusal(replayed), message(replayed)) == (*ENCRYPTION, "POWER_AUTH_ENCRYPTION_FAILED")
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    for header in ("", "PowerAuth x", build_encryption_header(phone.encryption_header)):
        answer = await send_encrypted(served, phone, "/pa/v3/user/info", sealed, **{ENCRYPTION_HEADER: header})
        assert refusal(answer) == ENCRYPTION
    await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "BLOCK"})
    assert await user_info(served, phone) == (400, "ERR_USER_INFO", "POWER_AUTH_USER_INFO_ERROR")
    sealed = await seal(served, phone, {}, SH1_ACTIVATION)
    await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": "REMOVE"})
    assert refusal(await send_encrypted(served, phone, "/pa/v3/user/info", sealed)) == ENCRYPTION


# upgrade --------------------------------------------------------------------------------------------------------------


async def test_there_is_nothing_to_upgrade(served: Served) -> None:
    upgrade = (400, "ERR_UPGRADE")
    path = "/pa/v3/upgrade/commit"
    commit = (path, "/pa/upgrade/commit", "")
    for version in ALL_VERSIONS:
        phone = await active_phone(served, version, version)
        sealed = await seal(served, phone, {}, SH1_UPGRADE)
        answer = await send_encrypted(served, phone, "/pa/v3/upgrade/start", sealed)
        assert (*refusal(answer), message(answer)) == (*upgrade, "POWER_AUTH_UPGRADE_FAILED")
        foreign = await seal(served, phone, {}, SH1_ACTIVATION)
        assert refusal(await send_encrypted(served, phone, "/pa/v3/upgrade/start", foreign)) == ENCRYPTION
        plain = (b"{}", sealed[1])
        assert refusal(await send_signed(served, phone, commit, plain, POSSESSION)) == upgrade
        refused = await send_signed(served, phone, commit, plain, PK)
        assert (*refusal(refused), message(refused)) == (*AUTHENTICATION, "POWER_AUTH_SIGNATURE_TYPE_INVALID")
        assert refusal(await send_signed(served, phone, commit, plain, POSSESSION, wrong=True)) == AUTHENTICATION
        empty = await send_signed(served, phone, commit, (b"", sealed[1]), POSSESSION)
        assert (*refusal(empty), message(empty)) == (*AUTHENTICATION, "POWER_AUTH_REQUEST_INVALID")
        seen = (await served.call("GET", f"{REGISTRATIONS}/{phone.id}")).body
        assert seen["registrationStatus"] == "ACTIVE"


async def test_claims_come_with_the_activation_when_there_are_some(served: Served) -> None:
    for version in ALL_VERSIONS:
        assert await told_at_activation(served, version, "ON_KEY_EXCHANGE") is None
        path = f"/api/v1/apps/bank/users/{version}/claims"
        assert (await served.call("PUT", path, {"claims": {"name": "Jan"}})).status == 200
        told = await told_at_activation(served, version, "ON_KEY_EXCHANGE")
        assert (told["name"], told["sub"], set(told)) == ("Jan", version, {"name", "sub", "jti", "iat"})


async def test_a_phone_that_nobody_has_committed_yet_hears_no_claims(served: Served) -> None:
    await served.call("PUT", "/api/v1/apps/bank/users/jan/claims", {"claims": {"name": "Jan"}})
    assert await told_at_activation(served, "jan", "ON_COMMIT") is None


async def told_at_activation(served: Served, user_id: str, commit_phase: str) -> Any:
    wanted = {"userId": user_id, "appId": "bank", "commitPhase": commit_phase}
    created = await served.call("POST", REGISTRATIONS, wanted)
    version = user_id if user_id in ALL_VERSIONS else "3.3"
    phone = TestPhone(served.app["mobileSdkConfig"], served.installation.clock, version)
    body, sessions = phone.activation_request(await key_of(served, phone), created.body["activationCode"])
    headers = {**JSON, ENCRYPTION_HEADER: build_encryption_header(phone.encryption_header)}
    answer = await served.phone_call("POST", "/pa/v3/activation/create", data=body, headers=headers)
    return opened(answer, sessions[0]).get("userInfo")
