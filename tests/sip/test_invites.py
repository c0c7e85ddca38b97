"""INVITEs of ours: refusals are acknowledged by the endpoint, answers by whoever calls; CANCEL; several phones."""

from __future__ import annotations

from ringback.protocols.sip.dialog import Dialog
from ringback.protocols.sip.message import Request, Response
from ringback.sip import OutgoingTransaction, SipEndpoint, SipFailure, SipTimeout, Timers
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import UdpPeer, until
from tests.sip.requests import answer_to, request_of


class Caller:
    """One INVITE, and what came of it."""

    def __init__(self, endpoint: SipEndpoint, peer: UdpPeer) -> None:
        self.endpoint = endpoint
        self.peer = peer
        self.heard: list[Response] = []
        self.failures: list[SipFailure] = []

    async def call(self) -> tuple[OutgoingTransaction, Request]:
        transaction = await self.endpoint.start(
            request_of("INVITE"), self.peer.address, on_response=self.heard.append, on_failure=self.failures.append
        )
        return transaction, await self.peer.request("INVITE")

    @property
    def statuses(self) -> list[int]:
        return [one.status for one in self.heard]


async def caller(make_endpoint: MakeEndpoint, peer_of: MakePeer, timers: Timers | None = None) -> Caller:
    endpoint = make_endpoint(timers=timers)
    return Caller(endpoint, await peer_of(await endpoint.listen("udp", "127.0.0.1", 0)))


async def test_a_refusal_is_acknowledged_each_time_it_comes(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    one = await caller(make_endpoint, peer_of)
    _, invite = await one.call()
    assert invite.contacts[0].uri == f"sip:127.0.0.1:{one.peer.to.port}"
    for status in (100, 183):
        one.peer.send(answer_to(invite, status))
    refusal = answer_to(invite, 486)
    one.peer.send(refusal)
    ack = await one.peer.request("ACK")
    assert ack.via.branch == invite.via.branch
    assert ack.to_tag == "theirs"
    assert (ack.uri, ack.cseq.number, ack.call_id) == (invite.uri, 1, invite.call_id)
    one.peer.send(refusal)
    await one.peer.copies(ack, 2)
    assert one.statuses == [100, 183, 486]


async def test_a_cancel_has_the_branch_of_its_invite(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    one = await caller(make_endpoint, peer_of)
    transaction, invite = await one.call()
    one.peer.send(answer_to(invite, 180))
    await until(lambda: one.heard)
    one.endpoint.cancel(transaction)
    cancel = await one.peer.request("CANCEL")
    assert cancel.via.branch == invite.via.branch
    assert cancel.headers.get("To") == invite.headers.get("To")
    assert cancel.cseq.number == 1
    one.peer.send(answer_to(cancel, 200))
    one.peer.send(answer_to(invite, 487))
    await one.peer.request("ACK")
    assert one.statuses == [180, 487]
    one.endpoint.cancel(transaction)
    await one.peer.nothing()


async def test_a_cancelled_invite_without_an_answer_ends(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    one = await caller(make_endpoint, peer_of, SHORT)
    transaction, invite = await one.call()
    one.peer.send(answer_to(invite, 180))
    await until(lambda: one.heard)
    one.endpoint.cancel(transaction)
    await until(lambda: one.failures)
    assert isinstance(one.failures[0], SipTimeout)
    await until(lambda: one.endpoint.transactions == 0)


async def test_an_invite_that_nobody_answers_ends(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    one = await caller(make_endpoint, peer_of, SHORT)
    await one.call()
    await until(lambda: one.failures)
    assert isinstance(one.failures[0], SipTimeout)
    assert one.endpoint.transactions == 0
    assert one.heard == []


async def test_one_that_rings_goes_on_ringing(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    one = await caller(make_endpoint, peer_of, SHORT)
    _, invite = await one.call()
    one.peer.send(answer_to(invite, 180))
    await until(lambda: one.heard)
    second = Caller(one.endpoint, one.peer)
    await second.endpoint.start(
        request_of("INVITE", call_id="silent"),
        one.peer.address,
        on_response=second.heard.append,
        on_failure=second.failures.append,
    )
    await until(lambda: second.failures)
    assert one.failures == [], "64*T1 went by, but somebody rings"
    one.peer.send(answer_to(invite, 200))
    await until(lambda: one.statuses == [180, 200])


async def test_each_phone_that_answers_is_told_and_so_is_each_copy(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    one = await caller(make_endpoint, peer_of)
    _, invite = await one.call()
    contact = ("Contact", f"<sip:bob@127.0.0.1:{one.peer.port}>")
    one.peer.send(answer_to(invite, 183, tag="first"))
    one.peer.send(answer_to(invite, 180, tag="second"))
    for tag in ("second", "first", "second"):
        one.peer.send(answer_to(invite, 200, contact, tag=tag))
    await until(lambda: len(one.heard) == 5)
    assert [one.to_tag for one in one.heard] == ["first", "second", "second", "first", "second"]
    dialog = Dialog.as_caller(invite, one.heard[2])
    await one.endpoint.transmit(dialog.request("ACK", number=invite.cseq.number), one.peer.address)
    ack = await one.peer.request("ACK")
    assert ack.to_tag == "second"
    assert ack.uri == contact[1].strip("<>")
    assert ack.via.branch != invite.via.branch
    assert ack.cseq.number == 1
