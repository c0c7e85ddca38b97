"""Addresses, limits, and how a request of ours can fail."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

HERE: Final = "here.invalid"
"""The host of a Contact that stands for ourselves; the endpoint puts in the address that the other side can reach."""

DEFAULT_PORTS: Final[dict[str, int]] = {"udp": 5060, "tcp": 5060, "tls": 5061}


class SipAddress(NamedTuple):
    """One end of a way: `host` is an address or a name, IPv6 without brackets."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


class SipLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an endpoint takes on. What goes beyond is refused and counted; nothing is queued."""

    calls: int = 20_000
    """INVITEs that wait for their final answer, at once; more are answered 503."""
    transactions: int = 100_000
    """Transactions of others that are remembered at once, finished ones included; more are answered 503."""
    message_bytes: int = 65_535
    """One message, header and body."""
    messages_per_second: float = 50
    """From one address that is not trusted, over time; 0 = as many as come. What is too much is not answered."""
    messages_at_once: float = 200
    """How many of them may come in one moment."""
    connections: int = 4_096
    """TCP and TLS connections that others opened; as many more of those who are trusted."""
    connections_of_one: int = 64
    """The same, of one address that is not trusted."""
    idle_seconds: float = 900
    """A connection on which nothing came for so long is closed."""
    message_seconds: float = 30
    """A message that has begun on a connection must be complete by then."""
    unsent_bytes: int = 1_000_000
    """A connection whose other side reads so slowly that this much waits is closed."""
    unacknowledged_seconds: float = 15
    """A connection whose other side acknowledges nothing of what was sent for so long is closed: it is gone without a
    word, and what is sent next goes by a new one. Half of what a request waits for its answer."""
    connect_seconds: float = 5
    """How long a connection that we open may take, TLS included."""
    unread_seconds: float | None = None
    """When nothing was read for longer, INVITEs that came by UDP meanwhile are not taken: who still waits repeats them.
    None = 64*T1, which is what phones wait; proxies wait for less, and phones may be rung for nobody then."""
    retry_after_seconds: int = 5
    """What a 503 says."""
    takes_own_requests: bool = False
    """Whether a request with a Via of ours may come back: phones that call each other do that, servers loop."""


class SipFailure(Exception):
    """A request of ours got no answer."""


class SipTimeout(SipFailure):
    """No final answer in time (RFC 3261 §17.1, timers B and F)."""


class SipUnreachable(SipFailure):
    """It could not be sent: no address, no connection, or the endpoint is closed."""
