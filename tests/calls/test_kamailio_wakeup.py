"""The whole way, as it is set up for good: digests for everybody, phones over TLS, our application server, one push."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringback.calls import KamailioCredential
from ringback.testing.certificates import Authority
from tests.calls.baresip import baresip
from tests.calls.kamailio import Kamailio
from tests.calls.ports import free_port
from tests.calls.scene import BY, DOMAIN, Scene
from tests.calls.sipp import register, run_sipp, sipp

CALLER = {"auth_user": "alice", "auth_password": "alices"}
CHILDREN = 8
"""The workers that the written configuration says."""
CALLEE = {"auth_user": "bob", "auth_password": "bobs"}


class Whole(NamedTuple):
    """A scene and its proxy; bob has one phone, alice calls."""

    scene: Scene
    proxy: Kamailio
    folder: Path
    authority: Authority
    push_token: str


@pytest.fixture
async def whole(tmp_path: Path, sqlite_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """Its parameter, where there is one: how many workers the proxy has."""
    authority = Authority(tmp_path / "authority")
    files = authority.server()
    port = free_port()
    settings: dict[str, Any] = {
        "sip_proxy": f"127.0.0.1:{port}",
        "sip_proxy_user": "ringback",
        "sip_proxy_password": "of servers",
    }
    async with contextlib.AsyncExitStack() as running:
        scene = await running.enter_async_context(Scene.start(tmp_path, sqlite_url, **settings))
        store, rooms = scene.served.installation.store, scene.served.rooms
        created = await store.write(rooms.access.create_user, BY, "kamailio", "sip-proxy")
        await scene.served.call("GET", "/health/live")  # so that no digest waits until the application is made
        (tmp_path / "kamailio").mkdir()
        proxy = await running.enter_async_context(
            Kamailio.start(
                tmp_path / "kamailio",
                [scene.address],
                port=port,
                workers=getattr(request, "param", 1),
                tls=(files.certificate, files.key),
                credential=KamailioCredential(scene.served.internal, "kamailio", created.password),
                subscriber="ringback",
                subscriber_password="of servers",
            )
        )
        await proxy.until_server(scene.address, alive=True)
        (push_token,) = await scene.subscriber("bob")
        await scene.subscriber("alice", phones=0)
        for name in ("alice", "bob"):
            set_password = rooms.sip_directory.credentials.set_password
            await store.write(set_password, BY, DOMAIN, name, f"{name}s", None)
        yield Whole(scene, proxy, tmp_path, authority, push_token)


async def test_a_real_phone_that_sleeps_is_woken_and_answers_over_tls(whole: Whole) -> None:
    at = f"127.0.0.1:{whole.proxy.tls_port}"
    options = {"transport": "tls", "ca_file": whole.authority.file, "password": CALLEE["auth_password"]}
    async with sipp(whole.folder, "caller_digest", whole.proxy.address, keys=CALLER, talk=500) as caller:
        await whole.scene.pushed(whole.push_token)
        async with baresip(whole.folder, at, "bob", **options) as phone:  # type: ignore[arg-type]
            await phone.until_answered()
            called = await caller.finished()
    assert called.successful == 1, called.errors
    assert called.statuses == [407, 100, 183, 180, 200, 200]
    record = await whole.scene.record()
    assert (record.outcome, record.pushes, record.caller) == ("DEFLECTED", 1, f"sip:alice@{DOMAIN}")


async def test_a_phone_that_wakes_late_joins_the_call_that_rings_at_the_first(whole: Whole) -> None:
    proxy, folder = whole.proxy, whole.folder
    async with (
        sipp(folder, "caller_digest", proxy.address, keys=CALLER) as caller,
        sipp(folder, "phone_rings", proxy.address) as first,
        sipp(folder, "phone", proxy.address) as late,
    ):
        await whole.scene.pushed(whole.push_token)
        await register(folder, proxy.address, "bob", first.contact("bob"), keys=CALLEE)
        await first.until_received("INVITE")
        await register(folder, proxy.address, "bob", late.contact("bob"), keys=CALLEE)
        called = await caller.finished()
        assert called.successful == 1, called.errors
        assert (await late.finished()).methods == ["INVITE", "ACK", "BYE"]
        assert (await first.finished()).methods == ["INVITE", "CANCEL", "ACK"]
    assert (await whole.scene.record()).outcome == "DEFLECTED"


async def test_a_disabled_subscriber_is_neither_pushed_nor_registered(whole: Whole) -> None:
    await whole.scene.disable("bob")
    refused = await run_sipp(whole.folder, "caller_digest_refused", whole.proxy.address, keys=CALLER, status=480)
    assert refused.successful == 1, refused.errors
    done = await register(whole.folder, whole.proxy.address, "bob", "<sip:bob@127.0.0.1:9>", keys=CALLEE, status=401)
    assert done.statuses == [401, 401]
    assert await whole.scene.apns.wait_for(0) == []


@pytest.mark.parametrize("whole", [CHILDREN], indirect=True)
async def test_many_calls_at_once_all_wake_their_phones(whole: Whole) -> None:
    # A worker that asks for a digest does nothing else meanwhile: one alone would let answers wait for seconds here.
    names = [f"user{number}" for number in range(20)]
    tokens = {(await whole.scene.subscriber(name))[0]: name for name in names}
    store, credentials = whole.scene.served.installation.store, whole.scene.served.rooms.sip_directory.credentials
    for name in names:
        await store.write(credentials.set_password, BY, DOMAIN, name, f"{name}s", None)

    async def wake(push_token: str, name: str, contact: str) -> None:
        await whole.scene.pushed(push_token)
        keys = {"auth_user": name, "auth_password": f"{name}s"}
        await register(whole.folder, whole.proxy.address, name, contact, keys=keys)

    async with (
        sipp(whole.folder, "phone", whole.proxy.address, calls=20, ring=500) as phones,
        sipp(
            whole.folder, "caller_digest", whole.proxy.address, keys=CALLER, callees=names, calls=20, rate=20
        ) as caller,
    ):
        await asyncio.gather(*(wake(token, name, phones.contact(name)) for token, name in tokens.items()))
        called = await caller.finished()
        assert called.successful == 20, called.errors
        assert (await phones.finished()).successful == 20


async def test_a_binding_that_nobody_answers_at_is_followed_by_a_push_where_the_preference_says_so(
    whole: Whole,
) -> None:
    """reg_then_push: the proxy tries who is registered, then asks again."""
    store, subscribers = whole.scene.served.installation.store, whole.scene.served.rooms.sip_directory.subscribers
    said = {"mobile_push_enable": "reg_then_push"}
    await store.write(subscribers.set_preferences, BY, DOMAIN, "bob", said, True)
    proxy, folder = whole.proxy, whole.folder
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asleep:
        asleep.bind(("127.0.0.1", 0))
        contact = f"<sip:bob@127.0.0.1:{asleep.getsockname()[1]}>"
        await register(folder, proxy.address, "bob", contact, keys=CALLEE)
        async with (
            sipp(folder, "caller_digest", proxy.address, keys=CALLER) as caller,
            sipp(folder, "phone", proxy.address) as phone,
        ):
            await whole.scene.pushed(whole.push_token)
            await register(folder, proxy.address, "bob", phone.contact("bob"), keys=CALLEE)
            called = await caller.finished()
    assert called.successful == 1, called.errors
