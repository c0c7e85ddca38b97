"""The application server and NOTIFYs that nobody should believe: each is refused, counted, and moves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.calls.scene import Scene
from tests.calls.scripted_proxy import ScriptedProxy, contact, reginfo

ENTITY = '<!DOCTYPE reginfo [<!ENTITY who "active">]>'


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[ScriptedProxy]:
    """One that the server takes calls from."""
    async with ScriptedProxy.start(scene.address) as proxy:
        yield proxy


async def test_somebody_else_who_registers_does_not_take_the_call(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(), aor="sip:mallory@example.com"))
    assert await proxy.answered("NOTIFY") == 200
    proxy.notify(watched, reginfo(contact(2)))
    assert (await proxy.final(invited)).status == 302
    record = await scene.record()
    assert record.step("registered")["contact"] == "sip:bob@10.0.0.2"
    assert [step["details"]["registered"] for step in record.trace if step["step"] == "notified"] == [False, False]


@pytest.mark.parametrize("aor", ["sip:Bob@10.0.0.1:5060", "sips:%62ob@example.org", ""])
async def test_a_proxy_may_write_the_address_in_another_way(scene: Scene, proxy: ScriptedProxy, aor: str) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(), aor=aor))
    assert (await proxy.final(invited)).status == 302


@pytest.mark.parametrize("body", ["<reginfo", ENTITY + reginfo(contact())])
async def test_a_document_that_cannot_be_read_is_refused_and_the_call_goes_on(
    scene: Scene, proxy: ScriptedProxy, body: str
) -> None:
    (token,) = await scene.subscriber()
    before = (await scene.refused()).get("unreadable", 0)
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.answer(watched, 200)
    proxy.notify(watched, body)
    assert await proxy.answered("NOTIFY") == 400
    assert (await scene.refused())["unreadable"] == before + 1
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302
    assert "notified of nothing that can be read" in (await scene.record()).steps


@pytest.mark.parametrize(
    ("event", "tag", "status", "reason"),
    [("reg", "another", 481, "unmatched_notify"), ("presence", "", 489, "event")],
)
async def test_a_notify_of_another_dialog_or_package_is_counted(
    scene: Scene, proxy: ScriptedProxy, event: str, tag: str, status: int, reason: str
) -> None:
    (token,) = await scene.subscriber()
    before = (await scene.refused()).get(reason, 0)
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()), event=event, tag=tag)
    assert await proxy.answered("NOTIFY") == status
    assert (await scene.refused())[reason] == before + 1
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


async def test_who_is_no_proxy_is_counted(scene: Scene) -> None:
    before = (await scene.refused()).get("stranger", 0)
    async with ScriptedProxy.start(scene.address, host="127.0.0.2") as stranger:
        assert (await stranger.final(stranger.invite())).status == 403
        stranger.request("NOTIFY", "sip:bob@example.com", ("Event", "reg"), ("Subscription-State", "active"))
        assert await stranger.answered("NOTIFY") == 403
    assert (await scene.refused())["stranger"] == before + 2
