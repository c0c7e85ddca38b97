"""A server that is silent, slow, resetting, talking nonsense, or gone: every request is settled before its deadline."""

from __future__ import annotations

import asyncio
import random
import ssl

import pytest

from ringback.http2 import Answer, NotSent, OutcomeUnknown, Pool, Request
from tests.http2.conftest import MakePool, change_limits, come_due
from tests.http2.server import CONTINUATION, GOAWAY, HEADERS, LIMIT, Peer, Received, frame, scripted, until

SETTINGS, PING, WINDOW_UPDATE = 4, 6, 8


def send(pool: Pool, path: bytes = b"/x", *, urgent: bool = False, seconds: float = 60) -> asyncio.Future[Answer]:
    return asyncio.ensure_future(pool.send(Request(path, (), b"x"), timeout_seconds=seconds, urgent=urgent))


def nothing(_peer: Peer, _request: Received) -> None:
    """The server is silent."""


def at_once(peer: Peer, request: Received) -> None:
    """The server answers 200."""
    peer.reply(request.stream)


async def test_a_request_that_is_not_answered_in_time_has_an_unknown_outcome_and_its_stream_is_reset(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, on_request=at_once, settings={LIMIT: 1}) as server:
        pool = make_pool(server.port, most_connections=1)
        await send(pool)  # so that there is a connection
        server.on_request = nothing
        slow = send(pool, b"/slow", seconds=0.3)
        await server.until(lambda: len(server.received) == 2)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        next_one = send(pool, b"/next")
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await slow
        assert (await next_one).status == 200
        assert server.peers[0].resets == [3]


async def test_an_answer_that_comes_after_the_deadline_is_nobodys(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    later: list[tuple[Peer, Received]] = []
    async with scripted(server_tls, on_request=at_once) as server:
        pool = make_pool(server.port)
        await send(pool)  # so that there is a connection

        def keep(peer: Peer, request: Received) -> None:
            later.append((peer, request))
            peer.raw(frame(PING, 0, 0, bytes(8)))  # it is there, so the connection stays

        server.on_request = keep
        sent = send(pool)
        peer = server.peers[0]
        await server.until(lambda: peer.pongs)
        come_due(pool)
        with pytest.raises(OutcomeUnknown):
            await sent
        peer.raw(frame(HEADERS, 5, later[0][1].stream, b"\x88"))
        server.on_request = lambda peer, request: peer.reply(request.stream)
        assert (await send(pool)).status == 200
        assert len(server.peers) == 1


async def test_after_a_request_in_silence_the_next_one_takes_another_connection(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    """The path may be dead, and requests that come one by one would never find out by the timer of the connection."""
    later: list[tuple[Peer, Received]] = []
    async with scripted(server_tls, on_request=at_once) as server:
        pool = make_pool(server.port)
        await send(pool)  # so that there is a connection
        server.on_request = lambda peer, request: (
            peer.reply(request.stream) if peer.number else later.append((peer, request))
        )
        await asyncio.sleep(0.02)  # the clock of the loop counts in milliseconds
        slow = send(pool, b"/slow")
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await send(pool, seconds=0.3)
        assert (await send(pool)).status == 200
        assert len(server.peers) == 2
        peer, request = later[0]
        peer.reply(request.stream)
        assert (await slow).status == 200, "what was under way is still waited for"
        await server.until(lambda: peer.closed)


async def test_a_connection_that_is_alive_and_answers_nothing_is_left_after_some_requests(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def ping_only(peer: Peer, request: Received) -> None:
        if peer.number:
            peer.reply(request.stream)
        else:
            peer.raw(frame(PING, 0, 0, bytes(8)))

    async with scripted(server_tls, on_request=at_once) as server:
        pool = make_pool(server.port)
        await send(pool)  # so that there is a connection
        server.on_request = ping_only
        for number in range(3):
            assert len(server.peers) == 1
            sent = send(pool)
            await server.until(lambda pongs=number + 1: server.peers[0].pongs == pongs)  # type: ignore[misc]
            come_due(pool)
            with pytest.raises(OutcomeUnknown, match="no answer in time"):
                await sent
        assert (await send(pool)).status == 200
        assert len(server.peers) == 2


async def test_a_connection_without_a_byte_while_requests_wait_is_lost_and_replaced(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, on_request=nothing) as server:
        pool = make_pool(server.port, dead_after_seconds=0.3)
        with pytest.raises(OutcomeUnknown, match="connection lost: no byte"):
            await send(pool)
        await server.until(lambda: server.peers[0].closed)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        change_limits(pool, dead_after_seconds=60)
        assert (await send(pool, urgent=True)).status == 200
        assert len(server.peers) == 2


async def test_a_slow_server_that_answers_pings_is_not_taken_for_dead(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    later: list[tuple[Peer, Received]] = []
    async with scripted(server_tls, on_request=lambda peer, request: later.append((peer, request))) as server:
        pool = make_pool(server.port, dead_after_seconds=4, ping=True)  # a machine may stand still for a second
        sent = send(pool)
        await server.until(lambda: server.peers and server.peers[0].pings >= 3)
        later[0][0].reply(later[0][1].stream)
        assert (await sent).status == 200


async def test_an_idle_connection_is_asked_and_lost_when_it_does_not_reply(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, idle_ping_seconds=0.1, ping=True)
        await send(pool)
        await server.until(lambda: server.peers[0].pings >= 2)
        assert pool.statistics().connections == 1
        server.peers[0].transport.pause_reading()
        change_limits(pool, dead_after_seconds=0.3)
        await until(lambda: pool.statistics().connections == 0)
        change_limits(pool, dead_after_seconds=60)
        assert (await send(pool)).status == 200


async def test_where_pings_are_not_wanted_none_is_sent_and_an_unused_connection_is_closed(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, idle_ping_seconds=0.05, idle_close_seconds=0.4)
        await send(pool)
        await server.until(lambda: server.peers[0].closed)
        assert server.peers[0].pings == 0
        assert server.peers[0].goodbye
        assert (await send(pool)).status == 200


async def test_of_connections_that_nobody_needs_pings_keep_the_last_one(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    later: list[tuple[Peer, Received]] = []
    async with scripted(
        server_tls, on_request=lambda peer, request: later.append((peer, request)), settings={LIMIT: 1}
    ) as server:
        pool = make_pool(server.port, idle_ping_seconds=0.05, idle_close_seconds=0.2, ping=True)
        sent = [send(pool) for _ in range(3)]
        await server.until(lambda: len(later) == 3)
        for peer, request in later:
            peer.reply(request.stream)
        await asyncio.gather(*sent)
        await until(lambda: pool.statistics().connections == 1)
        await server.until(lambda: sum(not peer.goodbye for peer in server.peers) == 1)
        [kept] = [peer for peer in server.peers if not peer.goodbye]
        pings = kept.pings
        await server.until(lambda: kept.pings >= pings + 10)
        assert not kept.closed


async def test_what_had_not_left_when_the_connection_was_lost_goes_out_on_another(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port)
        await send(pool)
        sent = send(pool, b"/moved")
        await asyncio.sleep(0)  # it is on a stream now, and its bytes leave in the next turn of the loop
        assert pool.statistics().in_flight == 1
        pool._open[0].abort()
        assert (await sent).status == 200
        assert server.paths == [b"/x", b"/moved"]
        assert pool.statistics().moved == 1


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_connection_closed_while_idle_is_noticed(
    make_pool: MakePool, server_tls: ssl.SSLContext, *, abruptly: bool
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port)
        await send(pool)
        peer = server.peers[0]
        peer.transport.abort() if abruptly else peer.close()
        await until(lambda: pool.statistics().connections == 0)
        assert (await send(pool)).status == 200
        assert pool.statistics().dials_failed == 0


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_connection_closed_with_requests_under_way_leaves_their_outcome_unknown(
    make_pool: MakePool, server_tls: ssl.SSLContext, *, abruptly: bool
) -> None:
    async with scripted(server_tls, on_request=nothing) as server:
        pool = make_pool(server.port)
        sent = [send(pool) for _ in range(20)]
        await server.until(lambda: len(server.received) == 20)
        peer = server.peers[0]
        peer.transport.abort() if abruptly else peer.close()
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OutcomeUnknown}
        assert len(server.received) == 20


NONSENSE = {
    "not HTTP/2": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20,
    "a frame too large": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 20_000,
    "data on an idle stream": frame(0, 0, 99, b"x"),
    "a stream of ours": frame(HEADERS, 5, 2, b"\x88"),
    "settings on a stream": frame(SETTINGS, 0, 1),
    "a setting out of range": frame(SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff"),
    "a ping of 7 bytes": frame(PING, 0, 0, b"x" * 7),
    "a window that overflows": frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "a head that cannot be decoded": frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"),
    "a head without an end": frame(HEADERS, 0, 1, b"\x88") + frame(9, 0, 1, b"\x00\x01a\x01b") * 10_000,
    "GOAWAY on a stream": frame(GOAWAY, 0, 1, bytes(8)),
    "GOAWAY within a header": frame(HEADERS, 0, 1, b"\x88") + frame(GOAWAY, 0, 0, bytes(8)) + frame(CONTINUATION, 4, 1),
    "DATA without end and without data": frame(HEADERS, 4, 1, b"\x88") + 20_000 * frame(0, 0, 1),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_closes_the_connection_and_the_outcome_is_unknown(
    make_pool: MakePool, server_tls: ssl.SSLContext, nonsense: bytes
) -> None:
    async with scripted(server_tls, on_request=lambda peer, _: peer.raw(nonsense)) as server:
        pool = make_pool(server.port, dead_after_seconds=20)
        with pytest.raises(OutcomeUnknown):
            await send(pool)
        await server.until(lambda: server.peers[0].closed)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        assert (await send(pool, urgent=True)).status == 200


async def test_random_bytes_never_hang_a_request(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    dice = random.Random(9113)

    def answer(peer: Peer, request: Received) -> None:
        good = frame(HEADERS, 4, request.stream, b"\x88\x00\x01a\x01b") + frame(0, 1, request.stream, b"body")
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        peer.raw(bytes(bad))

    async with scripted(server_tls, on_request=answer) as server:
        pool = make_pool(server.port, dead_after_seconds=1, longest_pause_seconds=0)
        for _ in range(60):
            [outcome] = await asyncio.gather(send(pool, seconds=0.1, urgent=True), return_exceptions=True)
            assert isinstance(outcome, Answer | NotSent | OutcomeUnknown)
        assert pool.statistics().in_flight == pool.statistics().waiting == 0


@pytest.mark.parametrize(
    "head",
    [b"\x00\x01A\x01b\x88", b"\x00\x01a\x01b", b"\x88\x00\x01A\x01b", b"\x00\x07:status\x03abc"],
    ids=["upper case first", "no status", "upper case", "a status that is none"],
)
async def test_an_answer_that_is_none_has_an_unknown_outcome(
    make_pool: MakePool, server_tls: ssl.SSLContext, head: bytes
) -> None:
    async with scripted(
        server_tls, on_request=lambda peer, request: peer.raw(frame(HEADERS, 5, request.stream, head))
    ) as server:
        with pytest.raises(OutcomeUnknown):
            await send(make_pool(server.port))


async def test_headers_without_an_end_are_not_kept(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    def answer(peer: Peer, request: Received) -> None:
        field = b"\x00\x01a\x7f\x80\x7d" + b"b" * (127 + 0x3E80)
        peer.raw(frame(HEADERS, 1, request.stream, b"\x88"))
        for _ in range(6):
            peer.raw(frame(9, 0, request.stream, field[:16_384]))
        peer.raw(frame(9, 4, request.stream, b""))

    async with scripted(server_tls, on_request=answer) as server:
        with pytest.raises(OutcomeUnknown):
            await send(make_pool(server.port))


async def test_a_server_that_asks_for_acknowledgements_and_never_reads_is_given_up(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def flood(peer: Peer, _: Received) -> None:
        peer.transport.pause_reading()
        peer.raw(frame(PING, 0, 0, b"12345678") * 200_000)

    async with scripted(server_tls, on_request=flood) as server:
        pool = make_pool(server.port, dead_after_seconds=20)
        with pytest.raises(OutcomeUnknown):
            await send(pool)
