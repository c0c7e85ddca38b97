"""Who is called and whether, and what an application server does not take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.calls.peer import write
from tests.calls.scene import Scene
from tests.calls.scripted_proxy import ScriptedProxy, contact, reginfo


def with_settings(**settings: Any) -> pytest.MarkDecorator:
    """The server has these settings."""
    return pytest.mark.parametrize("scene", [settings], indirect=True)


@pytest.fixture
async def proxy(scene: Scene) -> AsyncIterator[ScriptedProxy]:
    """One that the server takes calls from."""
    async with ScriptedProxy.start(scene.address) as proxy:
        yield proxy


def md5(text: str) -> str:
    """In hex."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def subscribes(proxy: ScriptedProxy) -> int:
    """How many SUBSCRIBEs came."""
    return sum(message.method == "SUBSCRIBE" for message in proxy.peer.came)


# who is called --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("callee", ["eve@example.com", "bob@example.org", "BOB@example.com"])
async def test_whom_nobody_knows_is_not_found(scene: Scene, proxy: ScriptedProxy, callee: str) -> None:
    await scene.subscriber()
    assert (await proxy.final(proxy.invite(callee))).status == 404
    assert (await scene.record(callee)).outcome == "UNKNOWN_CALLEE"
    assert subscribes(proxy) == 0


async def test_the_domain_may_be_written_in_capitals(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite("bob@EXAMPLE.com")
    await proxy.watch(contact())
    assert (await proxy.final(invited)).get("Contact") == "<sip:bob@EXAMPLE.com>"


async def test_never_wakes_nobody(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(mobile_push_enable="never")
    invited = proxy.invite()
    await proxy.watch()
    assert (await proxy.final(invited)).status == 480
    record = await scene.record()
    assert (record.outcome, record.reason) == ("NOT_ENABLED", "mobile_push_enable is never (subscriber)")
    assert not any(message.status == 183 for message in proxy.peer.came)
    assert scene.apns.received == []


async def test_never_lets_the_registered_ring(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(mobile_push_enable="never")
    invited = proxy.invite()
    await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302


async def test_where_nothing_is_said_nobody_is_woken(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(mobile_push_enable=None)
    invited = proxy.invite()
    await proxy.watch()
    assert (await proxy.final(invited)).status == 480
    assert (await scene.record()).step("preference") == {"mobile_push_enable": "never", "decided_by": "built in"}


async def test_a_disabled_subscriber_is_not_called(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    await scene.disable()
    assert (await proxy.final(proxy.invite())).status == 480
    assert (await scene.record()).reason == "the subscriber is disabled"


async def test_without_a_phone_the_caller_is_told_at_once(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(phones=0)
    invited = proxy.invite()
    await proxy.watch()
    assert (await proxy.final(invited)).status == 480
    assert (await scene.record()).outcome == "NO_PHONE"
    assert not any(message.status == 183 for message in proxy.peer.came)


async def test_without_a_phone_to_wake_the_registered_one_rings(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(phones=0)
    invited = proxy.invite()
    await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302


async def test_only_push_without_a_phone_asks_nobody(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber(phones=0, mobile_push_enable="only_push")
    assert (await proxy.final(proxy.invite())).status == 480
    assert (await scene.record()).outcome == "NO_PHONE"
    assert subscribes(proxy) == 0


# preferences ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preference", ["always", "push_then_reg", "only_push"])
async def test_some_push_although_somebody_is_registered(scene: Scene, proxy: ScriptedProxy, preference: str) -> None:
    (token,) = await scene.subscriber(mobile_push_enable=preference)
    invited = proxy.invite()
    watched = await proxy.watch(contact(1))
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(1, expires=59)))
    assert await proxy.answered("NOTIFY") == 200, "nobody new: the call waits"
    proxy.notify(watched, reginfo(contact(1, expires=59), contact(2)))
    assert (await proxy.final(invited)).status == 302
    assert (await scene.record()).step("registered")["contact"] == "sip:bob@10.0.0.2"


async def test_a_phone_that_was_registered_and_registers_again_has_woken(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber(mobile_push_enable="always")
    invited = proxy.invite()
    watched = await proxy.watch(contact(1, expires=20))
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(1, expires=60)))
    assert (await proxy.final(invited)).status == 302
    assert (await scene.record()).registered_at is not None


@pytest.mark.parametrize(
    ("preference", "status", "outcome"),
    [("always", 302, "DEFLECTED"), ("push_then_reg", 302, "DEFLECTED"), ("only_push", 480, "TIMEOUT")],
)
async def test_when_the_time_is_over_the_registered_count_or_not(
    scene: Scene, proxy: ScriptedProxy, preference: str, status: int, outcome: str
) -> None:
    (token,) = await scene.subscriber(mobile_push_enable=preference, mobile_push_expiry=5)
    invited = proxy.invite()
    await proxy.watch(contact())
    await scene.pushed(token)
    assert (await proxy.final(invited)).status == status
    assert (await scene.record()).outcome == outcome


async def test_reg_then_push_pushes_when_the_call_comes_back(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber(mobile_push_enable="reg_then_push")
    first = proxy.invite()
    await proxy.watch(contact(1))
    assert (await proxy.final(first)).status == 302
    assert scene.apns.received == []
    second = proxy.invite(call_id=first.call_id)
    watched = await proxy.watch(contact(1))
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact(1), contact(2)))
    assert (await proxy.final(second)).status == 302
    assert [one.pushes for one in await scene.records(count=2)] == [0, 1]


# the same call again --------------------------------------------------------------------------------------------------


async def test_a_call_that_comes_back_is_not_pushed_again(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    first = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(first)).status == 302
    second = proxy.invite(call_id=first.call_id)
    watched = await proxy.watch()
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(second)).status == 302
    other = proxy.invite()
    await proxy.watch()
    assert len(await scene.pushed(token, 2)) == 2, "another call is pushed, and the second INVITE was not"
    proxy.cancel(other)
    assert (await proxy.final(other)).status == 487


async def test_a_call_that_goes_round_is_stopped(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    first = proxy.invite()
    await proxy.watch(contact())
    assert (await proxy.final(first)).status == 302
    for _ in range(2):
        again = proxy.invite(call_id=first.call_id)
        await proxy.watch(contact())
        assert (await proxy.final(again)).status == 302
    assert (await proxy.final(proxy.invite(call_id=first.call_id))).status == 482
    # In any order: within one millisecond their ids say nothing of it.
    assert sorted(one.outcome for one in await scene.records(count=4)) == ["DEFLECTED"] * 3 + ["REFUSED"]


async def test_a_repeated_invite_is_the_same_call(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    proxy.send_invite(invited)
    await proxy.peer.expect(183)
    await proxy.peer.expect(183)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302
    await scene.record()
    assert len(scene.apns.received) == 1


# what the proxy says --------------------------------------------------------------------------------------------------


async def test_p_app_param_takes_the_place_of_the_request(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    said = "audio_id=none;expiration=7;caller=4312345;callee=bob;domain=example.com;other=1"
    invited = proxy.invite("service@as.example.net", more=(("P-App-Param", said),))
    watched = await proxy.watch()
    assert watched.request.uri == "sip:bob@example.com"
    assert 7 <= int(watched.request.get("Expires")) <= 20
    (push,) = await scene.pushed(token)
    assert "4312345" in str(push.payload)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).get("Contact") == "<sip:service@as.example.net>"
    assert (await scene.record()).caller == "tel:4312345"


async def test_p_app_param_that_cannot_be_read_is_refused_by_name(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    final = await proxy.final(proxy.invite(more=(("P-App-Param", "expiration=soon"),)))
    assert final.start == "SIP/2.0 400 Bad P-App-Param: expiration"


async def test_the_asserted_identity_counts_before_from(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite(more=(("P-Asserted-Identity", '"Dr. Who" <sip:+4319999@carrier.example>'),))
    watched = await proxy.watch()
    (push,) = await scene.pushed(token)
    assert "Dr. Who" in str(push.payload)
    assert "+4319999" in str(push.payload)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


@with_settings(sip_deflect_status=300, sip_deflect_port=5062)
async def test_the_deflect_may_be_300_with_a_port(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite("bob@example.com:5060;transport=tcp")
    await proxy.watch(contact())
    final = await proxy.final(invited)
    assert (final.status, final.get("Contact")) == (300, "<sip:bob@example.com:5062;transport=tcp>")


# the subscription -----------------------------------------------------------------------------------------------------


@with_settings(sip_proxy_user="ringback", sip_proxy_password="s3cret")
async def test_the_subscribe_proves_itself_when_it_is_asked(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    asked = await proxy.subscribed()
    proxy.answer(asked, 401, ("WWW-Authenticate", 'Digest realm="example.com", nonce="abc", qop="auth"'))
    watched = await proxy.subscribed()
    said = dict(re.findall(r'(\w+)="?([^",]+)"?', watched.request.get("Authorization")))
    ha1 = md5("ringback:example.com:s3cret")
    ha2 = md5(f"SUBSCRIBE:{watched.request.uri}")
    expected = md5(f"{ha1}:abc:{said['nc']}:{said['cnonce']}:auth:{ha2}")
    assert (said["username"], said["response"]) == ("ringback", expected)
    proxy.answer(watched, 200)
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(invited)).status == 302


async def test_without_a_password_a_challenge_is_a_refusal(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite()
    asked = await proxy.subscribed()
    proxy.answer(asked, 401, ("WWW-Authenticate", 'Digest realm="example.com", nonce="abc"'))
    assert (await proxy.final(invited)).status == 500


@with_settings(sip_without_subscription="continue", wake_seconds=5)
async def test_without_a_subscription_the_phones_may_be_pushed_and_the_call_goes_back_later(
    scene: Scene, proxy: ScriptedProxy
) -> None:
    (token,) = await scene.subscriber()
    invited = proxy.invite()
    proxy.answer(await proxy.subscribed(), 403)
    await scene.pushed(token)
    assert (await proxy.final(invited)).status == 302
    record = await scene.record()
    assert (record.outcome, record.pushes) == ("DEFLECTED", 1)
    assert record.step("deflected")["callee_is"] == "not known"


# what is not taken ----------------------------------------------------------------------------------------------------


async def test_calls_of_strangers_are_refused_and_nothing_happens(scene: Scene) -> None:
    await scene.subscriber()
    async with ScriptedProxy.start(scene.address, host="127.0.0.2") as stranger:
        assert (await stranger.final(stranger.invite())).status == 403
        stranger.request("NOTIFY", "sip:bob@example.com", ("Event", "reg"), ("Subscription-State", "active"))
        assert await stranger.answered("NOTIFY") == 403
        assert subscribes(stranger) == 0
    await scene.records(count=0)


async def test_what_belongs_to_no_dialog_is_answered_481(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    assert (await proxy.final(proxy.invite(to_tag="gone"))).status == 481
    replaces = (("Replaces", "other@10.0.0.1;to-tag=1;from-tag=2"),)
    assert (await proxy.final(proxy.invite(more=replaces))).status == 481
    proxy.request("BYE", "sip:bob@example.com", to_tag="gone")
    assert await proxy.answered("BYE") == 481
    proxy.request("NOTIFY", "sip:bob@example.com", ("Event", "reg"), ("Subscription-State", "active"), to_tag="gone")
    assert await proxy.answered("NOTIFY") == 481
    assert subscribes(proxy) == 0


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "REGISTER", "PUBLISH"])
async def test_other_methods_are_not_allowed(scene: Scene, proxy: ScriptedProxy, method: str) -> None:
    proxy.request(method, "sip:bob@example.com", ("Event", "reg"))
    answer = await proxy.peer.expect(405)
    assert "INVITE" in answer.get("Allow")
    assert scene.apns.received == []


async def test_options_is_answered(scene: Scene, proxy: ScriptedProxy) -> None:
    assert scene.address
    proxy.request("OPTIONS", f"sip:{scene.address}")
    assert await proxy.answered("OPTIONS") == 200


async def test_a_callee_that_is_no_address_is_refused(scene: Scene, proxy: ScriptedProxy) -> None:
    assert scene.address
    invited = proxy.invite()
    await proxy.final(invited)
    nobody = proxy.invite("example.com")
    assert (await proxy.final(nobody)).status == 404


@with_settings(sip_max_calls=1)
async def test_above_the_limit_of_calls_the_proxy_is_sent_elsewhere(scene: Scene, proxy: ScriptedProxy) -> None:
    (token,) = await scene.subscriber()
    first = proxy.invite()
    watched = await proxy.watch()
    await scene.pushed(token)
    refused = await proxy.final(proxy.invite())
    assert refused.status == 503
    assert int(refused.get("Retry-After")) > 0
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(first)).status == 302


async def test_bytes_that_are_no_text_do_no_harm_to_the_record(scene: Scene, proxy: ScriptedProxy) -> None:
    await scene.subscriber()
    invited = proxy.invite(call_id="call-with-odd-byte")
    await proxy.watch(contact())
    assert (await proxy.final(invited)).status == 302
    odd = write(
        "INVITE sip:bob@example.com SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {proxy.peer.address};branch=z9hG4bKodd"),
            ("Max-Forwards", "70"),
            ("From", "<sip:odd-byte@example.com>;tag=odd"),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", "odd-byte"),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:odd@{proxy.peer.address}>"),
        ],
    )
    proxy.peer.send(odd.replace(b"odd-byte", b"odd-\xff"), proxy.server)
    await proxy.watch(contact())
    await proxy.peer.expect(302)
    records = await scene.records(count=2)
    assert [(one.call_id, one.caller) for one in records[1:]] == [("odd-?", "sip:odd-?@example.com")]
