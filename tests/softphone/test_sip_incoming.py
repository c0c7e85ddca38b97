"""The software phone is called, and registers: what others send, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.sip import Timers
from ringback.softphone.errors import CallMoveImpossible, RegisterRefused, SipServerUnreachable
from ringback.softphone.sip_account import SipAccount
from ringback.softphone.sip_incoming import IncomingCall
from ringback.softphone.sip_phone import SipPhone
from ringback.softphone.waking import Answering, take_call, tell_of
from tests.calls.peer import Message, Peer
from tests.calls.scene import until
from tests.calls.sipp import sipp
from tests.softphone.sip_answers import answer, request, sdp

INSTANCE = "urn:uuid:f81d4fae-7dec-41d0-a765-00a0c91e6bf6"
FAST = Timers(t1=0.02, t2=0.1, t4=0.1)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer.start() as peer:
        yield peer


@pytest.fixture
async def phone(peer: Peer) -> AsyncIterator[SipPhone]:
    async with called(peer) as phone:
        yield phone


@contextlib.asynccontextmanager
async def called(server: Peer, *, password: str = "secret", push: str = "") -> AsyncIterator[SipPhone]:
    account = SipAccount(
        uri="sip:bob@example.org", server=server.address, password=password, instance=INSTANCE, display_name="Bob"
    )
    async with SipPhone(account, timers=FAST, push_parameters=push) as phone:
        yield phone


async def registered(peer: Peer, phone: SipPhone) -> tuple[str, int]:
    """Where the phone is, as its REGISTER says."""
    registering = asyncio.create_task(phone.register())
    asked = await peer.expect("REGISTER")
    answer(peer, asked, 200, fields=(("Contact", f"{asked.get('Contact')};expires=120"),))
    assert await registering == 120
    return place_of(asked)


def place_of(message: Message) -> tuple[str, int]:
    host, port = re.findall(r"@([\d.]+):(\d+)", message.get("Contact"))[0]
    return host, int(port)


async def ringing(peer: Peer, phone: SipPhone, *, body: str = sdp(40_000)) -> tuple[IncomingCall, Message]:
    """A call that rings, and the 180."""
    place = await registered(peer, phone)
    peer.send(request(peer, "INVITE", "sip:bob@example.org", body=body), place)
    call = await phone.next_call("call-1", seconds=10)
    assert call is not None
    return call, await peer.expect(180)


async def test_a_call_of_sipp_is_answered(tmp_path: Path, peer: Peer, phone: SipPhone) -> None:
    host, port = await registered(peer, phone)
    async with sipp(tmp_path, "caller", f"{host}:{port}", talk=50) as caller:
        call = await phone.next_call(seconds=20)
        assert call is not None
        await take_call(call, Answering(ring_seconds=0.05, talk_seconds=30))
        result = await caller.finished()
    assert (result.successful, result.statuses[-3:]) == (1, [180, 200, 200])
    told = tell_of(call)
    assert (told.answered, told.end, told.incoming, told.peer) == (True, "hung up there", True, "sip:alice@example.com")


async def test_a_call_is_answered_and_hung_up_here(peer: Peer, phone: SipPhone) -> None:
    call, ring = await ringing(peer, phone)
    assert (call.peer, call.display_name, call.state) == ("sip:alice@example.org", "Alice", "RINGING")
    await call.answer()
    accepted = await peer.expect(200)
    assert accepted.to_tag == ring.to_tag
    assert "m=audio" in accepted.body
    peer.send(request(peer, "ACK", "sip:bob@example.org", branch="two", to_tag=ring.to_tag), place_of(accepted))
    hanging_up = asyncio.create_task(call.hang_up())
    bye = await peer.expect("BYE")
    assert (bye.uri, bye.to_tag, bye.get("From").partition("tag=")[2]) == (
        f"sip:alice@{peer.address}",
        "theirs",
        ring.to_tag,
    )
    answer(peer, bye, 200)
    await hanging_up
    assert (call.end, call.answered, call.status) == ("hung up here", True, 200)
    with pytest.raises(CallMoveImpossible):
        await call.answer()


async def test_a_cancelled_call_ends(peer: Peer, phone: SipPhone) -> None:
    call, _ = await ringing(peer, phone)
    peer.send(request(peer, "CANCEL", "sip:bob@example.org"), place_of(await _first(peer, 180)))
    await call.over()
    await peer.expect(lambda message: message.status == 200 and message.get("CSeq") == "1 CANCEL")
    await peer.expect(487)
    assert (call.end, call.status) == ("cancelled", 487)


async def _first(peer: Peer, status: int) -> Message:
    return next(message for message in peer.came if message.status == status)


async def test_a_rejected_call_ends(peer: Peer, phone: SipPhone) -> None:
    call, _ = await ringing(peer, phone)
    await take_call(call, Answering(ring_seconds=0.01, reject=True))
    assert (await peer.expect(486)).get("CSeq") == "1 INVITE"
    assert tell_of(call).end == "refused"


async def test_an_offer_that_comes_with_the_acknowledgement(peer: Peer, phone: SipPhone) -> None:
    call, ring = await ringing(peer, phone, body="")
    await call.answer()
    offered = await peer.expect(200)
    assert "m=audio" in offered.body
    assert call.media is not None
    assert call.media.sent == 0
    async with Peer.start() as listener:
        data = request(
            peer, "ACK", "sip:bob@example.org", branch="two", to_tag=ring.to_tag, body=sdp(listener.port, codecs="0")
        )
        peer.send(data, place_of(offered))
        await until(lambda: len(listener.came) > 0)
    assert call.media.sent > 0


async def test_a_call_without_a_common_codec_is_refused(peer: Peer, phone: SipPhone) -> None:
    call, _ = await ringing(peer, phone, body=sdp(40_000, codecs="18 96"))
    await call.answer()
    await peer.expect(488)
    assert (call.end, call.status) == ("refused", 488)


async def test_an_answer_that_nobody_acknowledges_is_hung_up(peer: Peer, phone: SipPhone) -> None:
    call, _ = await ringing(peer, phone)
    await call.answer()
    bye = await peer.expect("BYE")
    answer(peer, bye, 200)
    assert call.end == "failed"


async def test_what_belongs_to_no_call(peer: Peer, phone: SipPhone) -> None:
    call, ring = await ringing(peer, phone)
    place = place_of(ring)
    peer.send(request(peer, "BYE", "sip:bob@example.org", branch="b1", to_tag="wrong", number=2), place)
    assert (await peer.expect(481)).get("CSeq") == "2 BYE"
    peer.send(request(peer, "INVITE", "sip:bob@example.org", branch="b2", number=3, from_tag="other"), place)
    assert (await peer.expect(482)).get("CSeq") == "3 INVITE"
    peer.send(request(peer, "OPTIONS", "sip:bob@example.org", branch="b3", call_id="o", number=4), place)
    assert "INVITE" in (await peer.expect(200)).get("Allow")
    peer.send(request(peer, "MESSAGE", "sip:bob@example.org", branch="b4", call_id="m", number=5), place)
    await peer.expect(405)
    assert call.state == "RINGING"


async def test_a_bye_that_was_overtaken_does_nothing(peer: Peer, phone: SipPhone) -> None:
    call, ring = await ringing(peer, phone)
    await call.answer()
    await peer.expect(200)
    place = place_of(ring)
    peer.send(request(peer, "BYE", "sip:bob@example.org", branch="b1", to_tag=ring.to_tag, number=1), place)
    await peer.expect(500)
    assert call.state == "ANSWERED"
    again = request(peer, "INVITE", "sip:bob@example.org", branch="b2", to_tag=ring.to_tag, number=2, body=sdp(40_002))
    peer.send(again, place)
    held = await peer.expect(lambda message: message.status == 200 and message.get("CSeq") == "2 INVITE")
    assert "m=audio" in held.body
    peer.send(request(peer, "BYE", "sip:bob@example.org", branch="b3", to_tag=ring.to_tag, number=3), place)
    await peer.expect(lambda message: message.status == 200 and message.get("CSeq") == "3 BYE")
    assert call.end == "hung up there"


# registering ----------------------------------------------------------------------------------------------------------


async def test_registering_with_a_password_and_everything_a_phone_says(peer: Peer) -> None:
    async with called(peer, push="pn-provider=fcm;pn-param=p;pn-prid=t") as phone:
        registering = asyncio.create_task(phone.register(600))
        first = await peer.expect("REGISTER")
        assert (first.uri, first.get("Expires")) == ("sip:example.org", "600")
        assert ";pn-provider=fcm;pn-param=p;pn-prid=t>" in first.get("Contact")
        assert f'+sip.instance="<{INSTANCE}>"' in first.get("Contact")
        challenge = 'Digest realm="example.org", nonce="n1", qop="auth", algorithm=MD5'
        answer(peer, first, 401, fields=(("WWW-Authenticate", challenge),))
        proved = await peer.expect("REGISTER")
        assert (proved.get("CSeq"), 'nonce="n1"' in proved.get("Authorization")) == ("2 REGISTER", True)
        answer(peer, proved, 423, fields=(("Min-Expires", "900"),))
        longer = await peer.expect("REGISTER")
        assert (longer.get("CSeq"), longer.get("Expires")) == ("3 REGISTER", "900")
        answer(peer, longer, 200, fields=(("Contact", f"{longer.get('Contact')};expires=900"),))
        assert await registering == 900
        leaving = asyncio.create_task(phone.unregister())
        last = await peer.expect("REGISTER")
        assert (last.get("Expires"), last.get("Call-ID")) == ("0", first.get("Call-ID"))
        assert "nc=00000003" in last.get("Authorization")
        answer(peer, last, 200)
        await leaving


async def test_a_binding_is_refreshed_before_it_ends(peer: Peer, phone: SipPhone) -> None:
    registering = asyncio.create_task(phone.register())
    asked = await peer.expect("REGISTER")
    answer(peer, asked, 200, fields=(("Contact", f"{asked.get('Contact')};expires=1"),))
    await registering
    again = await peer.expect("REGISTER")
    assert again.get("CSeq") == "2 REGISTER"
    answer(peer, again, 200, fields=(("Contact", f"{asked.get('Contact')};expires=1"),))
    assert (await peer.expect("REGISTER")).get("CSeq") == "3 REGISTER"


async def test_a_wrong_password_is_told(peer: Peer, phone: SipPhone) -> None:
    def refuse(message: Message) -> bool:
        nonce = f'Digest realm="example.org", nonce="{message.get("CSeq")}", qop="auth"'
        answer(peer, message, 401, fields=(("WWW-Authenticate", nonce),))
        return True

    peer.answer_by_itself = refuse
    with pytest.raises(RegisterRefused, match="401"):
        await phone.register()
    assert 2 <= len(peer.came) <= 3


async def test_a_server_that_is_not_there(peer: Peer, phone: SipPhone) -> None:
    del peer
    with pytest.raises(SipServerUnreachable):
        await phone.register()
