"""The software phone calls: what others answer, and what it makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.sip import Timers
from ringback.softphone.errors import SipServerUnreachable
from ringback.softphone.sip_account import SipAccount
from ringback.softphone.sip_phone import SipPhone
from ringback.softphone.waking import make_call, tell_of
from tests.calls.peer import Peer, write
from tests.calls.ports import free_port
from tests.calls.scene import until
from tests.calls.sipp import sipp
from tests.softphone.sip_answers import accept, answer, media_address, sdp

TAGGED = (("Contact", "<sip:callee@127.0.0.1:9>"),)


@pytest.fixture
async def server() -> AsyncIterator[Peer]:
    async with Peer.start() as peer:
        yield peer


@pytest.fixture
async def phone(server: Peer) -> AsyncIterator[SipPhone]:
    async with calling(server) as phone:
        yield phone


@contextlib.asynccontextmanager
async def calling(server: Peer, password: str = "") -> AsyncIterator[SipPhone]:
    account = SipAccount(uri="sip:alice@example.org", server=server.address, password=password, display_name="Alice")
    async with SipPhone(account, timers=Timers(t1=0.02, t2=0.1, t4=0.1)) as phone:
        yield phone


async def test_a_call_to_sipp(tmp_path: Path) -> None:
    async with sipp(tmp_path, "phone", "127.0.0.1:9") as callee:
        account = SipAccount(uri="sip:alice@example.org", server=callee.address)
        told = await make_call(account, "sip:bob@example.org", talk_seconds=0.2, patience_seconds=20)
        result = await callee.finished()
    assert (result.successful, result.methods) == (1, ["INVITE", "ACK", "BYE"])
    assert (told.answered, told.end, [move.state for move in told.moves]) == (
        True,
        "hung up here",
        ["RINGING", "ANSWERED", "ENDED"],
    )


async def test_a_call_to_sipp_over_tcp(tmp_path: Path) -> None:
    async with sipp(tmp_path, "phone", "127.0.0.1:9", transport="tcp") as callee:
        account = SipAccount(uri="sip:alice@example.org", server=f"{callee.address};transport=tcp")
        await _listens(callee.port)
        told = await make_call(account, "sip:bob@example.org", talk_seconds=0.1, patience_seconds=20)
        result = await callee.finished()
    assert (result.successful, told.answered) == (1, True)


async def _listens(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)


async def test_early_media_is_heard_and_another_phone_answers(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    assert invite.uri == "sip:bob@example.org"
    answer(server, invite, 183, tag="announcer", fields=TAGGED, body=sdp(40_000))
    await call.reached("CONNECTING")
    for number in range(5):
        server.send(struct.pack("!BBHII", 0x80, 8, number, number * 160, 7) + bytes(160), media_address(invite))
    server.send(b"no RTP", media_address(invite))
    assert call.media is not None
    media = call.media
    await until(lambda: media.received >= 5)
    answer(server, invite, 180, tag="bobs-phone", fields=TAGGED)
    await call.reached("RINGING")
    accept(server, invite, "bobs-phone")
    assert await call.reached("ANSWERED")
    ack = await server.expect("ACK")
    assert (ack.uri, ack.to_tag, ack.get("CSeq")) == (f"sip:callee@{server.address}", "bobs-phone", "1 ACK")
    assert (call.has_early_media, call.early_media_packets) == (True, 5)
    assert call.early_dialogs == {"announcer": 183, "bobs-phone": 180}
    hanging_up = asyncio.create_task(call.hang_up())
    bye = await server.expect("BYE")
    assert (bye.to_tag, bye.get("CSeq")) == ("bobs-phone", "2 BYE")
    answer(server, bye, 200)
    await hanging_up
    assert (call.state, call.end) == ("ENDED", "hung up here")


async def test_two_phones_answer_and_the_second_is_hung_up(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    accept(server, invite, "first")
    await server.expect(lambda message: message.method == "ACK" and message.to_tag == "first")
    accept(server, invite, "second")
    await server.expect(lambda message: message.method == "ACK" and message.to_tag == "second")
    bye = await server.expect("BYE")
    answer(server, bye, 200)
    assert (bye.to_tag, call.state) == ("second", "ANSWERED")


async def test_a_lost_ack_is_sent_again(server: Peer, phone: SipPhone) -> None:
    await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    for _ in range(3):
        accept(server, invite, "callee")
        assert (await server.expect("ACK")).to_tag == "callee"


@pytest.mark.parametrize(
    ("status", "end", "meaning"),
    [
        (480, "no answer", "could not be reached"),
        (486, "refused", "on the phone"),
        (404, "refused", "nobody of this name"),
        (503, "refused", "too many calls"),
        (603, "refused", "does not want"),
    ],
)
async def test_a_refusal_is_told_in_words(server: Peer, phone: SipPhone, status: int, end: str, meaning: str) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    answer(server, invite, status, tag="x")
    assert (await server.expect("ACK")).get("CSeq") == "1 ACK"
    assert not await call.reached("ANSWERED")
    told = tell_of(call)
    assert (told.status, told.end, told.answered) == (status, end, False)
    assert meaning in told.meaning


@pytest.mark.parametrize(
    ("status", "asks", "tells"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
async def test_a_password_is_asked_for(server: Peer, status: int, asks: str, tells: str) -> None:
    async with calling(server, password="secret") as phone:
        call = await phone.call("bob@example.org")
        invite = await server.expect("INVITE")
        challenge = 'Digest realm="example.org", nonce="n1", qop="auth", algorithm=SHA-256'
        answer(server, invite, status, tag="x", fields=((asks, challenge),))
        again = await server.expect(lambda message: message.method == "INVITE" and message.get("CSeq") == "2 INVITE")
        assert 'username="alice"' in again.get(tells)
        assert again.get("Call-ID") == invite.get("Call-ID")
        answer(server, again, status, tag="x", fields=((asks, challenge.replace("n1", "n2")),))
        third = await server.expect(lambda message: message.get("CSeq") == "3 ACK" or message.get("CSeq") == "2 ACK")
        assert third.method == "ACK"
        await call.over()
        assert (call.end, call.status) == ("refused", status)


async def test_contacts_of_a_redirection_are_tried_as_they_are_ranked(server: Peer, phone: SipPhone) -> None:
    async with Peer.start() as good, Peer.start() as better, Peer.start() as never:
        call = await phone.call("bob@example.org")
        invite = await server.expect("INVITE")
        contacts = f"<sip:b@{good.address}>;q=0.5, <sip:c@{never.address}>;q=0.1, <sip:a@{better.address}>;q=0.9"
        answer(server, invite, 302, tag="x", fields=(("Contact", contacts),))
        await server.expect("ACK")
        first = await better.expect("INVITE")
        assert (first.uri, first.get("CSeq"), first.to_tag) == (f"sip:a@{better.address}", "2 INVITE", "")
        assert first.get("Call-ID") == invite.get("Call-ID")
        answer(better, first, 486, tag="y")
        accept(good, await good.expect("INVITE"), "z")
        await good.expect("ACK")
        assert call.redirected_to == [f"sip:a@{better.address}", f"sip:b@{good.address}"]
        assert [move.state for move in call.moves] == ["REDIRECTED", "REDIRECTED", "ANSWERED"]
        assert never.came == []


async def test_contacts_of_one_rank_are_called_together(server: Peer, phone: SipPhone) -> None:
    async with Peer.start() as slow, Peer.start() as fast:
        call = await phone.call("bob@example.org", in_parallel=True)
        invite = await server.expect("INVITE")
        answer(server, invite, 302, tag="x", fields=(("Contact", f"<sip:a@{slow.address}>, <sip:b@{fast.address}>"),))
        rings = await slow.expect("INVITE")
        answer(slow, rings, 180, tag="slow", fields=TAGGED)
        accept(fast, await fast.expect("INVITE"), "fast")
        await fast.expect("ACK")
        cancel = await slow.expect("CANCEL")
        assert cancel.get("CSeq") == rings.get("CSeq").replace("INVITE", "CANCEL")
        answer(slow, cancel, 200)
        answer(slow, rings, 487, tag="slow")
        await slow.expect("ACK")
        assert call.state == "ANSWERED"


async def test_a_circle_of_redirections_ends(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    for _ in range(2):
        invite = await server.expect("INVITE")
        answer(server, invite, 302, tag="x", fields=(("Contact", f"<sip:round@{server.address}>"),))
        await server.expect("ACK")
    await call.over()
    assert (call.end, call.status) == ("refused", 302)


async def test_the_caller_gives_up(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    hanging_up = asyncio.create_task(call.hang_up())
    await server.expect("INVITE")  # it comes again: nothing may be cancelled before anything is answered
    assert all(message.method == "INVITE" for message in server.came)
    answer(server, invite, 183, tag="x", body=sdp(40_000))
    cancel = await server.expect("CANCEL")
    assert cancel.get("Via") == invite.get("Via")
    answer(server, cancel, 200)
    answer(server, invite, 487, tag="x")
    await hanging_up
    assert (call.state, call.end, call.status) == ("ENDED", "cancelled", 487)


async def test_an_answer_that_crosses_a_cancel_is_hung_up(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    answer(server, invite, 180, tag="x", fields=TAGGED)
    await call.reached("RINGING")
    hanging_up = asyncio.create_task(call.hang_up())
    await server.expect("CANCEL")
    accept(server, invite, "x")
    await server.expect("ACK")
    answer(server, await server.expect("BYE"), 200)
    await hanging_up
    assert (call.end, call.answered) == ("cancelled", False)


async def test_a_server_that_says_nothing(server: Peer) -> None:
    account = SipAccount(uri="sip:alice@example.org", server=server.address)
    async with SipPhone(account, timers=Timers(t1=0.005)) as phone:
        call = await phone.call("bob@example.org")
        await call.over()
        assert (call.end, call.status) == ("failed", 408)
        assert call.reason == f"The SIP server at {phone.server} does not answer. Check --server and that it runs."


async def test_a_server_that_is_not_there() -> None:
    place = f"127.0.0.1:{free_port()}"
    account = SipAccount(uri="sip:alice@example.org", server=f"{place};transport=tcp")
    async with SipPhone(account) as phone:
        call = await phone.call("bob@example.org")
        await call.over()
        assert call.reason.startswith(f"The SIP server at tcp:{place} cannot be reached. ")
        assert call.reason.endswith("Check --server and that it runs.")


async def test_a_server_whose_name_nobody_knows() -> None:
    account = SipAccount(uri="sip:alice@example.org", server="no-such-host.invalid")
    with pytest.raises(SipServerUnreachable, match=r"no-such-host\.invalid:5060 is not known\. Check --server\."):
        async with SipPhone(account):
            pass


async def test_the_other_side_hangs_up(server: Peer, phone: SipPhone) -> None:
    call = await phone.call("bob@example.org")
    invite = await server.expect("INVITE")
    accept(server, invite, "x")
    ack = await server.expect("ACK")
    tag = ack.get("From").partition("tag=")[2]
    contact = invite.get("Contact").strip("<>")
    fields = [
        ("Via", f"SIP/2.0/UDP {server.address};branch=z9hG4bKbye"),
        ("From", "<sip:bob@example.org>;tag=x"),
        ("To", f"<sip:alice@example.org>;tag={tag}"),
        ("Call-ID", invite.get("Call-ID")),
        ("CSeq", "1 BYE"),
    ]
    host, _, port = contact.partition("@")[2].rpartition(":")
    server.send(write(f"BYE {contact} SIP/2.0", fields), (host, int(port)))
    assert (await server.expect(200)).get("CSeq") == "1 BYE"
    await call.over()
    assert call.end == "hung up there"
