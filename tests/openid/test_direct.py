"""Activation by an OpenID provider (type DIRECT), end to end: software phone, server, real provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.protocols.powerauth.ecies import SH1_APPLICATION, EciesResponse
from ringback.protocols.powerauth.versions import protocol_version
from ringback.softphone import MemoryState, Phone, RefusedByServer
from ringback.softphone.configuration import read_configuration
from ringback.softphone.encrypted import begin_encrypted_for_app, finish_encrypted
from tests.openid.conftest import OffsetClock, private_keys
from tests.peers.openid import REDIRECT, SECRETS, OpenIdPeer, Permission
from tests.served import Served

VERSIONS = ["3.3", "3.2", "3.1", "3.0"]


def configured(provider: OpenIdPeer, client_id: str = "mobile", **more: Any) -> dict[str, Any]:
    """One entry of oauth2_providers."""
    return {
        "providerId": "company",
        "clientId": client_id,
        "clientSecret": SECRETS[client_id],
        "issuerUri": provider.issuer,
        "redirectUri": REDIRECT,
        "pkceEnabled": True,
        **more,
    }


async def configure(served: Served, *providers: dict[str, Any], app: str = "bank") -> None:
    path = f"/powerauth-cloud/admin/applications/{app}/config"
    body = {"key": "oauth2_providers", "values": list(providers)}
    assert (await served.call("POST", path, body, auth=served.admin)).status == 200


@pytest.fixture
async def bank(
    database_url: str, tmp_path: Path, provider: OpenIdPeer, moving_clock: OffsetClock
) -> AsyncIterator[Served]:
    """A server whose app knows the provider as `company`."""
    settings = {"egress_allow": "127.0.0.0/8", "activation_attempts_per_minute": "1000"}
    async with Served.start(tmp_path, database_url, clock=moving_clock, **settings) as running:
        await configure(running, configured(provider))
        yield running


def attributes(permission: Permission, **changed: str | None) -> dict[str, str]:
    """identityAttributes as the SDK sends them; None leaves one out."""
    whole = {
        "method": "oidc",
        "providerId": "company",
        "code": permission.code,
        "nonce": permission.nonce,
        "codeVerifier": permission.code_verifier,
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


async def activate(served: Served, identity: dict[str, str], version: str = "3.3") -> dict[str, Any]:
    """A phone that activates; the registration as its back end then sees it. Raises RefusedByServer."""
    phone = Phone(MemoryState(), session=served.session)
    config = served.app["mobileSdkConfig"]
    done = await phone.activate_by(served.public, config, "DIRECT", identity, name="P", pin="1234", version=version)
    shown = await served.call("GET", f"/powerauth-cloud/v2/registrations/{done.activation_id}")
    body: dict[str, Any] = shown.body
    return body


async def refused(served: Served, identity: dict[str, str]) -> bool:
    """One answer for every reason, and no registration."""
    with pytest.raises(RefusedByServer) as refusal:
        await activate(served, identity)
    assert "ERR_ACTIVATION" in str(refusal.value)
    for person in ("alice", "customer-alice"):
        listed = await served.call("GET", f"/powerauth-cloud/v2/registrations?userId={person}&removed=true")
        assert listed.body["registrations"] == []
    return True


async def ask_configuration(served: Served, content: dict[str, Any], version: str = "3.3") -> dict[str, Any]:
    """POST /api/config/oidc as the SDK sends it."""
    phone = Phone(MemoryState(), session=served.session)
    config = read_configuration(served.app["mobileSdkConfig"])
    request, session = begin_encrypted_for_app(
        config,
        protocol_version(version),
        "/api/config/oidc",
        SH1_APPLICATION,
        content,
        temporary_key=await phone.server.encryption_key(served.public, config, None, version),
        random=phone._random,
        now_ms=phone.server.now_ms(),
    )
    answer = await phone._connection.send(served.public, request, EciesResponse)
    return finish_encrypted(session, answer, dict[str, Any])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_phone_activates_with_a_login_at_the_provider(bank: Served, provider: OpenIdPeer, version: str) -> None:
    shown = await activate(bank, attributes(await provider.permission("mobile", "alice")), version)
    assert shown["registrationStatus"] == "ACTIVE"
    assert shown["userId"] == "alice"


@pytest.mark.parametrize(
    ("client_id", "more", "user_id", "status"),
    [
        ("mobile-post", {"clientAuthenticationMethod": "client_secret_post"}, "alice", "ACTIVE"),
        ("mobile-es", {"signatureAlgorithm": "ES256"}, "alice", "ACTIVE"),
        (
            "mobile-post",
            {"clientAuthenticationMethod": "client_secret_post", "commit": False},
            "alice",
            "PENDING_COMMIT",
        ),
    ],
)
async def test_the_configuration_of_the_provider_counts(
    bank: Served, provider: OpenIdPeer, client_id: str, more: dict[str, Any], user_id: str, status: str
) -> None:
    await configure(bank, configured(provider, client_id, **more))
    shown = await activate(bank, attributes(await provider.permission(client_id, "alice")))
    assert (shown["userId"], shown["registrationStatus"]) == (user_id, status)


async def test_another_claim_can_be_the_user_id(bank: Served, provider: OpenIdPeer) -> None:
    await configure(bank, configured(provider, userIdClaim="customer"))
    shown = await activate(bank, attributes(await provider.permission("mobile", "alice")))
    assert shown["userId"] == "customer-alice"
    await configure(bank, configured(provider, userIdClaim="no_such_claim"))
    with pytest.raises(RefusedByServer):
        await activate(bank, attributes(await provider.permission("mobile", "alice")))


async def test_addresses_may_be_configured_instead_of_discovered(bank: Served, provider: OpenIdPeer) -> None:
    addresses = {
        "authorizeUri": "https://login.example.com/authorize",
        "tokenUri": f"{provider.issuer}/token",
        "jwkSetUri": f"{provider.issuer}/jwks",
    }
    await configure(bank, configured(provider, **addresses))
    assert (await activate(bank, attributes(await provider.permission("mobile", "alice"))))["userId"] == "alice"
    told = await ask_configuration(bank, {"providerId": "company"})
    assert told["responseObject"]["authorizeUri"] == "https://login.example.com/authorize"


async def test_what_the_phone_cannot_prove_activates_nobody(bank: Served, provider: OpenIdPeer) -> None:
    async def permission() -> Permission:
        return await provider.permission("mobile", "alice")

    assert await refused(bank, attributes(await permission(), nonce="x" * 43))
    assert await refused(bank, attributes(await permission(), nonce=None))
    assert await refused(bank, attributes(await permission(), codeVerifier="x" * 43))
    assert await refused(bank, attributes(await permission(), codeVerifier=None))  # pkceEnabled
    assert await refused(bank, attributes(await permission(), code="x" * 43))
    assert await refused(bank, attributes(await permission(), providerId="none"))
    assert await refused(bank, attributes(await permission(), method="saml"))
    assert await refused(bank, attributes(await permission(), code="x" * 5_000))
    assert await refused(bank, {})


async def test_the_code_of_another_client_activates_nobody(bank: Served, provider: OpenIdPeer) -> None:
    assert await refused(bank, attributes(await provider.permission("mobile-post", "alice")))


async def test_a_wrong_client_secret_or_algorithm_activates_nobody(bank: Served, provider: OpenIdPeer) -> None:
    await configure(bank, configured(provider, clientSecret="wrong"))
    assert await refused(bank, attributes(await provider.permission("mobile", "alice")))
    await configure(bank, configured(provider, signatureAlgorithm="ES256"))
    assert await refused(bank, attributes(await provider.permission("mobile", "alice")))


async def test_an_issuer_that_differs_by_a_slash_activates_nobody(bank: Served, provider: OpenIdPeer) -> None:
    await configure(bank, configured(provider, issuerUri=f"{provider.issuer}/"))
    assert await refused(bank, attributes(await provider.permission("mobile", "alice")))


async def test_a_code_activates_one_phone(bank: Served, provider: OpenIdPeer) -> None:
    identity = attributes(await provider.permission("mobile", "alice"))
    results = await asyncio.gather(*(activate(bank, identity) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, dict) for one in results) == 1
    assert all(isinstance(one, dict | RefusedByServer) for one in results)


async def test_the_provider_of_another_app_is_unknown(bank: Served, provider: OpenIdPeer) -> None:
    await bank.new_tenant("shop")
    await configure(bank, configured(provider), app="shop")
    await configure(bank)
    assert await refused(bank, attributes(await provider.permission("mobile", "alice")))


async def test_while_the_provider_is_down_nobody_activates_and_then_again(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    permission = await provider.permission("mobile", "alice")
    await provider.stop()
    assert await refused(bank, attributes(permission))
    await provider.start()
    moving_clock.advance(11)
    shown = await activate(bank, attributes(await provider.permission("mobile", "alice")))
    assert shown["registrationStatus"] == "ACTIVE"


async def test_new_keys_of_the_provider_are_fetched(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    await activate(bank, attributes(await provider.permission("mobile", "bob")))
    await provider.stop()
    await provider.start(private_keys("second"))
    moving_clock.advance(11)
    shown = await activate(bank, attributes(await provider.permission("mobile", "alice")))
    assert shown["userId"] == "alice"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("content", [{"providerId": "company"}, {"requestObject": {"providerId": "company"}}])
async def test_a_phone_asks_how_to_reach_the_provider(
    bank: Served, provider: OpenIdPeer, version: str, content: dict[str, Any]
) -> None:
    assert await ask_configuration(bank, content, version) == {
        "status": "OK",
        "responseObject": {
            "providerId": "company",
            "clientId": "mobile",
            "scopes": "openid",
            "authorizeUri": f"{provider.issuer}/auth",
            "redirectUri": REDIRECT,
            "pkceEnabled": True,
        },
    }


@pytest.mark.parametrize("content", [{}, {"providerId": "none"}, {"providerId": 1}, {"requestObject": {}}])
async def test_a_question_about_no_provider_is_refused(bank: Served, content: dict[str, Any]) -> None:
    with pytest.raises(RefusedByServer) as refusal:
        await ask_configuration(bank, content)
    assert "INVALID_REQUEST" in str(refusal.value)


async def test_a_question_is_answered_once(bank: Served) -> None:
    sent: list[dict[str, Any]] = []
    original = bank.session.request

    def recording(method: str, url: str, **options: Any) -> Any:
        sent.append({"url": url, **options})
        return original(method, url, **options)

    bank.session.request = recording  # type: ignore[method-assign]
    await ask_configuration(bank, {"providerId": "company"})
    bank.session.request = original  # type: ignore[method-assign]
    last = sent[-1]
    async with bank.session.post(last["url"], data=last["data"], headers=last["headers"]) as again:
        body = msgspec.json.decode(await again.read())
        assert (again.status, body["responseObject"]["code"]) == (400, "ERR_ENCRYPTION")
