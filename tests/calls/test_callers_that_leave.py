"""Callers that do not wait until the end: BYE in the early dialog (RFC 3261 §15), and Expires (§13.3.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.calls import invited
from tests.calls.embedded_scene import EmbeddedScene
from tests.calls.peer import write
from tests.calls.scene import DOMAIN, Scene
from tests.calls.scripted_proxy import ScriptedProxy

BOB = f"bob@{DOMAIN}"


async def test_a_bye_in_the_early_dialog_ends_the_call(tmp_path: Path, sqlite_url: str) -> None:
    async with Scene.start(tmp_path, sqlite_url) as scene, ScriptedProxy.start(scene.address) as proxy:
        (token,) = await scene.subscriber()
        invited = proxy.invite()
        progress = await proxy.peer.expect(183)
        await proxy.watch()
        await scene.pushed(token)
        proxy.hang_up(invited, progress, call_id="somebody-elses")
        assert await proxy.answered("BYE") == 481
        proxy.hang_up(invited, progress)
        assert await proxy.answered("BYE") == 200
        assert (await proxy.final(invited)).status == 487
        record = await scene.record()
        assert (record.outcome, record.status) == ("CANCELLED", 487)


async def test_the_same_without_a_proxy(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url) as scene:
        await scene.account("alice")
        await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            call = await alice.call(BOB)
            progress = await call.answer(183)
            fields = {**call.fields, "To": progress.get("To"), "CSeq": "99 BYE", "Via": call.fields["Via"] + "bye"}
            alice.peer.send(write(f"BYE sip:{scene.address} SIP/2.0", list(fields.items())), scene.place)
            await alice.peer.expect(lambda m: m.status == 200 and m.get("CSeq") == "99 BYE")
            await call.answer(487)
            assert (await scene.scene.record()).outcome == "CANCELLED"


@pytest.mark.parametrize(("expires", "waits"), [("4", 4.0), ("0", 3.0), ("600", 5.0), ("soon", 5.0)])
async def test_a_caller_says_how_long_it_waits(
    tmp_path: Path, sqlite_url: str, expires: str, waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invited, "LEAST_SECONDS", 3.0)  # the proxy has to answer in it
    async with (
        Scene.start(tmp_path, sqlite_url, wake_seconds=5) as scene,
        ScriptedProxy.start(scene.address) as proxy,
    ):
        await scene.subscriber()
        call = proxy.invite(more=(("Expires", expires),))
        await proxy.watch()
        assert (await proxy.final(call)).status == (487 if waits < 5 else 480)
        record = await scene.record()
        assert (record.outcome, record.reason) == ("TIMEOUT", f"no phone registered within {waits:g} s")


async def test_the_phone_is_told_that_time(tmp_path: Path, sqlite_url: str) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url) as scene:
        await scene.account("alice")
        await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            call = await alice.call(BOB, Expires="1")
            assert (await call.final()).status == 487
            assert (await scene.scene.record()).reason == "no phone registered within 1 s"
