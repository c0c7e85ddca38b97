"""Embedded mode and those who mean no good: strangers are answered once, subscribers ring nobody's phone all night."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.calls import embedded
from ringback.protocols.sip.sdp import offer
from tests.calls.embedded_scene import EmbeddedScene
from tests.calls.peer import write
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
    (token,) = await scene.account("bob", phones=1, mobile_push_expiry=5)
    async with scene.phone("alice") as alice:
        finals = []
        while not finals or (finals[-1].get("Retry-After") == "" and len(finals) < 5):
            # One that comes while the phone still rings is not refused, and not pushed either.
            finals.append(await (await alice.call(BOB, call_id="the same")).final())
        assert {final.status for final in finals} == {480}
        assert finals[-1].get("Retry-After") == "60"
        assert len(await scene.scene.pushed(token)) == 1


@pytest.mark.parametrize(("listens_at", "told"), [("127.0.0.1", "application/sdp"), ("127.0.0.77", "")])
async def test_a_subscriber_hears_the_prompt_where_it_calls_from_and_sends_it_to_nobody_else(
    scene: EmbeddedScene, listens_at: str, told: str
) -> None:
    await scene.account("bob", phones=1)
    async with scene.phone("alice") as alice:
        asked = await alice.call(BOB, proven=False)
        fields = dict(asked.fields)
        fields["Authorization"] = alice.authorization(await asked.answer(401), "INVITE", asked.uri)
        fields |= {"CSeq": "99 INVITE", "Via": fields["Via"] + "again", "Content-Type": "application/sdp"}
        body = offer(listens_at, 40_000, 1).decode()
        alice.peer.send(write(f"INVITE {asked.uri} SIP/2.0", list(fields.items()), body), alice.server)
        assert (await asked.answer(183)).get("Content-Type") == told


async def test_no_subscriber_fills_the_server_with_one_call_that_comes_again_and_again(
    scene: EmbeddedScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MOST_FOR_ONE_CALLEE", 3)
    await scene.account("bob", phones=1)
    async with scene.phone("alice") as alice:
        for number in range(3):
            await alice.call(BOB, call_id="the same", sender=f"<sip:alice@{DOMAIN}>;tag={number}")
            await alice.peer.expect(183)
        refused = await alice.call(BOB, call_id="the same", sender=f"<sip:alice@{DOMAIN}>;tag=3")
        assert (await refused.final()).status == 486
