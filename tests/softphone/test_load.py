"""The load generator against a small server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from ringback.softphone.load import Lane, prepared, run_load
from ringback.softphone.load_wire import Answer, AnswerNotUnderstood, http_request, whole_answer


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def echo(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/close":
            return web.Response(body=body, headers={"Connection": "close"})
        if request.path == "/die":
            assert request.transport is not None
            request.transport.abort()
        if request.path == "/silence":
            await asyncio.sleep(30)
        if request.path == "/chunks":
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            await response.write(body)
            return response
        return web.Response(status=404 if request.path == "/no" else 200, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


def post(path: str, body: bytes) -> bytes:
    return http_request("POST", path, host="localhost", body=body)


async def test_lanes_run_to_their_end(server: TestServer) -> None:
    seen: list[bytes] = []

    def talk(name: bytes) -> Lane:
        for number in range(20):
            answer = yield post("/chunks" if number % 2 else "/", name + b" %d" % number)
            assert answer is not None
            assert answer.body == name + b" %d" % number
            seen.append(answer.body)

    lanes = [talk(b"a"), talk(b"b"), prepared([post("/no", b"x")] * 5)]
    result = await run_load("127.0.0.1", server.port or 0, lanes, server_pids=[os.getpid()])
    assert len(seen) == 40
    assert result.requests == 45
    assert result.statuses == {200: 40, 404: 5}
    assert result.broken == 0
    assert 0 < result.percentile(50) <= result.percentile(99) <= max(result.latencies_ms)
    assert result.summary()["statuses"] == {"200": 40, "404": 5}
    assert result.server_cpu_us is not None


async def test_connections_that_end(server: TestServer) -> None:
    answers: list[Answer | None] = []

    def talk() -> Lane:
        for path in ("/close", "/close", "/die", "/"):
            answers.append((yield post(path, path.encode())))  # noqa: PERF401 - a lane must yield

    result = await run_load("127.0.0.1", server.port or 0, [talk()])
    assert [answer and answer.body for answer in answers] == [b"/close", b"/close", None, b"/"]
    assert (result.requests, result.broken) == (3, 1)


async def test_load_ends_on_time_and_on_silence(server: TestServer) -> None:
    def for_ever() -> Lane:
        while True:
            yield post("/", b"x")

    result = await run_load("127.0.0.1", server.port or 0, [for_ever()], stop_after_seconds=3)
    assert result.requests > 10
    assert result.seconds < 60
    with pytest.raises(TimeoutError):
        await run_load("127.0.0.1", server.port or 0, [prepared([post("/silence", b"")])], silence_seconds=0.2)


async def test_error_in_a_lane_ends_the_load(server: TestServer) -> None:
    def fails() -> Lane:
        yield post("/", b"x")
        raise ValueError("lane")

    with pytest.raises(ValueError, match="lane"):
        await run_load("127.0.0.1", server.port or 0, [fails()])


@given(st.integers(0, 80))
def test_answers_cut_anywhere(cut: int) -> None:
    whole = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello" + b"HTTP/1.1 204 No Content\r\n\r\n"
    first = whole_answer(whole[:cut])
    assert first == (None if cut < 49 else (Answer(200, b"hello"), 49))


def test_not_http() -> None:
    for text in (b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        with pytest.raises(AnswerNotUnderstood):
            whole_answer(text)
