"""Requests and answers over UDP: where answers go, what copies get, who is told."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.message import Response
from ringback.sip import SipAddress, SipTimeout, SipUnreachable, Timers
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import Handler, UdpPeer, until, write
from tests.sip.requests import answer_to, request_of, spawn


async def start(make_endpoint: MakeEndpoint, peer_of: MakePeer, **options: object) -> tuple[Handler, UdpPeer]:
    handler = Handler()
    endpoint = make_endpoint(handler, **options)
    return handler, await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))


async def test_a_call_is_held_deflected_and_acknowledged(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, peer = await start(make_endpoint, peer_of)
    invite = write("INVITE", "Record-Route: <sip:p.example.org;lr>", port=peer.port)
    peer.send(invite)
    trying = await peer.response(100)
    assert trying.to_tag is None
    incoming = await handler.next()
    assert incoming.source == peer.address
    heard: list[bool] = []
    incoming.on_acknowledged = heard.append
    assert incoming.respond(183, body=b"v=0", content_type="application/sdp")
    progress = await peer.response(183)
    assert progress.body == b"v=0"
    assert progress.headers.get("Record-Route") == "<sip:p.example.org;lr>"
    assert progress.contacts[0].uri == f"sip:127.0.0.1:{incoming.local.port}"
    assert progress.headers.get("Server") == "Ringback"
    assert incoming.respond(302, headers=[("Contact", "<sip:bob@example.org>")])
    assert not incoming.respond(480)
    assert incoming.is_over
    final = await peer.response(302)
    assert final.to_tag == progress.to_tag == incoming.to_tag
    peer.send(write("ACK", to=f"<sip:bob@example.org>;tag={final.to_tag}", port=peer.port))
    await until(lambda: heard)
    assert heard == [True]
    assert handler.acks == []
    await peer.nothing()


async def test_copies_of_an_invite_get_the_last_answer_and_reach_nobody(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, peer = await start(make_endpoint, peer_of)
    invite = write("INVITE", port=peer.port)
    peer.send(invite)
    trying = await peer.response(100)
    peer.send(invite)
    await peer.copies(trying, 2)
    (await handler.next()).respond(183)
    progress = await peer.response(183)
    peer.send(invite)
    await peer.copies(progress, 2)
    assert len(handler.requests) == 1


async def test_a_refusal_is_repeated_until_its_ack_comes(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, peer = await start(make_endpoint, peer_of, timers=Timers(t1=0.05))
    peer.send(write("INVITE", port=peer.port))
    await peer.response(100)
    (await handler.next()).respond(480)
    answer = await peer.response(480)
    await peer.copies(answer, 3)
    peer.send(write("ACK", to=f"<sip:bob@example.org>;tag={answer.to_tag}", port=peer.port))
    await until(lambda: not handler.requests[0].wants_more)


async def test_a_refusal_without_ack_ends_and_is_counted(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler = Handler(lambda incoming: incoming.respond(480))
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    heard: list[bool] = []
    peer.send(write("INVITE", port=peer.port))
    (await handler.next()).on_acknowledged = heard.append
    await until(lambda: heard)
    assert heard == [False]
    assert endpoint.counters.refused["unacknowledged"] == 1
    assert endpoint.transactions == 0


async def test_the_ack_to_a_2xx_reaches_the_handler_and_stops_its_repetitions(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, peer = await start(make_endpoint, peer_of, timers=Timers(t1=0.05))
    peer.send(write("INVITE", port=peer.port))
    await peer.response(100)
    incoming = await handler.next()
    heard: list[bool] = []
    incoming.on_acknowledged = heard.append
    incoming.respond(200, body=b"v=0", content_type="application/sdp")
    answer = await peer.response(200)
    await peer.copies(answer, 2)
    ack = write("ACK", branch="z9hG4bKack", to=f"<sip:bob@example.org>;tag={answer.to_tag}", port=peer.port)
    peer.send(ack)
    await until(lambda: heard)
    await until(lambda: handler.acks)
    assert heard == [True]
    peer.send(ack)
    await until(lambda: len(handler.acks) == 2)
    assert heard == [True]


async def test_a_request_is_answered_again_but_handled_once(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, peer = await start(make_endpoint, peer_of)
    message = write("MESSAGE", port=peer.port)
    peer.send(message)
    (await handler.next()).respond(202)
    first = await peer.response(202)
    peer.send(message)
    await peer.copies(first, 2)
    assert len(handler.requests) == 1


async def test_answers_go_to_where_the_request_came_from_when_rport_is_asked_for(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, peer = await start(make_endpoint, peer_of)
    peer.send(write("OPTIONS", via="SIP/2.0/UDP 192.0.2.1:5099;branch=z9hG4bKx;rport;received=198.51.100.1"))
    answer = await peer.response(200)
    assert answer.via.received == "127.0.0.1"
    assert answer.via.rport == peer.port
    assert (answer.via.host, answer.via.port) == ("192.0.2.1", 5099)
    assert handler.requests == []


async def test_answers_go_to_the_port_of_via_when_rport_is_not_asked_for(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    endpoint = make_endpoint()
    address = await endpoint.listen("udp", "127.0.0.1", 0)
    sender, named = await peer_of(address), await peer_of(address)
    sender.send(write("OPTIONS", via=f"SIP/2.0/UDP host.example.org:{named.port};branch=z9hG4bKx;maddr=192.0.2.1"))
    answer = await named.response(200)
    assert answer.via.received == "127.0.0.1"
    assert answer.via.rport is None
    await sender.nothing()


async def test_via_from_and_call_id_are_sent_back_as_they_were_written(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    _, peer = await start(make_endpoint, peer_of)
    odd = '"B\udce9a, \\"x\\"" <sip:a@example.org> ;  tag=A1'
    via = 'SIP / 2.0 / UDP  127.0.0.1:{port} ; branch=z9hG4bKx, SIP/2.0/TCP  other.example.org ;x="y" '
    peer.send(write("OPTIONS", via=via, from_=odd, port=peer.port))
    answer = await peer.response(200)
    assert answer.headers.get("From") == odd
    assert answer.headers.elements("Via")[1] == 'SIP/2.0/TCP  other.example.org ;x="y"'


async def test_an_answer_to_a_request_of_ours(make_endpoint: MakeEndpoint) -> None:
    server, client = make_endpoint(Handler(lambda incoming: incoming.respond(200))), make_endpoint()
    address = await server.listen("udp", "127.0.0.1", 0)
    await client.listen("udp", "0.0.0.0", 0)
    answer = await client.send(request_of("MESSAGE"), address)
    assert answer.status == 200
    assert answer.via.host == "127.0.0.1", "the address on the way there, not the one listened on"


async def test_a_name_leads_to_the_address_that_a_socket_of_ours_reaches(make_endpoint: MakeEndpoint) -> None:
    server, client = make_endpoint(Handler(lambda incoming: incoming.respond(200))), make_endpoint()
    address = await server.listen("udp", "127.0.0.1", 0)
    await client.listen("udp", "127.0.0.1", 0)
    answer = await client.send(request_of("MESSAGE"), SipAddress("udp", "localhost", address.port))
    assert answer.status == 200


async def test_a_request_without_an_answer_times_out(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    client = make_endpoint(timers=Timers(t1=0.1, t2=0.4))  # 6.4 s, of which the machine may stand still for some
    peer = await peer_of(await client.listen("udp", "127.0.0.1", 0))
    with pytest.raises(SipTimeout):
        await client.send(request_of("MESSAGE"), peer.address)
    assert len(peer.raw) > 5
    assert len(set(peer.raw)) == 1, "each copy is the same"
    assert client.transactions == 0


async def test_provisional_answers_are_told_and_copies_of_the_final_one_are_not(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    client = make_endpoint()
    peer = await peer_of(await client.listen("udp", "127.0.0.1", 0))
    heard: list[Response] = []
    task = spawn(client.send(request_of("MESSAGE"), peer.address, on_provisional=heard.append))
    request = await peer.request("MESSAGE")
    for status in (100, 182, 202, 202):
        peer.send(answer_to(request, status))
    assert (await task).status == 202
    assert [one.status for one in heard] == [100, 182]


async def test_an_answer_to_nothing_is_counted_and_forgotten(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    client = make_endpoint()
    peer = await peer_of(await client.listen("udp", "127.0.0.1", 0))
    task = spawn(client.send(request_of("MESSAGE"), peer.address))
    request = await peer.request("MESSAGE")
    good = answer_to(request, 200)
    branch = request.via.branch.encode()
    peer.send(good.replace(branch, b"z9hG4bKguessed"))
    peer.send(good.replace(b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE"))
    peer.send(good.replace(request.call_id.encode(), b"another-call"))
    await until(lambda: client.counters.refused["unmatched_response"] == 3)
    assert not task.done()
    peer.send(good)
    assert (await task).status == 200


async def test_a_request_that_nobody_waits_for_any_more_is_not_sent_again(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    client = make_endpoint()
    peer = await peer_of(await client.listen("udp", "127.0.0.1", 0))
    task = spawn(client.send(request_of("MESSAGE"), peer.address))
    await peer.request("MESSAGE")
    task.cancel()
    await until(lambda: task.done() and client.transactions == 0)


async def test_there_is_no_way_without_a_socket(make_endpoint: MakeEndpoint) -> None:
    client = make_endpoint()
    with pytest.raises(SipUnreachable):
        await client.send(request_of("MESSAGE"), SipAddress("udp", "127.0.0.1", 9))
    await client.listen("udp", "127.0.0.1", 0)
    with pytest.raises(SipUnreachable):
        await client.send(request_of("MESSAGE"), SipAddress("udp", "::1", 9))
    with pytest.raises(SipUnreachable):
        await client.send(request_of("MESSAGE"), SipAddress("udp", "no-such-host.invalid", 9))


async def test_what_is_longer_than_a_datagram_is_refused_here(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    client = make_endpoint()
    peer = await peer_of(await client.listen("udp", "127.0.0.1", 0))
    request = request_of("MESSAGE")
    request.body = b"x" * 70_000
    with pytest.raises(SipUnreachable):
        await client.send(request, peer.address)


async def test_ipv6(make_endpoint: MakeEndpoint) -> None:
    server, client = make_endpoint(Handler(lambda incoming: incoming.respond(200))), make_endpoint()
    address = await server.listen("udp", "::1", 0)
    await client.listen("udp", "::1", 0)
    answer = await client.send(request_of("SUBSCRIBE"), address)
    assert answer.via.host == "::1"
