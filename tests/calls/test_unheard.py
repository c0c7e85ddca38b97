"""A caller that wants a reliable 183 (RFC 3262) and never confirms it: answered 504, and on record as what it was."""

from __future__ import annotations

from pathlib import Path

from ringback.sip import Timers
from tests.calls.embedded_scene import EmbeddedScene
from tests.calls.scene import DOMAIN, Scene
from tests.calls.scripted_proxy import ScriptedProxy

SHORT = Timers(t1=0.02, t2=0.08, t4=0.04)
"""64*T1 is 1.3 seconds."""
UNHEARD = ("REFUSED", 504, "the caller did not confirm the 183")


async def test_behind_a_proxy(tmp_path: Path, sqlite_url: str) -> None:
    async with (
        Scene.start(tmp_path, sqlite_url, timers=SHORT) as scene,
        ScriptedProxy.start(scene.address) as proxy,
    ):
        await scene.subscriber()
        invited = proxy.invite(more=(("Supported", "100rel"),))
        watched = await proxy.watch()
        assert (await proxy.final(invited)).status == 504
        await proxy.unsubscribed(watched)
        record = await scene.record()
        assert (record.outcome, record.status, record.reason) == UNHEARD


async def test_without_a_proxy(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, timers=SHORT) as scene:
        await scene.account("alice")
        await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            call = await alice.call(f"bob@{DOMAIN}", Supported="100rel")
            assert (await call.final()).status == 504
        record = await scene.scene.record()
        assert (record.outcome, record.status, record.reason) == UNHEARD
