"""CANCEL, PRACK and everything else that is about another request: what fits, and what only looks as if."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.message import Request
from ringback.sip import SipEndpoint, Timers
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import Handler, UdpPeer, until, write


async def ring(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, *more: str, **options: object
) -> tuple[Handler, SipEndpoint, UdpPeer]:
    """An INVITE that waits for its final answer."""
    handler = Handler()
    endpoint = make_endpoint(handler, **options)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write("INVITE", *more, port=peer.port))
    await peer.response(100)
    await handler.next()
    return handler, endpoint, peer


async def test_a_cancel_gets_200_and_the_invite_487(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await ring(make_endpoint, peer_of)
    incoming = handler.requests[0]
    told: list[str] = []
    incoming.on_cancel = lambda: told.append("cancelled")
    peer.send(write("CANCEL", port=peer.port))
    first, second = await peer.message(), await peer.message()
    assert [(one.status, one.cseq.method) for one in (first, second)] == [(200, "CANCEL"), (487, "INVITE")]  # type: ignore[union-attr]
    assert first.to_tag == second.to_tag == incoming.to_tag
    assert told == ["cancelled"]
    assert not incoming.respond(302)
    peer.send(write("CANCEL", port=peer.port))
    await peer.copies(first, 2)
    assert told == ["cancelled"]
    peer.send(write("ACK", to=f"<sip:bob@example.org>;tag={second.to_tag}", port=peer.port))
    await until(lambda: not incoming.wants_more)
    assert endpoint.held_calls == 0
    assert len(handler.requests) == 1


async def test_a_cancel_that_comes_too_late_gets_200_and_changes_nothing(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of)
    told: list[str] = []
    handler.requests[0].on_cancel = lambda: told.append("cancelled")
    handler.requests[0].respond(302)
    await peer.response(302)
    peer.send(write("CANCEL", port=peer.port))
    assert (await peer.response(200)).cseq.method == "CANCEL"
    await peer.nothing()
    assert told == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"branch": "z9hG4bKother"}, "unmatched_cancel"),
        ({"via": "SIP/2.0/UDP 192.0.2.1:{port};branch={branch};rport"}, "unmatched_cancel"),
        ({"via": "SIP/2.0/UDP 127.0.0.1:9;branch={branch};rport"}, "unmatched_cancel"),
        ({"call_id": "other"}, "unmatched_cancel"),
        ({"number": 2}, "unmatched_cancel"),
        ({"from_": "<sip:alice@example.org>;tag=a2"}, "forged"),
    ],
)
async def test_a_cancel_that_does_not_fit_moves_nothing(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, changed: dict[str, object], reason: str
) -> None:
    handler, endpoint, peer = await ring(make_endpoint, peer_of)
    told: list[str] = []
    handler.requests[0].on_cancel = lambda: told.append("cancelled")
    peer.send(write("CANCEL", **{"port": peer.port, **changed}))  # type: ignore[arg-type]
    await peer.response(481)
    await peer.nothing()
    assert endpoint.counters.refused == {reason: 1}
    assert told == []
    assert not handler.requests[0].is_over


async def test_a_cancel_from_another_address_moves_nothing(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await ring(make_endpoint, peer_of)
    forger = await UdpPeer.open(handler.requests[0].local, "127.0.0.2")
    try:
        forger.send(write("CANCEL", port=peer.port))
        await forger.response(481)
    finally:
        forger.close()
    assert endpoint.counters.refused == {"forged": 1}
    assert not handler.requests[0].is_over


async def test_an_ack_with_another_branch_stops_no_refusal(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of, timers=Timers(t1=0.05))
    handler.requests[0].respond(486)
    final = await peer.response(486)
    peer.send(write("ACK", branch="z9hG4bKother", to=f"<sip:bob@example.org>;tag={final.to_tag}", port=peer.port))
    await until(lambda: handler.acks)
    await peer.copies(final, 3)
    assert handler.requests[0].wants_more


async def test_an_ack_from_another_address_stops_no_refusal(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await ring(make_endpoint, peer_of, timers=Timers(t1=0.05))
    handler.requests[0].respond(486)
    final = await peer.response(486)
    forger = await UdpPeer.open(handler.requests[0].local, "127.0.0.2")
    try:
        forger.send(write("ACK", to=f"<sip:bob@example.org>;tag={final.to_tag}", port=peer.port))
        await until(lambda: endpoint.counters.refused["forged"] == 1)
    finally:
        forger.close()
    await peer.copies(final, 3)
    assert handler.requests[0].wants_more
    assert handler.acks == []


async def test_a_peer_without_the_magic_cookie_can_call_and_cancel(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    via = "SIP/2.0/UDP 127.0.0.1:{port}"
    invite = write("INVITE", via=via, port=peer.port)
    peer.send(invite)
    trying = await peer.response(100)
    peer.send(invite)
    await peer.copies(trying, 2)
    peer.send(write("INVITE", via=via, port=peer.port, call_id="another"))
    assert (await peer.response(100)).call_id == "another"
    peer.send(write("CANCEL", via=via, port=peer.port))
    await peer.response(200)
    final = await peer.response(487)
    peer.send(write("ACK", via=via, to=f"<sip:bob@example.org>;tag={final.to_tag}", port=peer.port))
    await until(lambda: not handler.requests[0].wants_more)
    assert len(handler.requests) == 2
    assert not handler.requests[1].is_over


async def test_a_reliable_answer_is_repeated_until_its_prack(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of, "Supported: timer, 100rel", timers=Timers(t1=0.05))
    incoming = handler.requests[0]
    assert incoming.takes_reliable
    assert incoming.respond_reliably(183, body=b"v=0", content_type="application/sdp")
    progress = await peer.response(183)
    rseq = int(progress.headers.get("RSeq") or 0)
    assert progress.headers.get("Require") == "100rel"
    await peer.copies(progress, 3)
    dialog = f"<sip:bob@example.org>;tag={incoming.to_tag}"
    wrong = write("PRACK", f"RAck: {rseq + 1} 1 INVITE", branch="z9hG4bKp0", number=2, to=dialog, port=peer.port)
    peer.send(wrong)
    await peer.response(481)
    right = write("PRACK", f"RAck: {rseq} 1 INVITE", branch="z9hG4bKp1", number=3, to=dialog, port=peer.port)
    peer.send(right)
    done = await peer.response(200)
    peer.send(right)
    await peer.copies(done, 2)
    again = write("PRACK", f"RAck: {rseq} 1 INVITE", branch="z9hG4bKp2", number=4, to=dialog, port=peer.port)
    peer.send(again)
    await peer.response(481)
    assert incoming.respond(302)
    await peer.response(302)


async def test_reliable_answers_wait_for_each_other_and_a_2xx_for_them(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of, "Require: 100rel")
    incoming = handler.requests[0]
    pracks = []

    def heard(prack: Request) -> bytes:
        pracks.append(prack)
        return b"v=2"

    incoming.on_confirmed = heard
    assert incoming.respond_reliably(183, body=b"v=0", content_type="application/sdp")
    assert incoming.respond_reliably(180)
    assert incoming.respond(200, body=b"v=1", content_type="application/sdp")
    assert not incoming.is_over
    first = await peer.response(183)
    await peer.nothing()
    dialog = f"<sip:bob@example.org>;tag={incoming.to_tag}"
    rseq = int(first.headers.get("RSeq") or 0)
    peer.send(write("PRACK", f"RAck: {rseq} 1 INVITE", branch="z9hG4bKp1", number=2, to=dialog, port=peer.port))
    assert (await peer.response(200)).body == b"v=2", "the answer to what the PRACK offers"
    second = await peer.response(180)
    assert second.headers.get("RSeq") == str(rseq + 1)
    final = await peer.response(200)
    assert final.body == b"v=1"
    assert [one.method for one in pracks] == ["PRACK"]


async def test_a_reliable_answer_that_nobody_confirms_ends_the_call(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, endpoint, peer = await ring(make_endpoint, peer_of, "Supported: 100rel", timers=SHORT)
    told: list[str] = []
    handler.requests[0].on_cancel = lambda: told.append("gone")
    handler.requests[0].respond_reliably(183)
    await peer.response(183)
    await peer.response(504)
    assert told == ["gone"]
    assert endpoint.counters.refused["unacknowledged"] == 1


async def test_without_100rel_a_plain_answer_is_given(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of)
    assert handler.requests[0].respond_reliably(183)
    progress = await peer.response(183)
    assert "RSeq" not in progress.headers
    assert "Require" not in progress.headers


@pytest.mark.parametrize(("line", "status"), [("RAck: 1 1 INVITE", 481), ("RAck: nonsense", 400), ("X: y", 400)])
async def test_a_prack_for_nothing_is_refused(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, line: str, status: int
) -> None:
    handler, _, peer = await ring(make_endpoint, peer_of)
    peer.send(write("PRACK", line, branch="z9hG4bKp", number=2, to="<sip:bob@example.org>;tag=x", port=peer.port))
    await peer.response(status)
    assert len(handler.requests) == 1
