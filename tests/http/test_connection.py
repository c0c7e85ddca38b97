"""Clients that send too slowly, too much, or half: each is refused, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringback.http import connection
from ringback.http.connection import MAX_HEAD_BYTES, MAX_HEADER_FIELDS, Connection
from tests.http.listening import listening, talk

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with listening(max_connections=8) as at:
        yield at


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever does not come at once comes too late."""
    monkeypatch.setattr(Connection, "receive_seconds", 0.2)


@pytest.mark.usefixtures("hurried")
async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    assert (await talk(port)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("hurried")
async def test_a_head_that_drips_is_refused(port: int) -> None:
    answer = await talk(port, *[b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"A: b\r\n", b"C: d\r\n"], pause=0.08)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_never_ends_is_refused(port: int) -> None:
    answer = await talk(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", b"12345", pause=0.01)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_endless_head_is_refused(port: int) -> None:
    answer = await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\nA: ", *[b"a" * 16_384] * (MAX_HEAD_BYTES // 16_384 + 2))
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_who_reads_only_after_having_sent_everything_learns_why_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60)

    def ask() -> int:
        asking = http.client.HTTPConnection("127.0.0.1", port)
        try:
            asking.request("GET", "/", headers={"A": "a" * 20_000_000})
            return asking.getresponse().status
        finally:
            asking.close()

    assert await asyncio.to_thread(ask) == 431


@pytest.mark.usefixtures("hurried")
async def test_an_application_that_still_answers_who_was_too_slow_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 60)
    answered = asyncio.Event()

    async def app(_: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})
        answered.set()

    async with listening(app) as at:
        answer = await talk(at, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", b"12345")
        await asyncio.wait_for(answered.wait(), 60)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"late" not in answer
    assert caplog.records == []


async def test_a_request_in_pieces_is_served_and_the_connection_lives_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "receive_seconds", 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pieces = [b"POST / HTTP/1.1\r\nHo", b"st: x\r\nContent-Length: 3\r\n\r\na", b"bc"]
    for idle in (0, 0, 5.2, 0):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        answer = await reader.readuntil(b"okabc")
        assert answer.startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(idle)  # idle for longer than a request may take to arrive: that is the keep-alive's affair
    writer.close()


async def test_requests_in_a_row_without_waiting_are_answered_in_order(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bodies = [b"1", b"22", b"333"]
    writer.write(
        b"".join(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies)
    )
    for body in bodies:
        await reader.readuntil(b"ok" + body)
    writer.close()


async def test_more_connections_than_allowed_are_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "receive_seconds", 60)  # those that are held say nothing, and must stay
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    assert (await talk(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).startswith(b"HTTP/1.1 503 ")
    for _, writer in held:
        writer.close()
    answer = b"HTTP/1.1 503 "
    async with asyncio.timeout(60):
        while answer.startswith(b"HTTP/1.1 503 "):  # until it has noticed that they are gone
            answer = await talk(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_idle_connections_beyond_the_limit_are_closed_and_the_others_go_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "receive_seconds", 60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await reader.readuntil(b"ok")
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    endings = asyncio.as_completed([one.read() for one, _ in idle], timeout=60)
    for _ in range(20 - 6):
        assert (await next(endings)).startswith(b"HTTP/1.1 503 ")
    writer.write(GET)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    for _, one in [(reader, writer), *idle]:
        one.close()
    await asyncio.gather(*endings)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("before", [b"", GET])
async def test_empty_lines_do_not_keep_a_connection_open(port: int, before: bytes) -> None:
    answer = await talk(port, *([before] if before else []), *[b"\r\n"] * 3, pause=0.04)
    assert answer.endswith(b"content-length: 0\r\n\r\n")
    assert b"HTTP/1.1 408 " in answer


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("last_chunk", "endless"), [(b"0\r\n", b"a: b\r\n" * 2_000), (b"0\r\na: ", b"a" * 16_384), (b"1;", b"x" * 16_384)]
)
async def test_what_comes_after_the_body_has_a_limit(port: int, last_chunk: bytes, endless: bytes) -> None:
    answer = await talk(port, CHUNKED + b"2\r\nhi\r\n", last_chunk, *[endless] * 12, pause=0.002)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_and_a_short_trailer_are_fine(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(CHUNKED + b"30d40\r\n" + b"x" * 200_000 + b"\r\n0\r\nA: b\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"x" * 200_000), 60)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_many_small_chunks_are_fine(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "receive_seconds", 60)  # reading them may take long on a busy machine
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"x" * 50_000), 60)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_no_more_header_fields_are_kept_than_show_that_there_were_too_many(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    headers_complete = Connection.on_headers_complete

    def count(self: Connection) -> None:
        seen.append(len(self.headers))
        headers_complete(self)

    monkeypatch.setattr(Connection, "on_headers_complete", count)
    monkeypatch.setattr(Connection, "receive_seconds", 60)
    await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"a:\r\n" * 5_000 + b"\r\n")
    assert seen == [MAX_HEADER_FIELDS + 1]
