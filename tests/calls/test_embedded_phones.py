"""Embedded mode with real phones: sipp as caller and callee, baresip as the phone that wakes; over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.testing.certificates import Authority
from tests.calls.baresip import baresip
from tests.calls.embedded_scene import PASSWORD, EmbeddedScene, contacts
from tests.calls.forwarder import Forwarder
from tests.calls.ports import free_port
from tests.calls.scene import DOMAIN
from tests.calls.sipp import Sipp, SippResult, register, run_sipp, sipp

ALICE: dict[str, Any] = {"keys": {"auth_user": "alice", "auth_password": PASSWORD}, "auth_uri": f"bob@{DOMAIN}"}


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedScene]:
    """With the subscriber alice, who calls."""
    async with EmbeddedScene.start(tmp_path, sqlite_url) as running:
        await running.account("alice")
        yield running


def proof(user: str) -> dict[str, Any]:
    """What a phone of sipp answers a challenge with."""
    return {"keys": {"auth_user": user, "auth_password": PASSWORD}, "auth_uri": DOMAIN}


async def test_a_phone_of_sipp_is_woken_by_a_push_and_answers(scene: EmbeddedScene, tmp_path: Path) -> None:
    (token,) = await scene.account("bob", phones=1)
    async with (
        sipp(tmp_path, "phone", "127.0.0.1") as phone,
        sipp(tmp_path, "caller_redirected", scene.address, **ALICE) as caller,
    ):
        await scene.scene.pushed(token)
        await register(tmp_path, scene.address, "bob", phone.contact("bob"), **proof("bob"))
        call = await caller.finished()
        assert call.successful == 1
        assert [status for status in call.statuses if status != 100] == [401, 183, 302, 180, 200, 200]
        assert call.response(183).header("Content-Type") == "application/sdp"
        assert (await phone.finished()).successful == 1
    assert (await scene.scene.record()).outcome == "DEFLECTED"


async def test_baresip_is_woken_by_a_push_and_answers(scene: EmbeddedScene, tmp_path: Path) -> None:
    (token,) = await scene.account("bob", phones=1)
    async with sipp(tmp_path, "caller_redirected", scene.address, **ALICE, talk=500) as caller:
        await scene.scene.pushed(token)
        async with baresip(tmp_path, scene.address, "bob") as phone:
            await phone.until_registered()
            call = await caller.finished()
            assert call.successful == 1
            await phone.until_ended()
    record = await scene.scene.record()
    assert (record.outcome, record.pushes) == ("DEFLECTED", 1)


async def test_baresip_that_is_there_is_called_at_once(scene: EmbeddedScene, tmp_path: Path) -> None:
    await scene.account("bob", phones=1)
    async with baresip(tmp_path, scene.address, "bob") as phone:
        await phone.until_registered()
        call = await run_sipp(tmp_path, "caller_redirected", scene.address, **ALICE)
        assert call.successful == 1
        assert 183 not in call.statuses
    assert scene.scene.apns.received == []


async def test_a_phone_and_a_caller_behind_tcp(scene: EmbeddedScene, tmp_path: Path) -> None:
    (token,) = await scene.account("bob", phones=1)
    options = {**ALICE, "status": 302, "transport": "tcp"}
    async with sipp(tmp_path, "caller_digest_refused_401", scene.address, **options) as caller:
        await scene.scene.pushed(token)
        await register(
            tmp_path, scene.address, "bob", "<sip:bob@127.0.0.1:9;transport=tcp>", transport="tcp", **proof("bob")
        )
        call = await caller.finished()
    assert call.successful == 1
    assert call.response(302).header("Contact") == "<sip:bob@127.0.0.1:9;transport=tcp>;q=1.0"


async def test_a_phone_behind_tls(sqlite_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    files = authority.server()
    secure = f"127.0.0.1:{free_port()}"
    tls = {"sip_tls_listen": secure, "tls_certificate": files.certificate, "tls_key": files.key}
    async with EmbeddedScene.start(tmp_path, sqlite_url, **tls) as scene:
        await scene.account("alice")
        (token,) = await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            call = await alice.call(f"bob@{DOMAIN}")
            await scene.scene.pushed(token)
            async with baresip(tmp_path, secure, "bob", transport="tls", ca_file=authority.file) as phone:
                await phone.until_registered()
                (contact,) = contacts(await call.answer(302))
        assert contact.startswith("sip:bob")
        assert contact.endswith(";transport=tls")


async def test_a_line_that_loses_and_doubles_one_datagram_in_ten(scene: EmbeddedScene, tmp_path: Path) -> None:
    """Each phone is woken: its push token goes over no bad line, all the rest does."""
    names = [f"bob{number}" for number in range(6)]
    tokens = {name: (await scene.account(name, phones=1))[0] for name in names}

    async def one_call(name: str, line: Forwarder, phone: Sipp) -> SippResult:
        said = {**ALICE, "auth_uri": f"{name}@{DOMAIN}", "callee": name}
        async with sipp(tmp_path, "caller_redirected", line.address, **said) as caller:
            await scene.scene.pushed(tokens[name])
            told = proof(name)
            told["keys"] |= {"contact": phone.contact(name), "expires": "300"}
            made = await run_sipp(tmp_path, "register_digest", line.address, callee=name, **told)
            assert made.successful == 1
            return await caller.finished()

    async with (
        Forwarder.start(scene.address, lost=0.1, doubled=0.1, seed=5) as line,
        sipp(tmp_path, "phone", "127.0.0.1", calls=len(names)) as phone,
    ):
        calls = await asyncio.gather(*(one_call(name, line, phone) for name in names))
        assert [call.successful for call in calls] == [1] * len(names)
        assert line.lost > 0
        assert line.doubled > 0
    for name in names:
        record = await scene.scene.record(f"{name}@{DOMAIN}")
        assert (record.outcome, record.pushes) == ("DEFLECTED", 1)
    assert len(scene.scene.apns.received) == len(names)
