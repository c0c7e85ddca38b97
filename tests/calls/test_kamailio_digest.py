"""Who may register and call at our Kamailio: what Ringback's directory says, asked over the internal listener."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringback.calls import KamailioCredential
from ringback.directory import NewSubscriber
from ringback.principal import Principal
from ringback.testing.certificates import Authority
from tests.calls.baresip import baresip
from tests.calls.kamailio import Kamailio
from tests.calls.scripted_server import ScriptedServer
from tests.calls.sipp import SippResult, register, run_sipp, sipp
from tests.served import Login, Served

BY = Principal("cli", "test")
DOMAIN = "example.com"
CONTACT = "<sip:bob@127.0.0.1:9>"
CACHED_SECONDS = 45


class Front(NamedTuple):
    """A Kamailio that asks a running Ringback who is who; bob and alice are subscribers, their passwords `secret`."""

    proxy: Kamailio
    server: ScriptedServer
    served: Served
    folder: Path

    async def register(self, user: str = "bob", password: str = "secret", **options: Any) -> SippResult:
        """A phone's REGISTER as `auth_user`, by default `user`."""
        keys = {"auth_user": options.pop("auth_user", user), "auth_password": password}
        return await register(self.folder, self.proxy.address, user, CONTACT, keys=keys, **options)

    async def subscriber(self, username: str, password: str = "secret") -> None:
        """One more."""
        directory, store = self.served.rooms.sip_directory, self.served.installation.store
        await store.write(directory.subscribers.create, BY, NewSubscriber(DOMAIN, username, username))
        await store.write(directory.credentials.set_password, BY, DOMAIN, username, password, None)

    async def set_disabled(self, username: str, disabled: bool) -> None:
        """Until it is enabled again."""
        subscribers = self.served.rooms.sip_directory.subscribers
        await self.served.installation.store.write(subscribers.change, BY, DOMAIN, username, {"disabled": disabled})


@contextlib.asynccontextmanager
async def started(folder: Path, served: Served, **plan: Any) -> AsyncIterator[Front]:
    created = await served.installation.store.write(served.rooms.access.create_user, BY, "kamailio", "sip-proxy")
    credential = KamailioCredential(served.internal, "kamailio", created.password)
    async with (
        ScriptedServer.start() as server,
        Kamailio.start(folder, [server.address], credential=credential, **plan) as proxy,
    ):
        front = Front(proxy, server, served, folder)
        await served.installation.store.write(served.rooms.sip_directory.domains.create, BY, DOMAIN, ())
        for name in ("alice", "bob"):
            await front.subscriber(name)
        yield front


@pytest.fixture
async def front(tmp_path: Path, served_sqlite: Served) -> AsyncIterator[Front]:
    async with started(tmp_path, served_sqlite) as running:
        yield running


async def test_a_subscriber_registers_with_the_password_of_the_directory(front: Front) -> None:
    done = await front.register()
    assert done.statuses == [401, 200], done.errors
    assert f'realm="{DOMAIN}"' in str(done.response(401).header("WWW-Authenticate"))
    assert await front.proxy.bindings("bob") == [CONTACT.strip("<>")]


@pytest.mark.parametrize(
    ("user", "auth_user", "password"),
    [
        ("bob", "bob", "wrong"),
        ("nobody", "nobody", "secret"),
        ("b%62", "b%62", "secret"),
        ("x", "../../../health", "x"),
    ],
)
async def test_a_wrong_password_and_an_unknown_user_are_refused_alike(
    front: Front, user: str, auth_user: str, password: str
) -> None:
    done = await front.register(user, password, auth_user=auth_user, status=401)
    assert done.statuses == [401, 401], done.errors
    assert "stale" not in str(done.received[-1].text)
    assert await front.proxy.bindings("bob") == []


async def test_nobody_registers_for_somebody_else(front: Front) -> None:
    done = await front.register("bob", auth_user="alice", status=403)
    assert done.statuses == [401, 403], done.errors
    assert await front.proxy.bindings("bob") == []


async def test_names_that_differ_in_capitals_are_two_subscribers_and_domains_are_one(front: Front) -> None:
    await front.subscriber("Bob", "of-Bob")
    assert (await front.register("Bob", "of-Bob")).statuses == [401, 200]
    assert await front.proxy.bindings("bob") == []
    keys = {"auth_user": "bob", "auth_password": "secret"}
    contact = "<sip:bob@127.0.0.1:19>"
    done = await register(front.folder, front.proxy.address, "bob", contact, keys=keys, domain="EXAMPLE.com")
    assert done.statuses == [401, 200], done.errors
    assert await front.proxy.bindings("bob") == [contact.strip("<>")]


async def test_a_call_needs_a_digest_of_whoever_it_says_it_is_from(front: Front) -> None:
    keys = {"auth_user": "alice", "auth_password": "secret"}
    async with sipp(front.folder, "caller_digest_refused", front.proxy.address, keys=keys, status=404) as caller:
        invite = await front.server.invite()
        assert invite.get("P-Asserted-Identity") == f"<sip:alice@{DOMAIN}>"
        assert invite.get("Proxy-Authorization") == "", "what proves the caller goes no further"
        front.server.answer(invite, 404)
        assert (await caller.finished()).successful == 1
    keys = {"auth_user": "bob", "auth_password": "secret"}
    forged = await run_sipp(front.folder, "caller_digest_refused", front.proxy.address, keys=keys, status=403)
    assert forged.statuses == [407, 403]
    keys = {"auth_user": "alice", "auth_password": "wrong"}
    wrong = await run_sipp(front.folder, "caller_digest_refused", front.proxy.address, keys=keys, status=407)
    assert wrong.statuses == [407, 407]
    stranger = await run_sipp(front.folder, "caller_refused", front.proxy.address, domain="example.net", status=403)
    assert stranger.statuses == [403]


async def test_a_gateway_that_is_trusted_needs_none(tmp_path: Path, served_sqlite: Served) -> None:
    async with started(tmp_path, served_sqlite, trusted=("127.0.0.0/8",)) as front:
        async with sipp(tmp_path, "caller_refused", front.proxy.address, status=404) as caller:
            front.server.answer(await front.server.invite(), 404)
            assert (await caller.finished()).statuses[-1] == 404
        assert (await front.register(status=200)).statuses == [401, 200], "phones behind it register as all others"


async def test_a_new_password_counts_soon_and_a_disabled_subscriber_is_out_after_the_time_of_the_cache(
    front: Front,
) -> None:
    await front.register()
    await front.set_disabled("bob", disabled=True)
    assert (await front.register()).statuses == [401, 200], "remembered"
    await _cache_ages(front, "bob")
    assert (await front.register(status=401)).statuses == [401, 401]
    await _cache_ages(front, "bob")
    await front.set_disabled("bob", disabled=False)
    assert (await front.register()).statuses == [401, 200]
    credentials = front.served.rooms.sip_directory.credentials
    await front.served.installation.store.write(credentials.set_password, BY, DOMAIN, "bob", "another", None)
    # What is remembered is younger than ten seconds, so that guessing does not ask Ringback each time.
    early = await front.register("bob", "another", status=401)
    assert "stale" not in early.received[-1].text
    await front.proxy.rpc("htable.setex", "ha1", f"bob@{DOMAIN}", "30")
    later = await front.register("bob", "another", status=401)
    assert "stale=true" in later.received[-1].text, "the phone tries again without asking its user"
    assert (await front.register("bob", "another")).statuses == [401, 200]


async def test_while_ringback_is_away_the_remembered_go_on_and_the_others_are_asked_to_come_back(front: Front) -> None:
    await front.register("bob")
    await front.served.installation.store.write(front.served.rooms.access.delete_user, BY, "kamailio")
    credential = front.proxy.plan.credential
    assert credential is not None
    path, auth = f"/api/v1/sip/credentials/{DOMAIN}/bob", Login(credential.login, credential.password)
    async with asyncio.timeout(60):
        while (await front.served.call("GET", path, auth=auth)).status != 401:  # noqa: ASYNC110 - remembered a while
            await asyncio.sleep(0.1)
    assert (await front.register("bob")).statuses == [401, 200]
    away = await front.register("carol", status=503)
    assert away.statuses == [401, 503]
    assert away.response(503).header("Retry-After") == "5"
    assert "Ringback does not say who carol@example.com is" in front.proxy.log


async def test_guessing_from_one_address_ends_for_a_minute_and_hurts_nobody_else(front: Front) -> None:
    keys = {"auth_user": "bob", "auth_password": "wrong", "contact": CONTACT, "expires": "60"}
    guesses = await run_sipp(
        front.folder, "register_digest", front.proxy.address, callee="bob", keys=keys, status=401, calls=10, rate=50
    )
    assert guesses.successful == 10
    done = await front.register("bob", status=403)
    assert done.statuses == [401, 403]
    assert done.response(403).header("Retry-After") == "60"
    assert (await front.register("alice")).statuses == [401, 200]


async def test_what_was_signed_once_is_not_taken_twice(front: Front) -> None:
    done = await front.register()
    signed = next(message for message in done.messages if message.header("Authorization"))
    again = signed.text.replace("branch=", "branch=z9hG4bKagain").replace("CSeq: 2", "CSeq: 3")
    async with ScriptedServer.start() as stranger:
        text = re.sub(r"Via: SIP/2.0/UDP [^;]*", f"Via: SIP/2.0/UDP {stranger.address}", again)
        data = "\r\n".join(text.strip().splitlines()) + "\r\n\r\n"
        stranger.peer.send(data.encode(), (front.proxy.host, front.proxy.port))
        assert (await stranger.peer.expect(lambda message: message.status >= 200)).status == 401


async def test_phones_may_be_asked_for_sha_256_and_application_servers_as_well(
    tmp_path: Path, served_sqlite: Served
) -> None:
    plan = {"digest": "SHA-256", "subscriber": "ringback", "subscriber_password": "of servers"}
    async with started(tmp_path, served_sqlite, **plan) as front:
        refused = await register(tmp_path, front.proxy.address, "bob", CONTACT, status=401)
        assert "algorithm=SHA-256" in str(refused.response(401).header("WWW-Authenticate"))
        front.server.subscribe((front.proxy.host, front.proxy.port), f"bob@{DOMAIN}")
        challenge = await front.server.peer.expect(407)
        answer = _answer(challenge.get("Proxy-Authenticate"), "ringback", "of servers", f"sip:bob@{DOMAIN}")
        front.server.subscribe(
            (front.proxy.host, front.proxy.port), f"bob@{DOMAIN}", "reg", ("Proxy-Authorization", answer)
        )
        assert (await front.server.peer.expect(200)).get("Expires") == "60"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_real_phone_registers_and_is_called_over_every_transport(
    tmp_path: Path, served_sqlite: Served, transport: str
) -> None:
    authority = Authority(tmp_path / "authority")
    files = authority.server()
    async with started(tmp_path, served_sqlite, tls=(files.certificate, files.key)) as front:
        at = f"127.0.0.1:{front.proxy.tls_port}" if transport == "tls" else front.proxy.address
        async with baresip(tmp_path, at, "bob", transport=transport, ca_file=authority.file) as phone:
            await phone.until_registered()
            await front.proxy.until_bound("bob")
            keys = {"auth_user": "alice", "auth_password": "secret"}
            called = await run_sipp(tmp_path, "caller_digest", front.proxy.address, keys=keys, talk=500)
            assert called.successful == 1, called.errors
            assert called.statuses == [407, 100, 180, 200, 200]
            await phone.until_answered()


async def _cache_ages(front: Front, user: str) -> None:
    """As if its time were over."""
    await front.proxy.rpc("htable.delete", "ha1", f"{user}@{DOMAIN}")
    await asyncio.sleep(0)


def _answer(challenge: str, user: str, password: str, uri: str) -> str:
    """The Proxy-Authorization to a challenge with SHA-256 and qop=auth (RFC 7616 §3.4.1)."""
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))

    def hashed(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    ha1, ha2 = hashed(f"{user}:{said['realm']}:{password}"), hashed(f"SUBSCRIBE:{uri}")
    response = hashed(f"{ha1}:{said['nonce']}:00000001:abc:auth:{ha2}")
    return (
        f'Digest username="{user}", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="{uri}", algorithm=SHA-256,'
        f' qop=auth, nc=00000001, cnonce="abc", response="{response}"'
    )
