"""A UDP socket of the load: sends, sends again what is not answered, and hands on what comes."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import socket
import time
from collections.abc import Callable

Address = tuple[str, int]

T1 = 0.5
T2 = 4.0
GIVES_UP_SECONDS = 64 * T1
_TICK = 0.05
_BUFFER_BYTES = 8 << 20


class Sent:
    """A request on its way, sent again until it is answered (RFC 3261 §17.1, timers A, B, E and F)."""

    __slots__ = ("address", "data", "gives_up", "interval", "is_invite", "over")

    def __init__(self, data: bytes, address: Address, *, is_invite: bool) -> None:
        self.data = data
        self.address = address
        self.interval = T1
        self.gives_up = time.perf_counter() + GIVES_UP_SECONDS
        self.is_invite = is_invite
        self.over = False

    def is_heard(self) -> None:
        """A provisional answer: an INVITE is not sent again."""
        if self.is_invite:
            self.interval = math.inf


class LoadSocket(asyncio.DatagramProtocol):
    """One socket for thousands of phones, or for thousands of callers."""

    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received
        self._transport: asyncio.DatagramTransport | None = None
        self._again: list[tuple[float, int, Sent]] = []
        self._numbers = itertools.count()
        self._ticking: asyncio.TimerHandle | None = None
        self.address: Address = ("", 0)
        self.retransmissions = 0

    async def open(self, host: str) -> None:
        """On a free port. Raises OSError."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self._tick()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = transport  # type: ignore[assignment]  # a datagram endpoint's transport is always this one
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Something came."""
        self._received(data, addr)

    def send(self, data: bytes, address: Address) -> None:
        """Once: a response, or an ACK."""
        if self._transport is not None:
            self._transport.sendto(data, address)

    def send_until_answered(self, data: bytes, address: Address, *, is_invite: bool = False) -> Sent:
        """A request."""
        sent = Sent(data, address, is_invite=is_invite)
        self.send(data, address)
        heapq.heappush(self._again, (time.perf_counter() + T1, next(self._numbers), sent))
        return sent

    def close(self) -> None:
        """Nothing is sent any more."""
        if self._ticking is not None:
            self._ticking.cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _tick(self) -> None:
        now = time.perf_counter()
        while self._again and self._again[0][0] <= now:
            due, _, sent = heapq.heappop(self._again)
            if sent.over or sent.interval == math.inf or now > sent.gives_up:
                continue
            self.send(sent.data, sent.address)
            self.retransmissions += 1
            sent.interval = sent.interval * 2 if sent.is_invite else min(sent.interval * 2, T2)
            heapq.heappush(self._again, (due + sent.interval, next(self._numbers), sent))
        self._ticking = asyncio.get_running_loop().call_later(_TICK, self._tick)
