"""What strangers can make the log say: a line a minute, however much nonsense they send."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from ringback.http import complaints
from ringback.http.complaints import QUIET_SECONDS, OnceAMinute
from tests.http.listening import listening, talk

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Nothing was said before: neither here nor in another test of this process."""
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "filters", [])
    monkeypatch.setattr(complaints, "_once_a_minute", OnceAMinute())
    async with listening() as at:
        yield at


async def test_nonsense_is_told_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        assert (await talk(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    said = [one.getMessage() for one in caplog.records if one.name == "uvicorn.error"]
    assert said == ["Invalid HTTP request received."]


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
