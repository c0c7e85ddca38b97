"""Requests and answers when all is well: every shape of a body, heads, trailers, urgent ones, cancelled ones."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from ringback.http2 import MOST_BODY, NotSent, OutcomeUnknown, Request
from tests.http2.conftest import MakePool
from tests.http2.server import CONTINUATION, HEADERS, LIMIT, WINDOW, Peer, Received, frame, scripted, until

PUSH = Request(b"/3/device/ab", ((b"apns-topic", b"com.example.bank"), (b"apns-id", b"1")), b'{"aps":{}}')


async def test_a_request_is_what_the_server_gets_and_its_answer_is_what_comes_back(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        headers = [(b"apns-id", b"1"), (b"x", b"a"), (b"x", b"b")]
        peer.reply(request.stream, 410, b'{"reason":"Unregistered"}', headers)

    async with scripted(server_tls, on_request=answer) as server:
        answered = await make_pool(server.port).send(PUSH, timeout_seconds=20)
        [received] = server.received
    assert received.fields == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"127.0.0.1:%d" % server.port),
        (b":path", b"/3/device/ab"),
        *PUSH.headers,
    ]
    assert received.body == PUSH.body
    assert (answered.status, answered.body) == (410, b'{"reason":"Unregistered"}')
    assert answered.headers == {b"apns-id": b"1", b"x": b"a, b"}


async def test_many_requests_share_a_connection_and_each_gets_its_own_answer(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        peer.reply(request.stream, 200, bytes(request.body))

    async with scripted(server_tls, on_request=answer) as server:
        pool = make_pool(server.port)
        bodies = [b"%d" % number for number in range(200)]
        sent = [pool.send(Request(b"/x", (), body), timeout_seconds=20) for body in bodies]
        assert [answered.body for answered in await asyncio.gather(*sent)] == bodies
        assert pool.statistics().answered == 200
        assert pool.statistics().in_flight == 0
        assert sum(len(peer.requests) for peer in server.peers) == 200


async def test_a_request_without_a_body_ends_with_its_head(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls) as server:
        answered = await make_pool(server.port).send(Request(b"/x", (), method=b"GET"), timeout_seconds=20)
        assert (answered.status, server.received[0].headers[b":method"]) == (200, b"GET")


async def test_a_body_larger_than_the_windows_arrives_whole(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    body = bytes(range(256)) * 1_000
    async with scripted(server_tls, settings={WINDOW: 100, LIMIT: 100}) as server:
        pool = make_pool(server.port)
        await asyncio.gather(*[pool.send(Request(b"/x", (), body), timeout_seconds=20) for _ in range(3)])
        assert [bytes(request.body) for request in server.received] == [body] * 3


async def test_a_large_answer_is_read_to_the_limit_and_its_place_is_free_again(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        peer.h2.send_headers(request.stream, [(b":status", b"200")])
        for _ in range(4):
            peer.h2.send_data(request.stream, b"x" * 16_000)
        peer.flush()

    def rest(peer: Peer) -> bool:
        """Sends one byte more, again and again, as the client widens the window."""
        [request] = server.received
        if request.stream not in peer.resets and peer.h2.local_flow_control_window(request.stream) > 2_000:
            peer.h2.send_data(request.stream, b"x" * 2_000)
            peer.flush()
        return answered.done()

    async with scripted(server_tls, on_request=answer, settings={LIMIT: 1}) as server:
        pool = make_pool(server.port, most_connections=1)
        answered = asyncio.ensure_future(pool.send(PUSH, timeout_seconds=20))
        await server.until(lambda: server.received)
        await server.until(lambda: rest(server.peers[0]))
        assert (await answered).body == b"x" * MOST_BODY
        server.on_request = lambda peer, request: peer.reply(request.stream)
        assert (await pool.send(PUSH, timeout_seconds=20)).status == 200
        assert len(server.peers) == 1


async def test_heads_in_continuation_frames_informational_heads_and_trailers_are_understood(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        stream = request.stream
        peer.raw(frame(HEADERS, 0, stream, b"\x88") + frame(CONTINUATION, 0, stream, b"\x00\x01a"))
        peer.raw(frame(CONTINUATION, 4, stream, b"\x01b") + frame(0, 0, stream, b"body"))
        peer.raw(frame(HEADERS, 5, stream, b"\x00\x01t\x01u"))

    async with scripted(server_tls, on_request=answer) as server:
        answered = await make_pool(server.port).send(PUSH, timeout_seconds=20)
        assert (answered.status, answered.headers, answered.body) == (200, {b"a": b"b", b"t": b"u"}, b"body")


@pytest.mark.parametrize("head", [b"\x08\x042000", b"\x08\x03abc", b"\x08\x7f\x89\x26" + b"9" * 5_000, b"\x08\x00"])
async def test_a_status_that_is_none_is_no_answer_and_harms_nobody(
    make_pool: MakePool, server_tls: ssl.SSLContext, head: bytes
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        if request.path == b"/strange":
            peer.raw(frame(HEADERS, 5, request.stream, head))
        else:
            peer.reply(request.stream)

    async with scripted(server_tls, on_request=answer) as server:
        pool = make_pool(server.port)
        assert (await pool.send(PUSH, timeout_seconds=20)).status == 200
        with pytest.raises(OutcomeUnknown):
            await pool.send(Request(b"/strange", ()), timeout_seconds=20)
        assert (await pool.send(PUSH, timeout_seconds=20)).status == 200


async def test_an_answer_to_half_a_request_counts_and_frees_the_place(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def refuse(peer: Peer, request: Received) -> None:
        if request.path == b"/large":
            peer.reply(request.stream, 413)

    async with scripted(server_tls, on_head=refuse, settings={WINDOW: 10, LIMIT: 1}, widens_windows=False) as server:
        pool = make_pool(server.port, most_connections=1)
        assert (await pool.send(Request(b"/large", (), b"x" * 1_000), timeout_seconds=20)).status == 413
        assert (await pool.send(Request(b"/small", (), b"x"), timeout_seconds=20)).status == 200
        assert not server.errors


async def test_a_cancelled_request_resets_its_stream_and_frees_its_place(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def answer(peer: Peer, request: Received) -> None:
        if request.path != b"/silent":
            peer.reply(request.stream)

    async with scripted(server_tls, on_request=answer, settings={LIMIT: 1}) as server:
        pool = make_pool(server.port, most_connections=1)
        silent = asyncio.ensure_future(pool.send(Request(b"/silent", ()), timeout_seconds=20))
        await server.until(lambda: server.received)
        waiting = asyncio.ensure_future(pool.send(Request(b"/waiting", ()), timeout_seconds=20))
        next_one = asyncio.ensure_future(pool.send(Request(b"/next", ()), timeout_seconds=20))
        await until(lambda: pool.statistics().waiting == 2)
        waiting.cancel()
        silent.cancel()
        assert (await next_one).status == 200
        assert server.paths == [b"/silent", b"/next"]
        assert server.peers[0].resets == [1]
        assert pool.statistics().waiting == pool.statistics().in_flight == 0


@pytest.mark.parametrize(
    "request_",
    [
        Request(b"/x", ((b"Upper", b"x"),)),
        Request(b"/x", ((b"a", b"x\r\nb: y"),)),
        Request(b"/x", ((b"a", b"x\0"),)),
        Request(b"/x", ((b":path", b"/y"),)),
        Request(b"/x", ((b"connection", b"close"),)),
        Request(b"/x\r\n", ()),
        Request(b"/x y", ()),
        Request(b"x", ()),
        Request(b"", ()),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused_and_harms_nobody(
    make_pool: MakePool, server_tls: ssl.SSLContext, request_: Request
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port)
        assert (await pool.send(PUSH, timeout_seconds=20)).status == 200
        with pytest.raises(ValueError, match="cannot be sent"):
            await pool.send(request_, timeout_seconds=20)
        assert (await pool.send(PUSH, timeout_seconds=20)).status == 200
        assert server.paths == [PUSH.path] * 2


async def test_a_closed_pool_lets_answers_come_in_says_goodbye_and_takes_nothing_new(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    later: list[tuple[Peer, Received]] = []
    async with scripted(server_tls, on_request=lambda peer, request: later.append((peer, request))) as server:
        pool = make_pool(server.port, drain_seconds=20)
        sent = asyncio.ensure_future(pool.send(PUSH, timeout_seconds=20))
        await server.until(lambda: later)
        closing = asyncio.ensure_future(pool.close())
        await until(lambda: pool.statistics().draining)
        with pytest.raises(NotSent, match="closed"):
            await pool.send(PUSH, timeout_seconds=20)
        [(peer, request)] = later
        peer.reply(request.stream)
        assert (await sent).status == 200
        await closing
        await server.until(lambda: peer.goodbye and peer.closed)
