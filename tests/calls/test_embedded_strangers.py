"""Embedded mode and those who mean no good: strangers are answered once, subscribers ring nobody's phone all night."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calls.embedded_scene import EmbeddedScene
from tests.calls.scene import DOMAIN

BOB = f"bob@{DOMAIN}"


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedScene]:
    """With the subscriber alice."""
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_pushes_per_minute=1) as running:
        await running.account("alice")
        yield running


async def test_a_call_that_nobody_has_proven_is_answered_with_one_datagram(scene: EmbeddedScene) -> None:
    async with scene.phone("alice") as alice, scene.phone("alice", "wrong") as guessing:
        for phone in (alice, guessing):
            await (await phone.call(BOB, proven=phone is guessing)).answer(401)
            refused = await phone.request("OPTIONS", f"sip:{DOMAIN}")
            assert refused.status == 200
            assert {message.status for message in phone.peer.came} == {200, 401}, "no 100, which would double it"


async def test_a_call_that_comes_again_and_again_under_one_call_id_is_pushed_as_seldom_as_others(
    scene: EmbeddedScene,
) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_expiry=1)
    async with scene.phone("alice") as alice:
        assert (await (await alice.call(BOB, call_id="the same")).final()).status == 480
        again = await (await alice.call(BOB, call_id="the same")).final()
        assert (again.status, again.get("Retry-After")) == (480, "60")
        assert len(await scene.scene.pushed(token)) == 1
