"""The other side's limit of streams is kept at every moment; connections are added while somebody waits."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from ringback.http2 import NotSent, Pool, Request
from tests.http2.conftest import MakePool, come_due
from tests.http2.server import LIMIT, Peer, Received, ScriptedServer, scripted, until

Later = list[tuple[Peer, Received]]


def send(pool: Pool, path: bytes = b"/x", *, urgent: bool = False, seconds: float = 60) -> asyncio.Future[object]:
    return asyncio.ensure_future(pool.send(Request(path, (), b"x"), timeout_seconds=seconds, urgent=urgent))


def kept(server: ScriptedServer) -> Later:
    """The server keeps its answers until the test gives them."""
    later: Later = []
    server.on_request = lambda peer, request: later.append((peer, request))
    return later


def give(later: Later, count: int = 1) -> None:
    for _ in range(count):
        peer, request = later.pop(0)
        peer.reply(request.stream)


@pytest.mark.parametrize("limit", [1, 3])
async def test_there_are_never_more_streams_than_the_server_allows(
    make_pool: MakePool, server_tls: ssl.SSLContext, limit: int
) -> None:
    async with scripted(server_tls, settings={LIMIT: limit}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1)
        sent = [send(pool) for _ in range(20)]
        while not all(future.done() for future in sent):
            await server.until(lambda: later or all(future.done() for future in sent))
            give(later, len(later))
        assert server.peers[0].most_open == limit
        assert not server.errors


async def test_a_limit_that_falls_to_one_in_flight_is_kept_from_then_on(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, settings={LIMIT: 10}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1)
        sent = [send(pool, b"/%d" % number) for number in range(30)]
        await server.until(lambda: len(later) == 10)
        [peer] = server.peers
        peer.set({LIMIT: 1})
        await server.until(lambda: peer.h2.local_settings.max_concurrent_streams == 1)
        for number in range(9):
            give(later)
            assert len(server.received) == 10, number
        while len(server.received) < 20:
            give(later)
            await server.until(lambda: len(later) == 1)
        peer.set({LIMIT: 10})
        await server.until(lambda: len(later) == 10)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        give(later, 10)
        await asyncio.gather(*sent)
        assert not server.errors


async def test_a_limit_of_nothing_lets_nothing_through_until_it_rises(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, settings={LIMIT: 0}) as server:
        pool = make_pool(server.port, most_connections=1)
        sent = send(pool)
        await until(lambda: pool.statistics().connections == 1)
        come_due(pool)
        with pytest.raises(NotSent, match="no place before the deadline") as refused:
            await sent
        assert not refused.value.connection_failed
        waiting = send(pool)
        await until(lambda: pool.statistics().waiting == 1)
        assert server.received == []
        server.peers[0].set({LIMIT: 1})
        await waiting
        assert not server.errors


async def test_settings_that_name_no_limit_leave_ours(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls, settings={}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1, most_streams_per_connection=7)
        sent = [send(pool) for _ in range(20)]
        await server.until(lambda: len(later) == 7)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        give(later, 7)
        await asyncio.gather(*sent)
        assert server.peers[0].most_open == 7


async def test_where_the_first_limit_is_one_a_connection_carries_one_request_until_it_was_answered(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, settings={LIMIT: 1000}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1, first_limit_is_one=True)
        sent = [send(pool) for _ in range(50)]
        await server.until(lambda: later)
        await until(lambda: pool.statistics().waiting == 49)
        assert len(server.received) == 1
        give(later)
        await server.until(lambda: len(later) == 49)
        give(later, 49)
        await asyncio.gather(*sent)


async def test_connections_are_added_while_requests_wait_and_up_to_the_limit(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, settings={LIMIT: 2}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=3)
        sent = [send(pool) for _ in range(10)]
        await server.until(lambda: len(later) == 6)
        assert pool.statistics().connections == 3
        assert pool.statistics().waiting == 4
        while not all(future.done() for future in sent):
            await server.until(lambda: later or all(future.done() for future in sent))
            give(later, len(later))
        assert len(server.peers) == 3
        assert [peer.most_open for peer in server.peers] == [2, 2, 2]


async def test_a_request_more_than_may_wait_is_refused_at_once(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls, settings={LIMIT: 1}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1, most_waiting=2)
        sent = [send(pool)]
        await server.until(lambda: later)
        sent += [send(pool), send(pool)]
        await until(lambda: pool.statistics().waiting == 2)
        with pytest.raises(NotSent, match="too many"):
            await send(pool)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        give(later)
        await asyncio.gather(*sent)


async def test_an_urgent_request_goes_before_all_who_wait(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls, settings={LIMIT: 1}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1)
        sent = [send(pool, b"/first")]
        await server.until(lambda: later)
        sent += [send(pool, b"/patient"), send(pool, b"/patient"), send(pool, b"/call", urgent=True)]
        await until(lambda: pool.statistics().waiting == 3)
        server.on_request = lambda peer, request: peer.reply(request.stream)
        give(later)
        await asyncio.gather(*sent)
        assert server.paths == [b"/first", b"/call", b"/patient", b"/patient"]


async def test_streams_are_kept_free_for_urgent_requests(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls, settings={LIMIT: 8}) as server:
        later = kept(server)
        pool = make_pool(server.port, most_connections=1, reserved_streams_for_urgent=2)
        sent = [send(pool) for _ in range(20)]
        await server.until(lambda: len(later) == 6)
        await until(lambda: pool.statistics().waiting == 14)
        urgent = [send(pool, b"/call", urgent=True) for _ in range(3)]
        await server.until(lambda: len(later) == 8)
        assert server.paths == [b"/x"] * 6 + [b"/call"] * 2
        server.on_request = lambda peer, request: peer.reply(request.stream)
        give(later, 8)
        await asyncio.gather(*sent, *urgent)
        assert server.paths[8] == b"/call"


async def test_a_connection_that_carried_its_share_is_replaced(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, most_requests_per_connection=3)
        for _ in range(7):
            await send(pool)
        assert [len(peer.requests) for peer in server.peers] == [3, 3, 1]
        await server.until(lambda: server.peers[0].goodbye and server.peers[1].goodbye)


async def test_a_server_that_does_not_read_gets_no_more_than_a_buffer_full(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    def stop_reading(peer: Peer) -> None:
        peer.transport.pause_reading()

    async with scripted(server_tls) as server:
        pool = make_pool(server.port, most_connections=1)
        await send(pool)
        server.on_request = lambda peer, _: stop_reading(peer)
        body = b"x" * 4_000
        sent = [asyncio.ensure_future(pool.send(Request(b"/x", (), body), timeout_seconds=60)) for _ in range(5_000)]
        await until(lambda: pool.statistics().waiting > 0)
        assert pool.statistics().in_flight < 5_000
        come_due(pool)
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert {type(outcome).__name__ for outcome in outcomes} <= {"NotSent", "OutcomeUnknown"}
        assert any(isinstance(outcome, NotSent) for outcome in outcomes)
