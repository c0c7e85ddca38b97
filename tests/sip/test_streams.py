"""TCP and TLS: connections that are used again, lost, idle, slow, too many."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from ringback.sip import IncomingRequest, SipAddress, SipUnreachable
from ringback.sip.transports import StreamFlow
from ringback.testing.certificates import Authority
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import Handler, StreamPeer, until, write
from tests.sip.requests import answer_to, request_of, spawn

Connect = Callable[..., Awaitable[StreamPeer]]
VIA = StreamPeer.via


def accept(incoming: IncomingRequest) -> None:
    incoming.respond(200)


async def test_a_call_over_tcp_repeats_nothing(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(write("INVITE", via=VIA, port=peer.port))
    await peer.response(100)
    incoming = await handler.next()
    heard: list[bool] = []
    incoming.on_acknowledged = heard.append
    incoming.respond(302)
    await peer.response(302)
    await until(lambda: heard)
    assert heard == [False], "timer H runs here too"
    assert len(peer.raw) == 2
    assert endpoint.transactions == 0


async def test_messages_may_come_in_pieces_or_together(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint()
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    one = write("OPTIONS", via=VIA, port=peer.port, call_id="one", body=b"\r\n\r\nOPTIONS")
    two = write("OPTIONS", via=VIA, port=peer.port, branch="z9hG4bK2", call_id="two")
    for place in range(0, len(one), 40):
        peer.send(one[place : place + 40])
        await asyncio.sleep(0)
    assert (await peer.response(200)).call_id == "one"
    peer.send(two + one + two[:50])
    assert [(await peer.response(200)).call_id] == ["two"]
    await until(lambda: len(peer.raw) == 3)
    peer.send(two[50:])
    await until(lambda: len(peer.raw) == 4)


async def test_a_ping_gets_its_pong(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint()
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(b"\r\n\r\n")
    await until(lambda: peer.pongs == 1)
    await peer.nothing()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"NONSENSE sip:x SIP/2.0\r\nContent-Length: x\r\n\r\n", "malformed"),
        (write("OPTIONS").replace(b"Content-Length: 0\r\n", b""), "malformed"),
        (write("OPTIONS").replace(b"Content-Length: 0", b"Content-Length: 99999999"), "oversize"),
        (b"x" * 3000, "oversize"),
    ],
)
async def test_a_stream_that_cannot_be_followed_any_more_is_closed(
    make_endpoint: MakeEndpoint, connect: Connect, data: bytes, reason: str
) -> None:
    endpoint = make_endpoint(message_bytes=2000)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(data)
    await until(lambda: peer.is_closed)
    assert endpoint.counters.refused == {reason: 1}


async def test_what_came_before_the_nonsense_is_answered(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(Handler(accept))
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    long = write("MESSAGE", via=VIA, port=peer.port, call_id="long", body=b"x" * 50_000)
    after = write("MESSAGE", via=VIA, port=peer.port, branch="z9hG4bK2", call_id="after")
    peer.send(long + b"\r\n\r\nno SIP\r\n\r\n" + after)
    assert (await peer.response(200)).call_id == "long"
    await until(lambda: peer.is_closed)
    assert (peer.pongs, len(peer.raw)) == (1, 1)
    assert endpoint.counters.refused == {"malformed": 1}


async def test_who_sends_nonsense_and_reads_no_answers_is_not_waited_for(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    answering = Handler(lambda incoming: incoming.respond(200, body=b"x" * 1_000_000))
    endpoint = make_endpoint(answering, message_seconds=0.2, unsent_bytes=1_000_000_000)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.transport.pause_reading()
    asked = [write("MESSAGE", via=VIA, port=peer.port, branch=f"z9hG4bK{n}", call_id=f"{n}") for n in range(30)]
    peer.send(b"".join(asked) + b"no SIP\r\n\r\n")
    await until(lambda: endpoint.counters.refused)
    assert endpoint.connections == 1
    await until(lambda: endpoint.connections == 0)
    assert endpoint.counters.refused == {"malformed": 1}


async def test_a_bad_message_in_a_good_frame_closes_nothing(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint()
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(write("OPTIONS", via=VIA, port=peer.port).replace(b"Max-Forwards: 70", b"Max-Forwards: x"))
    await peer.response(400)
    await peer.nothing()


async def test_a_connection_on_which_nothing_comes_is_closed(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(idle_seconds=0.1)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    await until(lambda: peer.is_closed)
    assert endpoint.counters.refused == {"idle": 1}


async def test_a_message_that_does_not_end_closes_the_connection(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(message_seconds=0.2)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))

    async def drip() -> None:
        for byte in write("OPTIONS"):
            peer.send(bytes([byte]))
            await asyncio.sleep(0.05)

    task = spawn(drip())
    await until(lambda: peer.is_closed)
    task.cancel()
    assert endpoint.counters.refused == {"slow": 1}


async def test_a_connection_is_refused_for_one_reason_once(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    """The wheel may come again, and more bytes may, before the loop says that the connection is lost."""
    handler = Handler()
    endpoint = make_endpoint(handler)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(write("MESSAGE", via=VIA, port=peer.port))
    await until(lambda: handler.requests)
    flow = handler.requests[0].flow
    assert isinstance(flow, StreamFlow)
    flow.refuse("slow")
    flow.refuse("idle")
    await until(lambda: flow.is_closed)
    assert endpoint.counters.refused == {"slow": 1}


async def test_whoever_does_not_read_is_closed(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(Handler(lambda one: one.respond(200, body=b"x" * 60_000)), unsent_bytes=100_000)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.transport.pause_reading()

    async def ask() -> None:
        number = 0
        while not peer.is_closed and not endpoint.counters.refused["slow"]:
            number += 1
            peer.send(write("MESSAGE", via=VIA, port=peer.port, branch=f"z9hG4bK{number}", call_id=str(number)))
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await ask()
    assert endpoint.counters.refused["slow"] >= 1


async def test_one_address_may_not_take_all_connections(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(connections_of_one=2)
    address = await endpoint.listen("tcp", "127.0.0.1", 0)
    peers = [await connect(address) for _ in range(3)]
    await until(lambda: sum(peer.is_closed for peer in peers) == 1)
    assert endpoint.counters.refused == {"connections": 1}
    next(peer for peer in peers if not peer.is_closed).close()
    await until(lambda: sum(peer.is_closed for peer in peers) == 2)
    again = await connect(address)
    await again.nothing()


async def test_a_trusted_address_may_have_more_but_not_more_than_all(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = make_endpoint(connections_of_one=1, connections=2, trusted=["127.0.0.1"])
    address = await endpoint.listen("tcp", "127.0.0.1", 0)
    peers = [await connect(address) for _ in range(3)]
    await until(lambda: sum(peer.is_closed for peer in peers) == 1)
    assert endpoint.counters.refused == {"connections": 1}


async def test_one_connection_serves_many_requests_both_ways(make_endpoint: MakeEndpoint) -> None:
    seen: list[SipAddress] = []

    def answer(incoming: IncomingRequest) -> None:
        seen.append(incoming.source)
        incoming.respond(200)

    server, client = make_endpoint(Handler(answer)), make_endpoint(Handler(accept))
    address = await server.listen("tcp", "127.0.0.1", 0)
    await asyncio.gather(*(client.send(request_of("MESSAGE", call_id=str(one)), address) for one in range(10)))
    assert len(set(seen)) == 1
    answered = await server.send(request_of("MESSAGE"), seen[0])
    assert answered.status == 200, "the server's own request goes back on the client's connection"


async def test_an_answer_finds_another_way_when_its_connection_is_gone(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    listening: list[StreamPeer] = []

    def accepted() -> StreamPeer:
        listening.append(StreamPeer())
        return listening[-1]

    server = await loop.create_server(accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    peer.send(write("MESSAGE", via=VIA, port=port))
    incoming = await handler.next()
    peer.close()
    await until(lambda: not endpoint.connections)
    incoming.respond(200)
    await until(lambda: listening and listening[0].raw)
    assert (await listening[0].response(200)).call_id == "call-1"
    server.close()


async def test_an_answer_without_any_way_back_is_counted(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(write("MESSAGE", via="SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK1"))
    incoming = await handler.next()
    peer.close()
    await until(lambda: not endpoint.connections)
    incoming.respond(200)
    await until(lambda: endpoint.counters.refused["unsendable"] == 1)


async def test_a_request_on_a_connection_that_is_lost_fails_at_once(make_endpoint: MakeEndpoint) -> None:
    client = make_endpoint()
    made: list[StreamPeer] = []

    def accepted() -> StreamPeer:
        made.append(StreamPeer())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0)
    address = SipAddress("tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
    task = spawn(client.send(request_of("MESSAGE"), address))
    await until(lambda: made and made[0].raw)
    made[0].close()
    with pytest.raises(SipUnreachable):
        await task
    assert client.transactions == 0
    server.close()


async def test_where_nobody_listens_a_request_fails_at_once(make_endpoint: MakeEndpoint) -> None:
    client = make_endpoint()
    with pytest.raises(SipUnreachable, match=r"^No connection could be made: Connection refused\.$"):
        await client.send(request_of("MESSAGE"), SipAddress("tcp", "127.0.0.1", 1))
    with pytest.raises(SipUnreachable):
        await client.send(request_of("MESSAGE"), SipAddress("tls", "127.0.0.1", 1))


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"", r"There is no answer in 0\.3 s\."), (b"SIP/2.0 400\r\n\r\n", r"TLS could not be agreed on: .+\.")],
)
async def test_whoever_speaks_no_tls_is_told_from_who_is_silent(
    make_endpoint: MakeEndpoint, client_tls: ssl.SSLContext, said: bytes, reason: str
) -> None:
    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    client = make_endpoint(tls=client_tls, connect_seconds=0.3)
    with pytest.raises(SipUnreachable, match=f"^{reason}$"):
        await client.send(request_of("MESSAGE"), SipAddress("tls", *server.sockets[0].getsockname()))
    server.close()


async def test_whoever_gives_up_on_a_connection_leaves_it_to_the_others(make_endpoint: MakeEndpoint) -> None:
    server, client = make_endpoint(Handler(accept)), make_endpoint()
    address = await server.listen("tcp", "127.0.0.1", 0)
    first = spawn(client.send(request_of("MESSAGE", call_id="first"), address))
    second = spawn(client.send(request_of("MESSAGE", call_id="second"), address))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200
    assert client.connections == 1


async def test_a_call_over_tls(
    make_endpoint: MakeEndpoint, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    handler = Handler(accept)
    server, client = make_endpoint(handler), make_endpoint(tls=client_tls)
    address = await server.listen("tls", "127.0.0.1", 0, ssl=server_tls)
    answer = await client.send(request_of("MESSAGE"), SipAddress("tls", "localhost", address.port))
    assert answer.status == 200
    assert handler.requests[0].source.transport == "tls"
    assert handler.requests[0].request.via.transport == "TLS"


async def test_a_certificate_for_another_name_is_not_accepted(
    make_endpoint: MakeEndpoint, authority: Authority, client_tls: ssl.SSLContext
) -> None:
    files = authority.server(["elsewhere.example.org"], file="elsewhere")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server, client = make_endpoint(), make_endpoint(tls=client_tls)
    address = await server.listen("tls", "127.0.0.1", 0, ssl=context)
    with pytest.raises(SipUnreachable, match=r"certificate is not trusted: .*not valid for '127\.0\.0\.1'\.$"):
        await client.send(request_of("MESSAGE"), address)


async def test_plain_text_on_a_tls_port_disturbs_nobody(
    make_endpoint: MakeEndpoint, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    server = make_endpoint(Handler(accept))
    address = await server.listen("tls", "127.0.0.1", 0, ssl=server_tls)
    rude = await connect(address)
    rude.send(write("OPTIONS"))
    await until(lambda: rude.is_closed)
    polite = await connect(address, tls=client_tls)
    await polite.nothing()


async def test_tls_needs_a_certificate_and_only_tls(make_endpoint: MakeEndpoint, server_tls: ssl.SSLContext) -> None:
    endpoint = make_endpoint()
    with pytest.raises(ValueError, match="certificate"):
        await endpoint.listen("tls", "127.0.0.1", 0)
    with pytest.raises(ValueError, match="certificate"):
        await endpoint.listen("tcp", "127.0.0.1", 0, ssl=server_tls)


async def test_udp_and_tcp_share_a_port_and_contact_says_which(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, connect: Connect
) -> None:
    handler = Handler(lambda incoming: incoming.respond(183))
    endpoint = make_endpoint(handler, advertised="sip.example.org:5070")
    udp, tcp = await endpoint.listen_on_both("127.0.0.1", 0)
    assert (udp.transport, tcp.transport, udp.port) == ("udp", "tcp", tcp.port)
    datagrams, stream = await peer_of(udp), await connect(tcp)
    datagrams.send(write("INVITE", port=datagrams.port))
    assert (await datagrams.response(183)).contacts[0].uri == "sip:sip.example.org:5070"
    stream.send(write("INVITE", via=VIA, port=stream.port, call_id="over-tcp"))
    assert (await stream.response(183)).contacts[0].uri == "sip:sip.example.org:5070;transport=tcp"


async def test_ours_is_filled_in_where_a_contact_says_here(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    endpoint = make_endpoint(advertised="sip.example.org")
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    ours = f"sip.example.org:{peer.to.port}"
    for request, expected in [
        (request_of("SUBSCRIBE"), f"<sip:{ours}>"),
        (request_of("REGISTER", ("Contact", "<sip:bob@here.invalid>;expires=5")), f"<sip:bob@{ours}>;expires=5"),
        (request_of("MESSAGE"), None),
    ]:
        before = request.encode()
        task = spawn(endpoint.send(request, peer.address))
        sent = await peer.request(request.method)
        peer.send(answer_to(sent, 200))
        await task
        assert request.encode() == before
        assert sent.headers.get("Contact") == expected
