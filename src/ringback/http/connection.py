"""One HTTP connection: uvicorn's protocol, with limits for clients that send too slowly or too much of a head.

Head and body of an answer also leave in one system call: uvicorn writes them one after the other, each a system call at
once, and the second is a tenth of a small request's time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RECEIVE_SECONDS = 30.0
"""A whole request must have arrived in this time, and the first byte of a new connection too."""
MAX_HEAD_BYTES = 65_536
"""Also the most that may come between two pieces of a body, and after it: chunk extensions and trailers."""
MAX_HEADER_FIELDS = 200
"""A field of four bytes costs fifty times that in memory. One more is kept, so that the `Edge` sees: too many."""
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
LINGER_SECONDS = 1.0
"""So long may a client that is turned away take to read why; closed at once, its request would cost it the answer."""


class _JoinedWrites:
    """A transport that keeps what one turn of the event loop writes and sends it together."""

    __slots__ = ("_kept", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._kept:
            self._loop.call_soon(self._send)
        self._kept.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def write_eof(self) -> None:
        self._send()
        self._transport.write_eof()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        if self._kept:
            data = b"".join(self._kept)
            self._kept.clear()
            self._transport.write(data)


class Connection(HttpToolsProtocol):
    """One connection of a client. The methods are called by the event loop and by the parser."""

    receive_seconds = RECEIVE_SECONDS
    _in_head = False
    _in_message = False
    _moved = False
    _completed = False
    _is_turned_away = False
    _bytes_without_progress = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client has connected; it has so long to say something, if there is room for it at all.

        uvicorn would count it, and refuse requests: those that say nothing would hold every open file that there is.
        """
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._turn_away(transport)
            return
        self.transport = _JoinedWrites(transport, self.loop)  # type: ignore[assignment] # all that is used of one
        self._timer = self.loop.call_later(self.receive_seconds, self._refuse, _TOO_SLOW)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Most requests come whole, so that no timer is ever set for them."""
        if self._is_turned_away:
            return
        self._moved = self._completed = False
        super().data_received(data)
        if self._in_message:
            self._bytes_without_progress = 0 if self._moved else self._bytes_without_progress + len(data)
            if self._bytes_without_progress > MAX_HEAD_BYTES:
                self._refuse(_TOO_LARGE)
        elif self._completed:
            self._stop_timer()
            return
        # Empty lines between requests are no request: they must not keep a connection open.
        if self._timer is None and (self._in_message or not self._is_answering()):
            self._timer = self.loop.call_later(self.receive_seconds, self._refuse, _TOO_SLOW)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_message = self._in_head = self._moved = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; what comes after the body as a trailer nobody reads, so it is not kept."""
        if self._in_head and len(self.headers) <= MAX_HEADER_FIELDS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_message = False
        self._completed = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol is answered in this one (RFC 9110 §7.8); uvicorn would log two lines."""

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn declares
        return cycle is not None and not cycle.response_complete

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self.connections.discard(self)
        self.logger.warning("Exceeded concurrency limit.")
        self._say_and_go(transport, _TOO_MANY)

    def _refuse(self, answer: bytes) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle
        if cycle is not None:  # for the application the client has gone
            cycle.disconnected = True
            cycle.message_event.set()
        self._say_and_go(self.transport, answer)

    def _say_and_go(self, transport: asyncio.Transport, answer: bytes) -> None:
        """The last words; what still comes is dropped."""
        self._is_turned_away = True
        transport.write(answer)
        if transport.can_write_eof():
            transport.write_eof()
            self._timer = self.loop.call_later(LINGER_SECONDS, transport.close)
        else:
            transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
