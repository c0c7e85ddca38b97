"""The software phone with real peers: behind Kamailio, with baresip at the other end, over TCP and TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback.softphone.errors import RegisterRefused, SipServerUnreachable
from ringback.softphone.sip_account import SipAccount
from ringback.softphone.sip_load import SipLoad
from ringback.softphone.sip_phone import SipPhone
from ringback.testing import Authority
from ringback.testing.record import Received
from tests.calls.baresip import baresip
from tests.calls.embedded_scene import PASSWORD, EmbeddedScene
from tests.calls.forwarder import Forwarder
from tests.calls.ports import free_port
from tests.calls.scene import DOMAIN, until
from tests.calls.test_behind_kamailio import Behind


def account(name: str, server: str, password: str = PASSWORD) -> SipAccount:
    return SipAccount(uri=f"sip:{name}@{DOMAIN}", server=server, password=password)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_woken_behind_kamailio(tmp_path: Path, sqlite_url: str, transport: str) -> None:
    async with Behind.start(tmp_path, sqlite_url) as behind:
        (token,) = await behind.scene.subscriber()
        server = f"{behind.proxy.address};transport={transport}"
        async with SipPhone(account("alice", server)) as alice, SipPhone(account("bob", server)) as bob:
            calling = await alice.call(f"sip:bob@{DOMAIN}")
            await calling.reached("CONNECTING")
            await behind.scene.pushed(token)
            await bob.register()
            ringing = await bob.next_call(calling.call_id, seconds=20)
            assert ringing is not None
            await calling.reached("RINGING")
            await ringing.answer()
            assert await calling.reached("ANSWERED")
            await until(lambda: calling.heard_packets > 2 and ringing.heard_packets > 2)
            assert len(calling.early_dialogs) == 2  # of who waited with the caller, and of the phone
            await ringing.hang_up()
            await calling.over()
            await bob.unregister()
        record = await behind.scene.record()
        assert (record.outcome, record.call_id, calling.end) == ("DEFLECTED", calling.call_id, "hung up there")


async def test_a_cancelled_call_behind_kamailio(tmp_path: Path, sqlite_url: str) -> None:
    async with Behind.start(tmp_path, sqlite_url) as behind:
        await behind.scene.subscriber()
        async with SipPhone(account("alice", behind.proxy.address)) as alice:
            calling = await alice.call(f"sip:bob@{DOMAIN}")
            await calling.reached("CONNECTING")
            await calling.hang_up()
        assert (calling.end, calling.status) == ("cancelled", 487)
        assert (await behind.scene.record()).outcome == "CANCELLED"


async def test_baresip_is_called(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url) as scene:
        await scene.account("alice")
        await scene.account("bob")
        async with (
            baresip(tmp_path, scene.address, "bob", password=PASSWORD) as phone,
            SipPhone(account("alice", scene.address)) as alice,
        ):
            await phone.until_registered()
            calling = await alice.call(f"sip:bob@{DOMAIN}")
            assert await calling.reached("ANSWERED")
            await phone.until_answered()
            await until(lambda: calling.heard_packets > 10 and (calling.media is None or calling.media.sent > 25))
            await calling.hang_up()
            await until(lambda: "session closed" in phone.log)
            assert "incoming rtp for 'audio' established" in phone.log


async def test_calling_over_tls(tmp_path: Path, sqlite_url: str) -> None:
    authority = Authority(tmp_path)
    certificate = authority.server()
    place = f"127.0.0.1:{free_port()}"
    settings = {
        "sip_tls_listen": place,
        "tls_certificate": str(certificate.certificate),
        "tls_key": str(certificate.key),
    }
    async with EmbeddedScene.start(tmp_path, sqlite_url, **settings) as scene:
        await scene.account("alice")
        await scene.account("bob")
        secure = account("alice", f"{place};transport=tls")
        async with (
            SipPhone(account("bob", scene.address)) as bob,
            SipPhone(secure, ca_file=str(authority.file)) as alice,
        ):
            await bob.register()
            calling = await alice.call(f"sip:bob@{DOMAIN}")
            ringing = await bob.next_call(calling.call_id, seconds=20)
            assert ringing is not None
            await ringing.answer()
            assert await calling.reached("ANSWERED")
            await calling.hang_up()
        async with SipPhone(secure) as stranger:
            with pytest.raises(SipServerUnreachable, match=r"certificate is not trusted: .+\. Check .+ --ca-file\."):
                await stranger.register()
            call = await stranger.call(f"sip:bob@{DOMAIN}")
            await call.over()
            assert "certificate is not trusted" in call.reason


async def test_a_wrong_password_at_the_server(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url) as scene:
        await scene.account("bob")
        async with SipPhone(account("bob", scene.address, "wrong")) as phone, asyncio.timeout(60):
            with pytest.raises(RegisterRefused) as refused:
                await phone.register()
        assert refused.value.sip_status in {401, 403}


async def test_calls_over_a_line_that_loses_and_doubles(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url) as scene:
        await scene.account("alice")
        await scene.account("bob")
        async with Forwarder.start(scene.address, lost=0.1, doubled=0.1, seed=5) as line:
            bad = line.address
            async with SipPhone(account("alice", bad)) as alice, SipPhone(account("bob", bad)) as bob:
                await bob.register()
                for _ in range(6):
                    calling = await alice.call(f"sip:bob@{DOMAIN}")
                    ringing = await bob.next_call(calling.call_id, seconds=30)
                    assert ringing is not None
                    await ringing.answer()
                    assert await calling.reached("ANSWERED")
                    await calling.hang_up()
                    await ringing.over()
                assert await bob.next_call(seconds=0.2) is None  # nothing rang twice
            assert line.lost
            assert line.doubled


async def test_phones_by_the_dozen_behind_kamailio(tmp_path: Path, sqlite_url: str) -> None:
    async with Behind.start(tmp_path, sqlite_url) as behind:
        names = [f"user-{number}" for number in range(16)]
        tokens = {(await behind.scene.subscriber(name))[0]: name for name in names}
        host, _, port = behind.proxy.address.partition(":")
        async with SipLoad((host, int(port)), DOMAIN, password=lambda _: PASSWORD, talk_seconds=0.1) as load:

            def pushed(received: Received) -> None:
                if received.accepted:
                    load.wake(tokens[received.push_token])

            behind.scene.apns.on_outcome(pushed)
            result = await load.call(names, per_second=40, patience_seconds=60)
        assert (result.finals, result.answered, result.hung_up, result.early_media) == ({200: 16}, 16, 16, 16)
        assert (load.registered, result.lost) == (16, 0)
