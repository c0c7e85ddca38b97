"""ID tokens, access tokens, discovery documents and key sets of a provider that means no good."""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from ringback.clock import ManualClock
from ringback.egress import Egress
from ringback.errors import OpenIdRefused
from ringback.openid import Client, OpenIdClient
from tests.egress.servers import listening

NONCE = "n-0S6_WzA2Mj"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
CURVE = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
SMALL = RSAKey.generate_key(1024, {"kid": "small", "use": "sig"})


class Hostile:
    """Documents by path, which a test changes as it likes, and how often they were asked for."""

    def __init__(self) -> None:
        self.issuer = ""
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        self.delay = 0.0
        self.heads: list[bytes] = []

    async def speak(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self.heads[-1].split()[1].decode()
        self.asked.append(path)
        await asyncio.sleep(self.delay)
        found = self.documents.get(path)
        body = found if isinstance(found, bytes) else msgspec.json.encode(found)
        status = 404 if found is None else 200
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    """A provider with one RSA and one EC key."""
    made = Hostile()
    async with listening(made.speak) as here:
        made.heads = here.heads
        made.issuer = f"http://127.0.0.1:{here.port}"
        made.documents = {
            "/.well-known/openid-configuration": {
                "issuer": made.issuer,
                "token_endpoint": f"{made.issuer}/token",
                "jwks_uri": f"{made.issuer}/jwks",
            },
            "/jwks": {"keys": [RSA.as_dict(private=False), CURVE.as_dict(private=False), SMALL.as_dict(private=False)]},
        }
        yield made


@pytest.fixture
async def openid(clock: ManualClock) -> AsyncIterator[OpenIdClient]:
    """The relying party."""
    egress = Egress(allow=[ipaddress.ip_network("127.0.0.0/8")])
    yield OpenIdClient(egress=egress, clock=clock)
    await egress.close()


def claims(hostile: Hostile, clock: ManualClock, **changed: Any) -> dict[str, Any]:
    """A right ID token's claims; `...` leaves one out."""
    now = clock.now_ms() // 1000
    whole = {
        "iss": hostile.issuer,
        "aud": "mobile",
        "sub": "alice",
        "exp": now + 300,
        "iat": now,
        "nonce": NONCE,
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not ...}


async def check(openid: OpenIdClient, hostile: Hostile, token: str, algorithm: str = "RS256") -> Any:
    return await openid.id_token_claims(
        token,
        issuer=hostile.issuer,
        jwks_uri=f"{hostile.issuer}/jwks",
        client_id="mobile",
        algorithm=algorithm,
        nonce=NONCE,
    )


def signed(content: dict[str, Any], key: Any = RSA, alg: str = "RS256", **header: Any) -> str:
    payload = json.dumps(content).encode()  # escapes what UTF-8 does not have, and writes NaN
    return jws.serialize_compact({"alg": alg, "kid": "rsa", **header}, payload, key, algorithms=[alg])


async def test_a_right_token_is_taken(openid: OpenIdClient, hostile: Hostile, clock: ManualClock) -> None:
    right = claims(hostile, clock)
    assert (await check(openid, hostile, signed(right)))["sub"] == "alice"
    assert (await check(openid, hostile, signed(right, CURVE, "ES256", kid="ec"), "ES256"))["sub"] == "alice"
    without_key_id = jwt.encode({"alg": "RS256"}, right, RSA)
    assert (await check(openid, hostile, without_key_id))["sub"] == "alice"
    several = claims(hostile, clock, aud=["mobile", "other"], azp="mobile")
    assert (await check(openid, hostile, signed(several)))["sub"] == "alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example.com"},
        {"iss": ...},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": ...},
        {"aud": None},
        {"aud": ["mobile", "other"]},
        {"aud": ["mobile", "other"], "azp": "other"},
        {"azp": "other"},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": None},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": float("-inf")},
        {"iat": ...},
        {"nonce": ...},
        {"nonce": "other"},
        {"nonce": ""},
        {"nonce": 1},
        {"nonce": "\ud800"},
    ],
)
async def test_a_wrong_claim_is_refused(
    openid: OpenIdClient, hostile: Hostile, clock: ManualClock, changed: dict[str, Any]
) -> None:
    with pytest.raises(OpenIdRefused):
        await check(openid, hostile, signed(claims(hostile, clock, **changed)))


@pytest.mark.parametrize(
    ("claim", "offset", "fits"),
    [
        ("exp", -59, True),
        ("exp", -60, False),
        ("nbf", 60, True),
        ("nbf", 61, False),
        ("iat", 60, True),
        ("iat", 61, False),
    ],
)
async def test_clocks_may_differ_by_a_minute(
    openid: OpenIdClient, hostile: Hostile, clock: ManualClock, claim: str, offset: int, fits: bool
) -> None:
    token = signed(claims(hostile, clock, **{claim: clock.now_ms() // 1000 + offset}))
    if fits:
        assert await check(openid, hostile, token)
        return
    with pytest.raises(OpenIdRefused):
        await check(openid, hostile, token)


async def test_a_signature_that_proves_nothing_is_refused(
    openid: OpenIdClient, hostile: Hostile, clock: ManualClock
) -> None:
    right = claims(hostile, clock)
    body = base64.urlsafe_b64encode(msgspec.json.encode(right)).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    # the public key as the secret of an HMAC
    symmetric = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode() + "." + body
    digest = hmac.digest(RSA.as_pem(private=False), symmetric.encode(), "sha256")
    mac = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    for token in (
        signed(right, OTHER),  # same key id
        signed(right, SMALL, kid="small"),
        signed(right, CURVE, "ES256", kid="ec"),  # not the configured algorithm
        signed(right, RSA, "PS256"),
        f"{symmetric}.{mac}",
        signed(right, OTHER, jwk=OTHER.as_dict(private=False)),
        signed(right, OTHER, kid="unknown"),
        signed(right, RSA, typ="at+jwt"),
        f"{none}.{body}.",
        "",
        "a.b.c",
        "..",
    ):
        with pytest.raises(OpenIdRefused):
            await check(openid, hostile, token)


@pytest.mark.parametrize(
    "document",
    [
        None,
        b"",
        b"not JSON",
        b"[" * 100_000,
        b"{" + b" " * 300_000 + b"}",
        [],
        {},
        {"issuer": "https://other.example.com", "jwks_uri": "https://other.example.com/jwks"},
        {"issuer": 1},
    ],
)
async def test_a_wrong_discovery_document_is_refused(openid: OpenIdClient, hostile: Hostile, document: Any) -> None:
    hostile.documents["/.well-known/openid-configuration"] = document
    with pytest.raises(OpenIdRefused):
        await openid.metadata(hostile.issuer)


async def test_keys_that_are_none_are_left_out(openid: OpenIdClient, hostile: Hostile, clock: ManualClock) -> None:
    odd = [
        {},
        {"kty": "oct", "k": "AAAA", "kid": "rsa"},
        {"kty": "RSA", "kid": "rsa"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "rsa"},
        {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AQ", "y": "AQ"},
        {"kty": ["RSA"]},
        {**RSA.as_dict(private=False), "use": "enc"},
        {**RSA.as_dict(private=False), "alg": "RS512"},
    ]
    hostile.documents["/jwks"] = {"keys": odd}
    with pytest.raises(OpenIdRefused):
        await check(openid, hostile, signed(claims(hostile, clock)))
    clock.advance(11)
    hostile.documents["/jwks"] = {"keys": [*odd, RSA.as_dict(private=False)]}
    assert await check(openid, hostile, signed(claims(hostile, clock)))


async def test_documents_are_fetched_once_and_not_at_every_unknown_key(
    openid: OpenIdClient, hostile: Hostile, clock: ManualClock
) -> None:
    hostile.delay = 0.05
    token = signed(claims(hostile, clock))
    await asyncio.gather(*(check(openid, hostile, token) for _ in range(20)))
    assert hostile.asked == ["/jwks"]
    unknown = signed(claims(hostile, clock), OTHER, kid="unknown")
    clock.advance(11)
    results = await asyncio.gather(*(check(openid, hostile, unknown) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, OpenIdRefused) for one in results)
    assert hostile.asked == ["/jwks"] * 2


async def test_old_keys_serve_a_day_while_new_ones_cannot_be_fetched(
    openid: OpenIdClient, hostile: Hostile, clock: ManualClock
) -> None:
    assert await check(openid, hostile, signed(claims(hostile, clock)))
    hostile.documents.clear()
    clock.advance(23 * 3600)
    assert await check(openid, hostile, signed(claims(hostile, clock)))
    clock.advance(2 * 3600)
    with pytest.raises(OpenIdRefused):
        await check(openid, hostile, signed(claims(hostile, clock)))


async def test_an_id_token_is_no_access_token(openid: OpenIdClient, hostile: Hostile, clock: ManualClock) -> None:
    async def take(token: str) -> Any:
        return await openid.access_token_claims(token, issuer=hostile.issuer, audience="mobile", algorithms=["RS256"])

    assert await take(signed(claims(hostile, clock, nonce=...), typ="at+jwt"))
    assert await take(signed(claims(hostile, clock, nonce=...), typ="JWT"))
    for token in (
        signed(claims(hostile, clock)),  # it has a nonce
        signed(claims(hostile, clock, nonce=..., at_hash="x")),
        signed(claims(hostile, clock, nonce=..., events={})),
        signed(claims(hostile, clock, nonce=...), typ="logout+jwt"),
        signed(claims(hostile, clock, nonce=..., aud="other"), typ="at+jwt"),
    ):
        with pytest.raises(OpenIdRefused):
            await take(token)


@pytest.mark.parametrize("answer", [None, b"", {}, {"id_token": 1}, {"access_token": "x"}, []])
async def test_a_token_endpoint_without_id_token_is_refused(
    openid: OpenIdClient, hostile: Hostile, answer: Any
) -> None:
    hostile.documents["/token"] = answer
    with pytest.raises(OpenIdRefused):
        await openid.exchange(
            f"{hostile.issuer}/token", Client("mobile", "s"), code="c", redirect_uri="app://x", code_verifier=None
        )
