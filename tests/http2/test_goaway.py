"""Going away: what was not processed moves to another connection, what may have been is reported, nothing is lost."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter

import pytest

from ringback.http2 import Answer, NotSent, OutcomeUnknown, Pool, Request
from tests.http2.conftest import MakePool
from tests.http2.server import LIMIT, Peer, Received, scripted, until

REFUSED, CANCEL, INTERNAL = 7, 8, 2
SHUTDOWN = b'{"reason":"Shutdown"}'


def send(pool: Pool, path: bytes = b"/x", *, seconds: float = 60) -> asyncio.Future[Answer]:
    return asyncio.ensure_future(pool.send(Request(path, (), b"x"), timeout_seconds=seconds))


class Leaving:
    """Three connections go away at their 250th request, having looked at all but the last 40, and answered every other.

    Of the rest that was looked at, `ending` says what becomes: answered as well, or reset, or the connection closes.
    """

    def __init__(self, ending: str) -> None:
        self.ending = ending
        self.looked_at: Counter[bytes] = Counter()
        self.answered: Counter[bytes] = Counter()
        self._backlog: dict[int, list[Received]] = {}
        self._last: dict[int, int] = {}

    def on_request(self, peer: Peer, request: Received) -> None:
        if peer.number in self._last:
            self.looked_at[request.path] += request.stream <= self._last[peer.number]
        elif peer.number >= 3:
            self.looked_at[request.path] += 1
            self._reply(peer, request)
        else:
            backlog = self._backlog.setdefault(peer.number, [])
            backlog.append(request)
            if len(backlog) == 250:
                self._leave(peer, backlog[:-40])

    def _leave(self, peer: Peer, seen: list[Received]) -> None:
        self._last[peer.number] = seen[-1].stream
        self.looked_at.update(request.path for request in seen)
        for request in seen[::2]:
            self._reply(peer, request)
        peer.goaway(seen[-1].stream, SHUTDOWN)
        if self.ending == "closes":
            peer.close()
        for request in seen[1::2]:
            if self.ending == "drains":
                self._reply(peer, request)
            elif self.ending == "resets":
                peer.reset(request.stream, INTERNAL)

    def _reply(self, peer: Peer, request: Received) -> None:
        self.answered[request.path] += 1
        peer.reply(request.stream, headers=[(b"apns-id", request.path)])


@pytest.mark.parametrize("ending", ["drains", "closes", "resets"])
async def test_goaway_in_the_middle_of_a_thousand_streams_loses_none(
    make_pool: MakePool, server_tls: ssl.SSLContext, ending: str
) -> None:
    script = Leaving(ending)
    async with scripted(server_tls, on_request=script.on_request, settings={LIMIT: 400}) as server:
        pool = make_pool(server.port, most_connections=2)
        sent = {path: send(pool, path) for path in (b"/%d" % number for number in range(1_000))}
        outcomes = dict(zip(sent, await asyncio.gather(*sent.values(), return_exceptions=True), strict=True))
        assert not server.errors
        statistics = pool.statistics()
    given = {path: outcome for path, outcome in outcomes.items() if isinstance(outcome, Answer)}
    unknown = [path for path, outcome in outcomes.items() if isinstance(outcome, OutcomeUnknown)]
    assert len(given) + len(unknown) == 1_000, "nothing is lost, and nothing is not sent"
    assert all(answer.headers[b"apns-id"] == path for path, answer in given.items()), "to each its own answer"
    assert all(script.answered[path] == 1 for path in given)
    assert all(script.looked_at[path] == 1 for path in sent), "what the server looked at was never sent again"
    assert (not unknown) == (ending == "drains")
    assert (statistics.answered, statistics.unknown) == (len(given), len(unknown))
    assert statistics.moved >= 120


async def test_unknown_outcomes_say_why_the_server_went_away(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    def on_request(peer: Peer, request: Received) -> None:
        peer.goaway(request.stream, SHUTDOWN)
        peer.close()

    async with scripted(server_tls, on_request=on_request) as server:
        with pytest.raises(OutcomeUnknown, match="connection lost") as unknown:
            await send(make_pool(server.port))
        assert unknown.value.goaway_debug == SHUTDOWN


async def test_a_notice_of_going_away_lets_everything_under_way_be_answered(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    """The first of the two GOAWAYs of a graceful shutdown names the highest stream there is (RFC 9113 §6.8)."""
    later: list[tuple[Peer, Received]] = []
    async with scripted(server_tls, on_request=lambda peer, request: later.append((peer, request))) as server:
        pool = make_pool(server.port)
        sent = [send(pool) for _ in range(5)]
        await server.until(lambda: len(later) == 5)
        [peer] = server.peers
        peer.goaway(2**31 - 1)
        await until(lambda: pool.statistics().draining == 1)
        sent.append(send(pool))
        await server.until(lambda: len(later) == 6)
        peer.goaway(later[4][1].stream)
        for other, request in later:
            other.reply(request.stream)
        await asyncio.gather(*sent)
        assert [len(peer.requests) for peer in server.peers] == [5, 1]
        await server.until(lambda: peer.closed)


async def test_a_server_that_always_goes_away_is_not_asked_for_ever(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, on_head=lambda peer, _: peer.goaway(0, SHUTDOWN)) as server:
        pool = make_pool(server.port)
        with pytest.raises(NotSent) as refused:
            await send(pool)
        assert refused.value.goaway_debug in {SHUTDOWN, None}
        assert len(server.peers) <= 6
        assert pool.statistics().in_flight == pool.statistics().waiting == 0


async def test_a_server_that_goes_away_before_the_first_request_is_a_failed_connection(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, on_connection=lambda peer: peer.goaway(0, SHUTDOWN)) as server:
        with pytest.raises(NotSent) as refused:
            await send(make_pool(server.port))
        assert refused.value.connection_failed
        assert server.received == []


async def test_a_refused_stream_is_sent_again_and_answered_once(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    refused: set[bytes] = set()

    def on_request(peer: Peer, request: Received) -> None:
        if request.path in refused:
            peer.reply(request.stream)
        else:
            refused.add(request.path)
            peer.reset(request.stream, REFUSED)

    async with scripted(server_tls, on_request=on_request) as server:
        pool = make_pool(server.port)
        answers = await asyncio.gather(*[send(pool, b"/%d" % number) for number in range(20)])
        assert [answer.status for answer in answers] == [200] * 20
        assert len(server.received) == 40
        assert pool.statistics().moved == 20


async def test_a_stream_that_is_always_refused_is_not_sent(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls, on_request=lambda peer, request: peer.reset(request.stream, REFUSED)) as server:
        with pytest.raises(NotSent, match="refused by the other side"):
            await send(make_pool(server.port, most_moves=3))
        assert len(server.received) == 4


@pytest.mark.parametrize("code", [CANCEL, INTERNAL, 0])
async def test_a_reset_stream_has_an_unknown_outcome_and_is_not_sent_again(
    make_pool: MakePool, server_tls: ssl.SSLContext, code: int
) -> None:
    async with scripted(server_tls, on_request=lambda peer, request: peer.reset(request.stream, code)) as server:
        pool = make_pool(server.port)
        with pytest.raises(OutcomeUnknown, match=f"reset with code {code}"):
            await send(pool)
        assert len(server.received) == 1
        server.on_request = lambda peer, request: peer.reply(request.stream)
        assert (await send(pool)).status == 200
        assert len(server.peers) == 1
