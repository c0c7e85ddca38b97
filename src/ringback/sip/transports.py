"""UDP sockets and connections over TCP and TLS: bytes of the network, cut into messages."""

from __future__ import annotations

import asyncio
import select
import socket
from functools import lru_cache
from typing import Final, cast

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.framing import KEEPALIVE, PONG, StreamFramer
from ringback.protocols.sip.transactions import NEVER
from ringback.sip.counters import Reason
from ringback.sip.model import SipAddress, Transport
from ringback.sip.needs import Owner, Peer

_SOCKET_BUFFER: Final = 8 << 20
_LONGEST_DATAGRAM: Final = 65_507
_LOOK_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0


def address_of(transport: Transport, peer: Peer | None) -> SipAddress:
    """The address of a socket. IPv4 within IPv6 is shown as IPv4."""
    if not peer:
        return SipAddress(transport, "", 0)
    host = str(peer[0])
    return SipAddress(transport, host[7:] if host.startswith("::ffff:") and "." in host else host, int(peer[1]))


@lru_cache(maxsize=1024)
def _sender(peer: Peer) -> tuple[Peer, SipAddress]:
    """The same two objects for all datagrams from there: a held call keeps them, and most come from a few proxies."""
    return peer, address_of("udp", peer)


class UdpFlow(asyncio.DatagramProtocol):
    """One UDP socket."""

    is_reliable = False

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.DatagramTransport | None = None
        self.local = SipAddress("udp", "", 0)
        self.is_behind = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound. Its buffers are large: a burst of calls waits there while the loop is busy."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = address_of("udp", transport.get_extra_info("sockname"))
        bound = transport.get_extra_info("socket")
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            bound.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        """One datagram."""
        peer, source = _sender(addr)
        self._owner.on_data(data, self, peer, source)
        if self.is_behind:
            self.fell_behind()

    def fell_behind(self) -> None:
        """Nothing was read for a long time: what waits in the socket now is old, until it is empty once."""
        self.is_behind = self._transport is not None and self._has_more(self._transport.get_extra_info("socket"))

    def _has_more(self, bound: socket.socket) -> bool:
        waiting = select.poll()
        waiting.register(bound.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def error_received(self, exc: Exception) -> None:
        """Somebody's port is closed (ICMP). Which of our messages it was is not said, so timers find out."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio fixes the names
        """Closed by us."""
        self._transport = None

    def send(self, data: bytes, peer: Peer) -> bool:
        """Sends one datagram. False when it cannot go there at all: too long, or no such address."""
        if self._transport is None or len(data) > _LONGEST_DATAGRAM:
            return False
        try:
            self._transport.sendto(data, peer)
        except (OSError, ValueError, OverflowError):
            return False
        return True

    def close(self) -> None:
        """Sends nothing any more."""
        if self._transport is not None:
            self._transport.close()


class StreamFlow(asyncio.Protocol):
    """One connection, TCP or TLS, opened by either side."""

    is_reliable = True
    is_behind = False

    def __init__(self, owner: Owner, transport: Transport, *, opened_by_us: bool) -> None:
        self._owner = owner
        self._kind: Transport = transport
        self._opened_by_us = opened_by_us
        self._transport: asyncio.Transport | None = None
        self._framer = StreamFramer(owner.limits.message_bytes)
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._begun_at: float | None = None
        self._peer: Peer = ()
        self._is_known = False
        self.local = SipAddress(transport, "", 0)
        self.peer = SipAddress(transport, "", 0)
        self.due: float = NEVER
        self.tick = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection, and with TLS its handshake, is made."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername") or ()
        self.local = address_of(self._kind, transport.get_extra_info("sockname"))
        self.peer = address_of(self._kind, self._peer)
        self._is_known = self._owner.on_connected(self, self.peer, opened_by_us=self._opened_by_us)
        if not self._is_known:
            self._transport.abort()
            return
        unacknowledged = round(1000 * self._owner.limits.unacknowledged_seconds)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unacknowledged)
        self._look_again(self._loop.time())

    def data_received(self, data: bytes) -> None:
        """Some bytes: parts of messages, or several of them."""
        self._heard_at = self._loop.time()
        messages = self._framer.feed(data)
        if messages:
            self._begun_at = None
        pinged = flooded = False
        for message in messages:
            if message is KEEPALIVE:
                pinged = True
            elif not self._owner.on_data(message, self, self._peer, self.peer):
                flooded = True
        if pinged:
            self.send(PONG)  # RFC 5626 §3.5.1; one for all that came together, which costs a flood more than us
        if self._framer.broken is not None:
            self._give_up(self._framer.broken)
        elif flooded:
            self._pause()

    def eof_received(self) -> bool:
        """The other side sends nothing any more, so it hears nothing any more either."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio fixes the names
        """It is gone, whoever closed it."""
        self._transport = None
        self.due = NEVER
        self._owner.wheel.place(self)
        if self._is_known:
            self._owner.on_lost(self, self.peer, opened_by_us=self._opened_by_us)

    def send(self, data: bytes, peer: Peer = ()) -> bool:  # noqa: ARG002 a connection has one other side
        """Sends one message. False when the connection is closed."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._owner.limits.unsent_bytes:
            self.refuse("slow")
        return True

    def refuse(self, reason: Reason) -> None:
        """Closes at once, and counts why: the first reason of a connection, and none of one that was closing anyway."""
        if self._transport is not None and not self._transport.is_closing():
            self._owner.counters.refuse(reason)
            self._transport.abort()

    def _give_up(self, malformed: SipMalformed) -> None:
        """Where the next message begins is not known any more (RFC 3261 §18.3): closes when the answers are sent."""
        if self._transport is not None and not self._transport.is_closing():
            self._owner.counters.refuse("oversize" if malformed.status == 513 else "malformed")
            self._transport.close()
            self._look_again(self._loop.time())

    def close(self) -> None:
        """Closes when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def _pause(self) -> None:
        """Nothing is read for a while: what an address sends too much waits with it, not with us."""
        if self._transport is not None and not self._transport.is_closing() and self._transport.is_reading():
            self._transport.pause_reading()
            self._loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def on_time(self, now: float) -> None:
        """Looks whether anybody is still there."""
        if self._transport is not None and self._transport.is_closing():
            self._transport.abort()  # nobody reads what was to be sent before it is closed
            return
        limits = self._owner.limits
        self._begun_at = (self._begun_at or now) if not self._framer.is_idle else None
        if self._begun_at is not None and now - self._begun_at >= limits.message_seconds:
            self.refuse("slow")
        elif now - self._heard_at >= limits.idle_seconds:
            self.refuse("idle")
        else:
            self._look_again(now)

    def _look_again(self, now: float) -> None:
        limits = self._owner.limits
        self.due = now + min(_LOOK_SECONDS, limits.idle_seconds, limits.message_seconds)
        self._owner.wheel.place(self)
