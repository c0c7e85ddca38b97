"""Pushes over a connection that the phone keeps open: the provider `local`, Server-Sent Events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from ringback.softphone.event_stream import EventStreamReader, EventStreamTooLong, ServerEvent
from ringback.softphone.http import PhoneConnection, enrollment_url
from ringback.softphone.wire import PhoneRequest, refusal

STREAM_PATH = "/api/push/local/stream"
SILENCE_SECONDS = 45.0
"""Three keep-alives of the server: after that the connection is dead, whatever TCP believes."""

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0


class Push(msgspec.Struct, frozen=True, rename="camel"):
    """One push. `stream_id` is its place in the stream, `content` what the server sent."""

    stream_id: str
    content: dict[str, Any]


class PushStream:
    """An endless asynchronous iterator of pushes; `async with` closes it.

    A broken connection is made again and goes on after the last push that was handed out. Raises RefusedByServer (its
    subclass MacTokenRefused) when the server does not want this phone any more; that ends the stream.
    """

    def __init__(
        self,
        connection: PhoneConnection,
        server_url: str,
        *,
        request: Callable[[], Awaitable[PhoneRequest]],
        last_push_id: str,
        received: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._server_url = server_url
        self._request = request
        self._reader = EventStreamReader(last_push_id)
        self._received = received
        self._handed_out = last_push_id
        self._ready: deque[ServerEvent] = deque()
        self._response: aiohttp.ClientResponse | None = None
        self._pause = 0.0

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Push:
        while True:
            while self._ready:
                event = self._ready.popleft()
                push = _push(event)
                if event.event_id:
                    self._handed_out = event.event_id
                    self._received(event.event_id)
                if push is not None:
                    return push
            await self._read()

    async def connect(self) -> None:
        """Connects, trying again until it succeeds: from then on no push is missed. Raises RefusedByServer."""
        while self._response is None:
            try:
                await self._connect()
            except (aiohttp.ClientError, OSError):
                self._lost()
                await asyncio.sleep(self._pause)

    def close(self) -> None:
        """Ends the connection."""
        if self._response is not None:
            self._response.close()
            self._response = None

    async def _connect(self) -> None:
        request = await self._request()
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **request.headers}
        if self._handed_out:
            headers["Last-Event-ID"] = self._handed_out
        response = await self._connection.session.get(
            enrollment_url(self._server_url) + request.path,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=SILENCE_SECONDS),
            allow_redirects=False,
        )
        if response.status in {502, 503, 504}:  # a proxy, or a server that is stopping: worth another try
            response.close()
            raise aiohttp.ClientConnectionError(f"HTTP {response.status}")
        if response.status != HTTPStatus.OK:
            body = await response.read()
            response.close()
            raise refusal(request, response.status, body)
        self._reader = EventStreamReader(self._handed_out)
        self._response = response

    async def _read(self) -> None:
        await self.connect()
        response = self._response
        try:
            chunk = await response.content.readany() if response is not None else b""
            self._ready.extend(self._reader.feed(chunk))
        except (aiohttp.ClientError, OSError, EventStreamTooLong):
            chunk = b""
        if chunk:
            self._pause = 0.0
            return
        self._lost()
        await asyncio.sleep(self._pause)

    def _lost(self) -> None:
        self.close()
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


def _push(event: ServerEvent) -> Push | None:
    try:
        content = msgspec.json.decode(event.data)
    except msgspec.DecodeError:
        return None
    return Push(event.event_id, content) if isinstance(content, dict) else None
