"""The HTTP/1.1 side of a double, for clients that speak no HTTP/2: one request after the other, kept alive.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import httptools

from ringback.testing.exchange import MAX_BODY, Application, Headers, Request


class Http1Connection:
    """One connection of a client. `stream` counts its requests from 1."""

    alpn = "http/1.1"

    def __init__(
        self, number: int, transport: asyncio.Transport, application: Application, certificate: bytes | None
    ) -> None:
        self.number = number
        self.certificate = certificate
        self.facts: dict[str, object] = {}
        self._transport = transport
        self._application = application
        self._parser = httptools.HttpRequestParser(self)
        self._stream = 0
        self._waiting: int | None = None
        self._draining = False
        self._url = bytearray()
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._length = 0
        application.connected(self)

    @property
    def open_streams(self) -> int:
        """1 while a request is without an answer."""
        return int(self._waiting is not None)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def lost(self) -> None:
        """The client is gone."""
        self._waiting = None

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._url.clear()
        self._headers.clear()
        self._body.clear()
        self._length = 0

    def on_url(self, url: bytes) -> None:
        """httptools: a part of the path."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header."""
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """httptools: the body follows, perhaps only when it was asked for."""
        if ("expect", "100-continue") in self._headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        self._length += len(body)
        self._body += body[: MAX_BODY - len(self._body)]

    def on_message_complete(self) -> None:
        """httptools: the request is there."""
        self._stream += 1
        self._waiting = self._stream
        method, path = self._parser.get_method().decode("latin-1"), self._url.decode("latin-1")
        request = Request(self, self._stream, method, path, tuple(self._headers), bytes(self._body), self._length)
        self._application.requested(request)

    def reply(self, stream: int, status: int, headers: Headers, body: bytes) -> bool:
        """Answers. False: nobody is there to read it."""
        if stream != self._waiting or self._transport.is_closing():
            return False
        self._waiting = None
        phrase = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
        lines += [f"content-length: {len(body)}", "", ""]
        self._transport.write("\r\n".join(lines).encode("latin-1") + body)
        if self._draining or not self._parser.should_keep_alive():
            self.close()
        return True

    def reset(self, stream: int, code: int) -> None:  # noqa: ARG002 - there is but one stream, and no code
        """Cuts the connection: HTTP/1.1 has nothing smaller."""
        self.abort()

    def go_away(self, code: int, debug: bytes, last_stream: int | None) -> None:  # noqa: ARG002 - as above
        """Closes after the answer: all that HTTP/1.1 has of it."""
        self._draining = True

    def change_settings(self, settings: Mapping[int, int]) -> None:
        """HTTP/1.1 has no settings."""

    def close_when_drained(self) -> None:
        """Closes as soon as no request is without an answer."""
        self._draining = True
        if self._waiting is None:
            self.close()

    def close(self) -> None:
        """Closes now; what was written still goes out."""
        self._transport.close()

    def abort(self) -> None:
        """Cuts the connection."""
        self._transport.abort()
