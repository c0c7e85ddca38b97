"""System users with an access token in the place of a password, against a real provider."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.store import Command
from tests.openid.conftest import OffsetClock, private_keys
from tests.peers.openid import OpenIdPeer
from tests.served import Answer, Served

AUDIENCE = "https://ringback.example.com"
LIST = "/powerauth-cloud/v2/registrations?userId=alice"
_disable = Command("disable", "Test.", "UPDATE system_users SET enabled = FALSE WHERE username = $1")


@pytest.fixture
async def bank(
    database_url: str, tmp_path: Path, provider: OpenIdPeer, moving_clock: OffsetClock
) -> AsyncIterator[Served]:
    """A server that takes access tokens of the provider."""
    settings = {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "egress_allow": "127.0.0.0/8"}
    async with Served.start(tmp_path, database_url, clock=moving_clock, **settings) as running:
        yield running


async def ask(served: Served, access_token: str, path: str = LIST, scheme: str = "Bearer") -> Answer:
    async with served.session.get(
        served.internal + path, headers={"Authorization": f"{scheme} {access_token}"}
    ) as answer:
        return Answer(answer.status, await answer.json(content_type=None), dict(answer.headers))


def refused(answer: Answer) -> bool:
    """The same answer for every reason."""
    assert (answer.status, answer.body["responseObject"]["code"]) == (401, "HTTP_401")
    assert answer.body["responseObject"]["message"].startswith("The access token is not accepted.")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    return True


async def test_a_system_user_calls_with_an_access_token(bank: Served, provider: OpenIdPeer) -> None:
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await ask(bank, access_token, scheme=scheme)
        assert (answer.status, answer.body) == (200, {"registrations": []})
    # its role and its apps are those of the user
    assert (await ask(bank, access_token, "/powerauth-cloud/admin/applications/bank")).status == 403
    _, shop = await bank.new_tenant("shop")
    foreign = {"userId": "alice", "appId": "shop"}
    assert (await bank.call("POST", "/powerauth-cloud/v2/registrations", foreign, auth=shop)).status == 200
    assert (await ask(bank, access_token)).body == {"registrations": []}
    root = await provider.access_token("root", AUDIENCE)
    assert (await ask(bank, root, "/powerauth-cloud/admin/applications/bank")).status == 200
    # a password works as before
    assert (await bank.call("GET", LIST)).status == 200


async def test_a_token_for_another_audience_or_of_nobody_is_refused(bank: Served, provider: OpenIdPeer) -> None:
    assert refused(await ask(bank, await provider.access_token("bank-back-end", "https://other.example.com")))
    assert refused(await ask(bank, await provider.access_token("nobody", AUDIENCE)))


async def test_a_token_that_was_tampered_with_is_refused(bank: Served, provider: OpenIdPeer) -> None:
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    head, claims, signature = access_token.split(".")
    other = _encode({**_decode(claims), "sub": "root"})
    none = _encode({**_decode(head), "alg": "none"})
    symmetric = _encode({**_decode(head), "alg": "HS256"})
    for changed in (
        f"{head}.{other}.{signature}",
        f"{none}.{claims}.",
        f"{symmetric}.{claims}.{signature}",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{claims}",
        access_token + "x" * 20_000,
        "x",
        "é.é.é",
        "..",
    ):
        assert refused(await ask(bank, changed))
    assert (await ask(bank, access_token)).status == 200


async def test_an_expired_token_is_refused_also_one_that_was_taken_before(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    assert (await ask(bank, access_token)).status == 200
    moving_clock.advance(300 + 55)  # it lives 300 s, and clocks may differ by 60 s
    assert (await ask(bank, access_token)).status == 200
    moving_clock.advance(10)
    assert refused(await ask(bank, access_token))


async def test_a_token_from_the_future_is_refused(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    moving_clock.advance(-70)
    assert refused(await ask(bank, await provider.access_token("bank-back-end", AUDIENCE)))


async def test_a_disabled_user_is_refused_whatever_the_token_says(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    assert (await ask(bank, access_token)).status == 200

    async def disable(tx: Any) -> None:
        await tx.run(_disable, "bank-back-end")

    await bank.installation.store.write(disable)
    moving_clock.advance(2)
    assert refused(await ask(bank, access_token))


async def test_new_keys_of_the_provider_are_fetched(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    assert (await ask(bank, await provider.access_token("bank-back-end", AUDIENCE))).status == 200
    await provider.stop()
    await provider.start(private_keys("second"))
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    assert refused(await ask(bank, access_token))  # not at every unknown key: the last look was just now
    moving_clock.advance(11)
    assert (await ask(bank, access_token)).status == 200


async def test_while_the_provider_is_down_known_keys_go_on(
    bank: Served, provider: OpenIdPeer, moving_clock: OffsetClock
) -> None:
    used = await provider.access_token("bank-back-end", AUDIENCE)
    fresh = await provider.access_token("bank-back-end", AUDIENCE)
    assert (await ask(bank, used)).status == 200
    await provider.stop()
    moving_clock.advance(61)
    assert (await ask(bank, fresh)).status == 200


async def test_a_provider_that_never_answered_lets_nobody_in(bank: Served, provider: OpenIdPeer) -> None:
    access_token = await provider.access_token("bank-back-end", AUDIENCE)
    await provider.stop()
    assert refused(await ask(bank, access_token))
    assert (await bank.call("GET", LIST)).status == 200  # the password does


async def test_without_an_issuer_no_access_token_is_taken(served_sqlite: Served, provider: OpenIdPeer) -> None:
    answer = await ask(served_sqlite, await provider.access_token("bank-back-end", AUDIENCE))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def _decode(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
