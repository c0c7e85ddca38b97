"""One request that a double has in hand, and the connection that it came by, over HTTP/1.1 or HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Headers = Sequence[tuple[str, str]]
MAX_BODY = 65_536
"""Bytes of a body that are kept. What is longer is counted, so that the double can say that it is too long."""


class Connection(Protocol):
    """The way back to a client. On HTTP/1.1 there is one stream, number 1 and up, and `reset` closes the connection."""

    number: int
    alpn: str
    certificate: bytes | None
    """The client's certificate (DER), where it showed one."""
    facts: dict[str, object]
    """What the double wants to remember about this connection."""

    @property
    def open_streams(self) -> int:
        """Requests that are still without an answer."""
        ...

    def reply(self, stream: int, status: int, headers: Headers, body: bytes) -> bool:
        """Answers. False: nobody is there to read it, or the stream was given up."""
        ...

    def reset(self, stream: int, code: int) -> None:
        """Ends one stream with RST_STREAM and this error code."""
        ...

    def go_away(self, code: int, debug: bytes, last_stream: int | None) -> None:
        """Sends GOAWAY; streams above `last_stream` (None: the newest one) are not looked at any more."""
        ...

    def change_settings(self, settings: Mapping[int, int]) -> None:
        """Sends SETTINGS, by their numbers in RFC 9113 §6.5.2. Nothing on HTTP/1.1."""
        ...

    def close_when_drained(self) -> None:
        """Closes as soon as no request is without an answer."""
        ...

    def close(self) -> None:
        """Closes now; what was written still goes out."""
        ...

    def abort(self) -> None:
        """Cuts the connection: what was written may be lost, and the client sees a reset."""
        ...


class Request(msgspec.Struct, frozen=True):
    """A request that came in whole. `body_length` is its true length, even where `body` was cut at `MAX_BODY`."""

    connection: Connection
    stream: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_length: int

    def header(self, name: str) -> str | None:
        """The first value of a header; names are lower-case."""
        return next((value for key, value in self.headers if key == name), None)


class Application(Protocol):
    """What stands behind a listener: a double."""

    def connected(self, connection: Connection) -> None:
        """A client has finished its TLS handshake."""
        ...

    def settings_for(self, connection: Connection) -> Mapping[int, int]:
        """The first SETTINGS of an HTTP/2 connection, by their numbers."""
        ...

    def requested(self, request: Request) -> None:
        """A request is there; the answer may come at any time, by `request.connection`."""
        ...

    def stream_limit_exceeded(self, connection: Connection) -> None:
        """The client opened more streams than SETTINGS allow; the connection is being closed for it."""
        ...
