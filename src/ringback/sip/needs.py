"""What an endpoint needs of whoever uses it, and its parts of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ringback.sip.model import SipAddress, SipLimits

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Request
    from ringback.sip.counters import SipCounters
    from ringback.sip.incoming import IncomingRequest
    from ringback.sip.wheel import Wheel

Peer: TypeAlias = tuple[Any, ...]
"""An address as sockets have it: (host, port) and, with IPv6, two numbers more."""

Unsent: TypeAlias = Callable[[str], None]
"""Hears that a final answer certainly did not go out, and why (RFC 3261 §17.2.4)."""


class SipHandler(Protocol):
    """Takes the requests of others. Both are called in the loop and must not block."""

    def on_request(self, incoming: IncomingRequest) -> None:
        """A new request, to be answered now or later.

        An INVITE that is not answered now gets its 100 (Trying), unless the handler says that it answers `promptly`.
        Repetitions, CANCEL, PRACK and the ACK to a refusal never come here. An exception is answered 500.
        """
        ...

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """An ACK that belongs to no refusal of ours: to a 2xx, or to nothing at all. It is never answered."""
        ...


class Flow(Protocol):
    """A way to others: a UDP socket, or one connection."""

    local: SipAddress
    is_reliable: bool
    is_behind: bool
    """What comes has waited to be read for longer than whoever sent it waits for an answer. Connections never say so:
    what came over them is not sent again."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        ...

    def send(self, data: bytes, peer: Peer) -> bool:
        """Sends one message; `peer` counts for UDP only. False when it certainly did not go out."""
        ...


class Owner(Protocol):
    """The endpoint, as its sockets and connections see it."""

    limits: SipLimits
    counters: SipCounters
    wheel: Wheel

    def on_data(self, data: bytes, flow: Flow, peer: Peer, source: SipAddress) -> bool:
        """A datagram, or one whole message of a stream. False when that address sends too much. Never raises."""
        ...

    def on_connected(self, flow: Flow, peer: SipAddress, *, opened_by_us: bool) -> bool:
        """A connection is there. False: one too many, it is closed."""
        ...

    def on_lost(self, flow: Flow, peer: SipAddress, *, opened_by_us: bool) -> None:
        """A connection is gone."""
        ...
