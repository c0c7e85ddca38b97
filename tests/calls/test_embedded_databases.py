"""The whole of embedded mode on each kind of database: registered, gone, pushed, woken, called, on record."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.calls.embedded_scene import EmbeddedScene, contacts
from tests.calls.scene import DOMAIN


async def test_a_phone_registers_sleeps_is_woken_and_called(database_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, database_url) as scene:
        await scene.account("alice")
        await scene.account("bob")
        async with scene.phone("alice") as alice, scene.phone("bob") as bob, scene.phone("bob", "wrong") as wrong:
            assert (await wrong.register()).status == 401
            made = await bob.register(scene.pn("ab" * 32))
            assert (made.status, made.all("Feature-Caps")) == (200, ['*;+sip.pns="apns"'])
            assert contacts(await bob.register(contact="", expires=None, call_id="query")) == [bob.contact]
            assert (await bob.register(contact="*", expires=0)).all("Contact") == []
            call = await alice.call(f"bob@{DOMAIN}")
            await scene.scene.pushed("ab" * 32)
            await bob.register(scene.pn("ab" * 32))
            assert contacts(await call.answer(302)) == [bob.contact]
            again = await alice.call(f"bob@{DOMAIN}")
            assert contacts(await again.answer(302)) == [bob.contact]
        first, second = await scene.scene.records(count=2)
        assert (first.outcome, first.pushes, second.outcome, second.pushes) == ("DEFLECTED", 1, "DEFLECTED", 0)
        assert first.steps == ["preference", "pushed", "caller told", "registered", "deflected"]


async def test_phones_that_register_at_the_same_moment_are_all_answered(database_url: str, tmp_path: Path) -> None:
    """With one contact and one push token for all: on PostgreSQL two of them want to be the first one."""
    async with EmbeddedScene.start(tmp_path, database_url) as scene, contextlib.AsyncExitStack() as phones:
        await scene.account("bob")
        same = f"<sip:bob@192.0.2.1:5060{scene.pn()}>"
        bobs = [await phones.enter_async_context(scene.phone("bob")) for _ in range(8)]
        answers = await asyncio.gather(*(bob.register(contact=same) for bob in bobs))
        assert [answer.status for answer in answers] == [200] * len(bobs)
        last = await bobs[0].register(contact="", expires=None, call_id="query")
        assert contacts(last) == ["sip:bob@192.0.2.1:5060"]


async def test_a_binding_that_is_taken_away_over_http_counts_no_more(database_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, database_url) as scene:
        await scene.account("alice")
        await scene.account("bob")
        served = scene.scene.served
        bindings = f"/api/v1/domains/{DOMAIN}/subscribers/bob/bindings"
        async with scene.phone("alice") as alice, scene.phone("bob") as bob:
            await bob.register()
            shown = await served.call("GET", bindings, auth=served.admin)
            assert bob.contact in str(shown.body)
            assert (await served.call("DELETE", bindings, auth=served.admin)).status == 200
            assert (await (await alice.call(f"bob@{DOMAIN}")).final()).status == 480
