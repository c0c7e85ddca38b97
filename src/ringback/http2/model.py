"""What goes in, what comes out, and the two ways in which no answer comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Backend: TypeAlias = Literal["ngh2", "h2"]

MOST_BODY = 65_536
"""Bytes of an answer's body that are kept; what comes after them is not read."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request. Names of header fields in lower case, without `:authority`, which is the pool's.

    `shared`: those that many requests have alike; they are looked at once for all of them, and go before `headers`.
    """

    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    method: bytes = b"POST"
    shared: tuple[tuple[bytes, bytes], ...] = ()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer. `fields`: its header and trailer fields as they came, `:status` first."""

    status: int
    fields: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The fields by name, made when they are asked for; one that came several times is joined by ", "."""
        headers = dict(self.fields)
        if len(headers) != len(self.fields):
            headers.clear()
            for name, value in self.fields:
                headers[name] = headers[name] + b", " + value if name in headers else value
        headers.pop(b":status", None)
        return headers


class Indexing(msgspec.Struct, frozen=True):
    """What HPACK may remember of our fields (RFC 7541 §6.2).

    `never`: sent as literals that nobody puts into a table. `once`: put into the table the first time, for the sake of
    the name, and sent as such literals afterwards. Everything else is indexed.
    """

    never: frozenset[bytes] = frozenset()
    once: frozenset[bytes] = frozenset()


class PoolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a pool may have, and how long it has patience.

    `idle_ping_seconds`: after so long without a byte a PING asks whether the other side is there, where the pool may.
    `idle_close_seconds`: a connection unused for so long is closed, except the last one of a pool that pings: routers
    on the way forget connections without saying so. `dead_after_seconds`: no byte for so long while requests wait for
    answers means that the connection is lost. `reserved_streams_for_urgent`: of each connection, but at most a quarter.
    """

    most_connections: int = 8
    most_streams_per_connection: int = 1_000
    most_requests_per_connection: int = 500_000_000
    most_waiting: int = 10_000
    most_moves: int = 5
    connect_seconds: float = 5
    idle_ping_seconds: float = 60
    idle_close_seconds: float = 240
    dead_after_seconds: float = 10
    drain_seconds: float = 2
    longest_pause_seconds: float = 5
    reserved_streams_for_urgent: int = 50


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool has and what it did. `moved`: requests taken to another stream, since nobody had processed them."""

    connections: int
    draining: int
    dialing: bool
    in_flight: int
    waiting: int
    answered: int
    unknown: int
    not_sent: int
    moved: int
    dialed: int
    dials_failed: int
    last_failure: str


class NotSent(Exception):
    """The request was provably not processed; it may be sent again without a second thought.

    `connection_failed`: because there is no connection. `goaway_debug`: what the other side said when it went away.
    """

    def __init__(self, reason: str, *, connection_failed: bool = False, goaway_debug: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.connection_failed = connection_failed
        self.goaway_debug = goaway_debug


class OutcomeUnknown(Exception):
    """The request went out and no answer came: it was processed, or it was not.

    `goaway_debug`: what the other side said when it went away, if it did.
    """

    def __init__(self, reason: str, *, goaway_debug: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.goaway_debug = goaway_debug
