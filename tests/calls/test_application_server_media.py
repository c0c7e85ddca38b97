"""What the caller of an application server hears while it waits, and what it offers and confirms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.calls.ear import Ear
from tests.calls.scene import Scene
from tests.calls.scripted_proxy import OFFER, ScriptedProxy, contact, reginfo


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[ScriptedProxy]:
    """One that the server takes calls from."""
    async with ScriptedProxy.start(scene.address) as proxy:
        yield proxy


async def test_a_caller_without_an_offer_hears_nothing_and_is_called_through(
    scene: Scene, proxy: ScriptedProxy
) -> None:
    await scene.subscriber()
    invited = proxy.invite(offer="")
    progress = await proxy.peer.expect(183)
    assert progress.body == ""
    await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302


async def test_a_caller_without_g711_hears_nothing_and_is_called_through(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 96\r\n"
    invited = proxy.invite(offer=offer + "a=rtpmap:96 opus/48000/2\r\n")
    progress = await proxy.peer.expect(183)
    assert progress.body == ""
    await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302


@pytest.mark.parametrize("field", ["Supported", "Require"])
async def test_the_183_is_reliable_where_the_caller_wants_that(scene: Scene, proxy: ScriptedProxy, field: str) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite(more=((field, "100rel"),))
    progress = await proxy.peer.expect(183)
    assert progress.get("Require") == "100rel"
    number = int(progress.get("RSeq"))
    await proxy.peer.expect(lambda message: message.status == 183 and message.get("RSeq") == str(number))
    proxy.confirm(invited, progress)
    assert await proxy.answered("PRACK") == 200
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


async def test_a_caller_without_an_offer_that_confirms_answers_ours_and_hears(
    scene: Scene, proxy: ScriptedProxy
) -> None:
    await scene.subscriber()
    async with Ear.start() as ear:
        invited = proxy.invite(offer="", more=(("Supported", "100rel"),))
        progress = await proxy.peer.expect(183)
        assert "m=audio" in progress.body
        proxy.confirm(invited, progress, body=OFFER.format(port=ear.port))
        assert await proxy.answered("PRACK") == 200
        await ear.until_heard(5)
        watched = await proxy.watch(contact())
        assert (await proxy.final(invited)).status == 302
        await proxy.unsubscribed(watched)


@pytest.mark.parametrize("media", ["m=audio {port} RTP/AVP 8", "m=audio {port} RTP/AVP 96\r\na=rtpmap:96 opus/48000/2"])
async def test_a_caller_may_offer_something_else_when_it_confirms(
    scene: Scene, proxy: ScriptedProxy, media: str
) -> None:
    await scene.subscriber()
    async with Ear.start() as first, Ear.start() as second:
        invited = proxy.invite(offer=OFFER.format(port=first.port), more=(("Supported", "100rel"),))
        progress = await proxy.peer.expect(183)
        await first.until_heard(5)
        renewed = OFFER.partition("m=")[0].replace("alice 1 1", "alice 1 2") + media.format(port=second.port) + "\r\n"
        proxy.confirm(invited, progress, body=renewed)
        answer = await proxy.peer.expect(lambda m: m.status == 200 and m.get("CSeq").endswith("PRACK"))
        one, other = (re.search(r"o=- (\d+) (\d+) ", text) for text in (progress.body, answer.body))
        assert one is not None
        assert other is not None
        assert (other[1], int(other[2])) == (one[1], int(one[2]) + 1), "the same session, changed once"
        if "opus" in media:
            assert "m=audio 0 RTP/AVP 96" in answer.body
        else:
            await second.until_heard(5)
        heard = first.packets
        watched = await proxy.watch(contact())
        assert (await proxy.final(invited)).status == 302
        await proxy.unsubscribed(watched)
        assert first.packets <= heard + 1, "nothing goes to where the caller has left"


async def test_the_caller_hears_the_prompt(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    async with Ear.start() as ear:
        invited = proxy.invite(offer=OFFER.format(port=ear.port))
        watched = await proxy.watch()
        await ear.until_heard(5)
        proxy.notify(watched, reginfo(contact()))
        assert (await proxy.final(invited)).status == 302
