"""The twelve steps, in every order in which a proxy may play them: a scripted proxy, a real push lane and store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.store import PostgresLocation
from ringback.store.migrate import upgrade
from tests.calls.scene import Scene
from tests.calls.scripted_proxy import ScriptedProxy, Watched, contact, reginfo
from tests.peers.postgres import PostgresCluster


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[ScriptedProxy]:
    """One that the server takes calls from."""
    async with ScriptedProxy.start(scene.address) as proxy:
        yield proxy


async def test_the_twelve_steps(tmp_path: Path, database_url: str) -> None:
    async with Scene.start(tmp_path, database_url) as scene, ScriptedProxy.start(scene.address) as proxy:
        (token,) = await scene.subscriber()
        invited = proxy.invite()
        await proxy.peer.expect(100)
        progress = await proxy.peer.expect(183)
        assert progress.get("Content-Type") == "application/sdp"
        assert "RTP/AVP 8" in progress.body
        watched = await proxy.subscribed()
        assert watched.request.uri == "sip:bob@example.com"
        assert watched.request.get("Event") == "reg"
        assert watched.request.get("Accept") == "application/reginfo+xml"
        assert int(watched.request.get("Expires")) >= 30
        proxy.answer(watched, 200)
        proxy.notify(watched, reginfo())
        assert await proxy.answered("NOTIFY") == 200
        (push,) = await scene.pushed(token)
        assert push.push_type == "voip"
        proxy.notify(watched, reginfo(contact()))
        final = await proxy.final(invited)
        assert (final.status, final.get("Contact")) == (302, "<sip:bob@example.com>")
        assert final.to_tag == progress.to_tag
        assert await proxy.answered("NOTIFY") == 200
        await proxy.unsubscribed(watched)
        record = await scene.record()
        assert (record.outcome, record.status, record.pushes) == ("DEFLECTED", 302, 1)
        assert (record.caller, record.caller_name) == ("sip:alice@example.com", "Alice")
        assert record.call_id == invited.call_id
        assert record.registered_at is not None
        names = ["preference", "caller told", "subscribed", "notified", "pushed", "registered", "deflected"]
        assert [name for name in record.steps if name in names] == names
        assert record.step("preference") == {"mobile_push_enable": "no_reg", "decided_by": "subscriber"}


async def test_the_push_waits_for_the_first_notify(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    proxy.invite()
    watched = await proxy.subscribed()
    proxy.answer(watched, 200)
    await proxy.peer.expect(183)
    assert scene.apns.received == []
    proxy.notify(watched)
    await scene.pushed(token)


async def test_a_notify_may_come_before_the_answer_to_subscribe(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.notify(watched)
    assert await proxy.answered("NOTIFY") == 200
    await scene.pushed(token)
    proxy.answer(watched, 200)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302
    await proxy.unsubscribed(watched)


async def test_an_active_notify_before_the_answer_deflects_at_once(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302
    proxy.answer(watched, 200)
    await proxy.unsubscribed(watched)
    record = await scene.record()
    assert (record.outcome, record.pushes) == ("DEFLECTED", 0)
    assert scene.apns.received == []


async def test_whoever_is_registered_already_is_not_pushed(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302
    await proxy.unsubscribed(watched)
    record = await scene.record()
    assert (record.outcome, record.pushes, record.registered_at) == ("DEFLECTED", 0, None)
    assert record.step("deflected")["callee_is"] == "registered before"
    assert scene.apns.received == []


async def test_without_a_first_notify_the_push_goes_out_nevertheless(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.answer(watched, 200)
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


async def test_three_registers_make_one_deflect(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    for number in (1, 2, 3):
        proxy.notify(watched, reginfo(contact(expires=60 * number)))
    assert (await proxy.final(invited)).status == 302
    assert [await proxy.answered("NOTIFY") for _ in range(3)] == [200, 200, 200]
    await proxy.unsubscribed(watched)
    proxy.notify(watched, reginfo(contact()), state="terminated;reason=timeout")
    assert await proxy.answered("NOTIFY") == 200, "the last NOTIFY still belongs to the subscription"
    record = await scene.record()
    assert record.steps.count("deflected") == 1
    assert sum(message.status == 302 for message in proxy.peer.came) == 1


async def test_two_phones_are_pushed_and_the_first_one_takes_the_call(scene: Scene, proxy: ScriptedProxy) -> None:
    tokens = await scene.subscriber(phones=2)
    invited = proxy.invite()
    watched = await proxy.watch()
    for token in tokens:
        await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(1)))
    proxy.notify(watched, reginfo(contact(1), contact(2)))
    assert (await proxy.final(invited)).status == 302
    assert (await scene.record()).pushes == 2


async def test_a_phone_that_never_wakes_is_a_timeout(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber(mobile_push_expiry=5)
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    assert (await proxy.final(invited)).status == 480
    await proxy.unsubscribed(watched)
    proxy.notify(watched, reginfo(contact()))
    assert await proxy.answered("NOTIFY") == 200, "too late, and nothing happens any more"
    assert sum(message.status >= 300 for message in proxy.peer.came) == 1
    record = await scene.record()
    assert (record.outcome, record.status, record.reason) == ("TIMEOUT", 480, "no phone registered within 5 s")


async def test_a_caller_who_hangs_up_is_answered_487_and_nothing_is_left(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.cancel(invited)
    assert await proxy.answered("CANCEL") == 200
    assert (await proxy.final(invited)).status == 487
    await proxy.unsubscribed(watched)
    proxy.notify(watched, reginfo(contact()), state="terminated;reason=timeout")
    assert await proxy.answered("NOTIFY") == 200
    record = await scene.record()
    assert (record.outcome, record.status) == ("CANCELLED", 487)
    assert record.step("phones told") == {"why": "cancelled"}


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ('SIP;cause=200;text="Call completed elsewhere"', "ANSWERED_ELSEWHERE"),
        ("Q.850;cause=16, SIP ; cause=200", "ANSWERED_ELSEWHERE"),
        ("SIP;cause=487", "CANCELLED"),
        ("Q.850;cause=200", "CANCELLED"),
        (";;,", "CANCELLED"),
    ],
)
async def test_a_cancel_says_whether_another_phone_has_answered(
    scene: Scene, proxy: ScriptedProxy, reason: str, outcome: str
) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    await proxy.watch()
    await scene.pushed(token)
    proxy.cancel(invited, ("Reason", reason))
    assert (await proxy.final(invited)).status == 487
    assert (await scene.record()).outcome == outcome


async def test_a_caller_who_hangs_up_before_the_subscription_stands(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.cancel(invited)
    assert (await proxy.final(invited)).status == 487
    proxy.answer(watched, 200)
    await proxy.unsubscribed(watched)
    record = await scene.record()
    assert (record.outcome, record.pushes) == ("CANCELLED", 0)
    assert scene.apns.received == []


async def test_a_forged_cancel_moves_nothing(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    via = invited.via
    invited.via = via.replace("z9hG4bK", "z9hG4bKforged")
    proxy.cancel(invited)
    assert await proxy.answered("CANCEL") == 481
    invited.via = via
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


@pytest.mark.parametrize("status", [403, 404, 489, 503])
async def test_a_refused_subscription_ends_the_call(scene: Scene, proxy: ScriptedProxy, status: int) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    proxy.answer(await proxy.subscribed(), status)
    assert (await proxy.final(invited)).status == 500
    record = await scene.record()
    assert (record.outcome, record.status, record.pushes) == ("SUBSCRIPTION_REFUSED", 500, 0)
    assert str(status) in (record.reason or "")
    assert scene.apns.received == []


async def test_a_refusal_that_comes_after_the_push_lets_the_proxy_look_for_itself(
    scene: Scene, proxy: ScriptedProxy
) -> None:
    (token,) = await scene.subscriber(mobile_push_expiry=5)
    invited = proxy.invite()
    watched = await proxy.subscribed()
    proxy.notify(watched)
    await scene.pushed(token)
    proxy.answer(watched, 503)
    assert (await proxy.final(invited)).status == 302
    assert (await scene.record()).step("deflected")["callee_is"] == "not known"


async def test_a_proxy_that_does_not_answer_the_subscribe_ends_the_call(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    await proxy.subscribed()
    assert (await proxy.final(invited)).status == 500
    assert (await scene.record()).reason == "the proxy did not answer the SUBSCRIBE"


async def test_a_proxy_that_cannot_be_reached_ends_the_call_and_the_record_says_why(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with (
        Scene.start(tmp_path, sqlite_url, sip_proxy="127.0.0.1:1;transport=tcp") as scene,
        ScriptedProxy.start(scene.address) as proxy,
    ):
        await scene.subscriber()
        assert (await proxy.final(proxy.invite())).status == 500
        reason = (await scene.record()).reason
        assert reason == "the proxy cannot be asked. No connection could be made: Connection refused."


@pytest.mark.parametrize("state", ["terminated;reason=noresource", "terminated;reason=rejected", "terminated"])
async def test_a_subscription_that_ends_without_an_active_contact_ends_the_call(
    scene: Scene, proxy: ScriptedProxy, state: str
) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(), state=state)
    assert (await proxy.final(invited)).status == 480
    assert (await scene.record()).outcome == "SUBSCRIPTION_REFUSED"


async def test_a_subscription_that_ends_with_an_active_contact_deflects(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()), state="terminated;reason=timeout")
    assert (await proxy.final(invited)).status == 302


async def test_a_forged_notify_moves_nothing(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    async with ScriptedProxy.start(scene.address, host="127.0.0.2") as stranger:
        stranger.notify(watched, reginfo(contact()))
        assert await stranger.answered("NOTIFY") == 403
    fields = [(name, value.replace(";tag=", ";tag=x")) for name, value in watched.request.fields]
    other = Watched(watched.request._replace(fields=fields), watched.tag)
    proxy.notify(other, reginfo(contact()))
    assert await proxy.answered("NOTIFY") == 481
    proxy.cancel(invited)
    assert (await proxy.final(invited)).status == 487, "the call still waited"


async def test_a_notify_that_cannot_be_read_changes_nothing(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, '<!DOCTYPE r [<!ENTITY a "active">]>' + reginfo(contact()))
    proxy.notify(watched, "not xml")
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302
    assert (await scene.record()).steps.count("notified of nothing that can be read") == 2


async def test_a_call_that_somebody_ends_over_http_is_answered(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    (live,) = scene.served.rooms.calls.wake_ups._live.values()
    login = await scene.proxy_login()
    answer = await scene.served.call("DELETE", f"/api/v1/wakeups/{live.id}?reason=answered_elsewhere", auth=login)
    assert answer.status in {200, 204}
    assert (await proxy.final(invited)).status == 480
    await proxy.unsubscribed(watched)
    assert (await scene.record()).outcome == "ANSWERED_ELSEWHERE"


async def test_while_the_database_is_away_the_proxy_is_sent_elsewhere(tmp_path: Path) -> None:
    cluster = PostgresCluster()
    await asyncio.to_thread(cluster.start)
    try:
        url = cluster.url(await asyncio.to_thread(cluster.new_database))
        await asyncio.to_thread(upgrade, PostgresLocation(url))
        async with Scene.start(tmp_path, url) as scene, ScriptedProxy.start(scene.address) as proxy:
            (token,) = await scene.subscriber()
            await asyncio.to_thread(cluster.stop, immediately=True)
            refused = await proxy.final(proxy.invite(), seconds=30)
            assert refused.status == 503
            assert refused.get("Retry-After")
            await asyncio.to_thread(cluster.start)
            assert (await scene.record()).outcome == "OVERLOADED"
            invited = proxy.invite()
            watched = await proxy.watch()
            await scene.pushed(token)
            proxy.notify(watched, reginfo(contact()))
            assert (await proxy.final(invited)).status == 302
    finally:
        cluster.remove()


async def test_when_the_server_stops_callers_are_answered_and_the_records_say_so(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with Scene.start(tmp_path, sqlite_url) as scene, ScriptedProxy.start(scene.address) as proxy:
        (token,) = await scene.subscriber()
        pushed = proxy.invite()
        await proxy.watch()
        await scene.pushed(token)
        waiting = proxy.invite()
        await proxy.subscribed()
        await scene.stop()
        assert (await proxy.final(pushed)).status == 480
        assert (await proxy.final(waiting)).status == 503
        records = await scene.records(count=2)
        assert {(one.outcome, one.status, one.reason) for one in records} == {
            ("OVERLOADED", 480, "the server stopped"),
            ("OVERLOADED", 503, "the server stopped"),
        }
