"""Subscribers prove over HTTP who they are, with clients that others wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from requests.auth import HTTPDigestAuth

from ringback.directory import NewSubscriber, ha1_of
from ringback.principal import Principal
from ringback.protocols.sip.digest import parse_challenge
from tests.served import Served

BY = Principal("cli", "test")
PASSWORD = "correct horse"
PATH = "/api/v1/calls/by-notification/nothing?a=%20b"
LET_IN, KEPT_OUT = 404, 401
"""There is no such push; but only who has proved something hears so."""


async def add(served: Served, address: str = "jan@example.org", **more: Any) -> None:
    made, store = served.rooms.sip_directory, served.installation.store
    username, _, domain = address.partition("@")
    if await store.read(made.domains.find, domain) is None:
        await store.write(made.domains.create, BY, domain, ())
    realm = made.credentials.realm_of(domain)
    new = NewSubscriber(domain, username, "user-1", ha1={realm: ha1_of(username, realm, PASSWORD)}, **more)
    await store.write(made.subscribers.create, BY, new)


async def by_requests(served: Served, username: str, password: str, **headers: str) -> int:
    def ask() -> int:
        auth = HTTPDigestAuth(username, password)
        return requests.get(served.public + PATH, auth=auth, headers=headers, timeout=30).status_code

    return await asyncio.to_thread(ask)


async def challenge(served: Served, **headers: str) -> str:
    async with served.session.get(served.public + PATH, headers=headers) as answer:
        assert answer.status == KEPT_OUT
        return answer.headers["WWW-Authenticate"]


async def test_requests_and_aiohttp_get_in_with_the_password_of_sip(served: Served) -> None:
    await add(served)
    await add(served, "off@example.org", disabled=True)
    assert await by_requests(served, "jan", PASSWORD) == LET_IN
    for username, password in (("jan", "wrong"), ("nobody", PASSWORD), ("off", PASSWORD)):
        assert await by_requests(served, username, password) == KEPT_OUT
    for password, status in ((PASSWORD, LET_IN), ("wrong", KEPT_OUT)):
        digest = aiohttp.DigestAuthMiddleware("jan", password)
        async with aiohttp.ClientSession(middlewares=(digest,)) as session:
            for _ in range(2):
                async with session.get(served.public + PATH) as answer:
                    assert answer.status == status


async def test_the_realm_is_the_domain_that_the_host_lies_in_or_the_only_one(served_sqlite: Served) -> None:
    nothing = await challenge(served_sqlite)
    assert nothing == 'Basic realm="Ringback", charset="UTF-8"'
    await add(served_sqlite)
    assert 'Digest realm="example.org"' in await challenge(served_sqlite, Host="elsewhere.net:8080")
    await add(served_sqlite, "jan@b.example.org")
    for host, realm in (
        ("push.example.org", "example.org"),
        ("push.b.example.org:8443", "b.example.org"),
        ("B.Example.ORG", "b.example.org"),
    ):
        asked = await challenge(served_sqlite, Host=host)
        assert asked.startswith(f'Digest realm="{realm}", nonce="')
        assert asked.endswith('Basic realm="Ringback", charset="UTF-8"')
    assert "Digest" not in await challenge(served_sqlite, Host="elsewhere.net")
    assert await by_requests(served_sqlite, "jan", PASSWORD, Host="push.b.example.org") == LET_IN


async def test_an_answer_for_one_address_is_none_for_another(served_sqlite: Served) -> None:
    await add(served_sqlite)
    asked = parse_challenge((await challenge(served_sqlite)).partition(", Digest ")[0])
    auth = HTTPDigestAuth("jan", PASSWORD)
    auth.init_per_thread_state()
    auth._thread_local.chal = {"realm": asked.realm, "nonce": asked.nonce, "algorithm": "SHA-256", "qop": "auth"}
    told = auth.build_digest_header("GET", served_sqlite.public + PATH)
    for path, status in ((PATH.replace("nothing", "another"), KEPT_OUT), (PATH, LET_IN), (PATH, KEPT_OUT)):
        async with served_sqlite.session.get(served_sqlite.public + path, headers={"Authorization": told}) as answer:
            assert answer.status == status, "and each answer once"


@pytest.mark.parametrize(("setting", "taken"), [("SHA-256", KEPT_OUT), ("SHA-256,MD5", LET_IN), ("MD5", LET_IN)])
async def test_md5_is_taken_unless_the_setting_has_sha_256_alone(
    sqlite_url: str, tmp_path: Path, setting: str, taken: int
) -> None:
    async with Served.start(tmp_path, sqlite_url, sip_digest_algorithms=setting) as served:
        await add(served)
        asked = await challenge(served)
        assert "algorithm=SHA-256," in asked
        assert ("algorithm=MD5," in asked) == (taken == LET_IN)
        for algorithm, status in (("MD5", taken), ("SHA-256", LET_IN)):
            nonce = parse_challenge((await challenge(served)).partition(", Digest ")[0].partition(", Basic ")[0]).nonce
            auth = HTTPDigestAuth("jan", PASSWORD)
            auth.init_per_thread_state()
            auth._thread_local.chal = {"realm": "example.org", "nonce": nonce, "algorithm": algorithm, "qop": "auth"}
            told = auth.build_digest_header("GET", served.public + PATH)
            async with served.session.get(served.public + PATH, headers={"Authorization": told}) as answer:
                assert answer.status == status
                if status == KEPT_OUT:
                    assert "algorithm=SHA-256," in answer.headers["WWW-Authenticate"]
                    assert "MD5" not in answer.headers["WWW-Authenticate"]


async def test_who_guesses_too_often_waits(served_sqlite: Served) -> None:
    await add(served_sqlite)
    seen = [await by_requests(served_sqlite, f"guess{number}", PASSWORD) for number in range(12)]
    assert 429 in seen
    assert await by_requests(served_sqlite, "jan", PASSWORD) == 429


@pytest.mark.parametrize("given", ["Digest", "Digest x", 'Digest realm="a b"', "Digest " + "a" * 9000])
async def test_what_is_no_answer_is_asked_again(served_sqlite: Served, given: str) -> None:
    await add(served_sqlite)
    assert "Digest realm" in await challenge(served_sqlite, Authorization=given)


async def test_the_password_of_sip_opens_no_address_that_does_not_say_so(served_sqlite: Served) -> None:
    await add(served_sqlite)
    path = "/cucm-uds/user/user-1/device/x/devicetoken"

    def ask() -> tuple[int, str]:
        answer = requests.get(served_sqlite.public + path, auth=HTTPDigestAuth("jan", PASSWORD), timeout=30)
        return answer.status_code, answer.headers["WWW-Authenticate"]

    assert await asyncio.to_thread(ask) == (KEPT_OUT, 'Basic realm="Ringback", charset="UTF-8"')
