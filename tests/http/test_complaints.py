"""What strangers can make the log say: a line a minute, however much nonsense they send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from ringback.http import Listener, bind_address
from ringback.http.complaints import QUIET_SECONDS, OnceAMinute
from tests.http.test_connection import app, talk

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = Listener(app, bind_address("test", "127.0.0.1", 0), None)
    task = asyncio.create_task(listener.serve())
    while not listener.ready:  # noqa: ASYNC110 - uvicorn has a flag, no event
        await asyncio.sleep(0.005)
    yield listener.port
    listener.stop()
    await task


async def test_nonsense_is_told_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        assert (await talk(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert len([one for one in caplog.records if one.name == "uvicorn.error"]) <= 1


async def test_other_protocols_are_not_spoken_and_nobody_is_told_to_install_them(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await talk(port, UPGRADE)).startswith(b"HTTP/1.1 200 ")
    assert caplog.records == []


def test_what_was_kept_back_is_counted() -> None:
    now = 5.0
    once = OnceAMinute(now=lambda: now)

    def said(level: int = logging.WARNING) -> str | None:
        record = logging.LogRecord("uvicorn.error", level, "", 0, "Invalid.", (), None)
        return record.getMessage() if once.filter(record) else None

    assert said() == "Invalid."
    assert [said(), said()] == [None, None]
    assert said(logging.ERROR) == "Invalid."
    now += QUIET_SECONDS
    assert said() == "Invalid. (and 2 times more since this was said last)"
    now += QUIET_SECONDS
    assert said() == "Invalid."
