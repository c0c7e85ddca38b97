"""The application server and what is nobody's business: push tokens stay out of records, strangers out of it all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calls.peer import Peer, write
from tests.calls.scene import DOMAIN, Scene
from tests.calls.scripted_proxy import ScriptedProxy, contact, reginfo

TOKEN = "c0ffee" * 10


@pytest.fixture
async def scene(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Scene]:
    """A server that takes calls from one address."""
    async with Scene.start(tmp_path, sqlite_url, sip_proxies="127.0.0.1") as scene:
        yield scene


async def test_a_push_token_in_the_contact_of_a_notify_is_not_in_the_record(scene: Scene) -> None:
    async with ScriptedProxy.start(scene.address) as proxy:
        (token,) = await scene.subscriber()
        invited = proxy.invite()
        watched = await proxy.watch()
        await scene.pushed(token)
        told = contact().replace("10.0.0.1", f"10.0.0.1;pn-provider=apns;pn-param=X;pn-prid={TOKEN};ob")
        proxy.notify(watched, reginfo(told))
        assert (await proxy.final(invited)).status == 302
        record = await scene.record()
        assert record.step("registered")["contact"] == "sip:bob@10.0.0.1;ob"
        assert TOKEN not in str(record)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "NOTIFY", "OPTIONS"])
async def test_a_stranger_is_answered_once(scene: Scene, method: str) -> None:
    host, port = scene.address.rsplit(":", 1)
    async with Peer.start("127.0.0.5") as stranger:
        fields = [
            ("Via", f"SIP/2.0/UDP {stranger.address};branch=z9hG4bK1;rport"),
            ("From", f"<sip:eve@{DOMAIN}>;tag=1"),
            ("To", f"<sip:bob@{DOMAIN}>"),
            ("Call-ID", "strange"),
            ("CSeq", f"1 {method}"),
        ]
        stranger.send(write(f"{method} sip:bob@{DOMAIN} SIP/2.0", fields), (host, int(port)))
        answer = await stranger.expect(lambda message: message.status > 0)
        assert answer.status == (200 if method == "OPTIONS" else 403)
        other = [(name, value.replace("z9hG4bK1", "z9hG4bK2").replace(method, "OPTIONS")) for name, value in fields]
        stranger.send(write(f"OPTIONS sip:{DOMAIN} SIP/2.0", other), (host, int(port)))
        await stranger.expect(200)
        assert len(stranger.came) == 2, "no 100, and nothing again"
