"""Before TLS: a connection is counted when it comes, not when its handshake is done.

Whoever opens connections and then says nothing would else hold as many of our files as there are, ten seconds each.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from ringback.sip.counters import SipCounters
from ringback.sip.limits import Trusted, sender_of
from ringback.sip.model import SipLimits
from ringback.sip.transports import StreamFlow, address_of

HANDSHAKE_SECONDS: Final = 10.0


class Gate:
    """Who stands before our TLS at the moment: no more than there may be connections, in all and of one address."""

    def __init__(self, *, limits: SipLimits, counters: SipCounters, trusted: Trusted) -> None:
        self._limits = limits
        self._counters = counters
        self._trusted = trusted
        self._waiting: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many handshakes are not done."""
        return self._waiting.total()

    def protocol(self, context: ssl.SSLContext, make: Callable[[], StreamFlow]) -> asyncio.Protocol:
        """For one connection that was just accepted; `make` is called when its handshake is done."""
        return _Waiting(self, context, make)

    def close(self) -> None:
        """Nobody comes in any more."""
        for task in self._tasks:
            task.cancel()

    def take(self, host: str, handshake: Callable[[], asyncio.Task[None]]) -> bool:
        """Whether this one may try; if so, until the handshake is over."""
        is_trusted, host = host in self._trusted, sender_of(host)
        if not is_trusted and (
            self._waiting[host] >= self._limits.connections_of_one or self.waiting >= self._limits.connections
        ):
            self._counters.refuse("connections")
            return False
        self._waiting[host] += 1
        task = handshake()
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._left(host, done))
        return True

    def _left(self, host: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._waiting[host] -= 1
        if not self._waiting[host]:
            del self._waiting[host]


class _Waiting(asyncio.Protocol):
    """One connection whose handshake is not done."""

    def __init__(self, gate: Gate, context: ssl.SSLContext, make: Callable[[], StreamFlow]) -> None:
        self._gate = gate
        self._context = context
        self._make = make
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        stream = cast("asyncio.Transport", transport)
        host = address_of("tls", stream.get_extra_info("peername")).host
        loop = asyncio.get_running_loop()
        if not self._gate.take(host, lambda: loop.create_task(self._shake_hands(stream))):
            stream.abort()

    def data_received(self, data: bytes) -> None:
        """What came before the handshake has begun, or together with its end."""
        self._early += data

    async def _secured(self, stream: asyncio.Transport) -> asyncio.Transport | None:
        loop = asyncio.get_running_loop()
        if stream.is_reading():
            stream.pause_reading()  # start_tls reads on
        handshake = loop.create_task(
            loop.start_tls(stream, self, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS)
        )
        early, self._early = self._early, b""
        if early:  # uvloop reads at once, whatever connection_made does
            for _ in range(2):  # until TLS stands where we stood, and has begun
                await asyncio.sleep(0)
            inside = cast("asyncio.BufferedProtocol", stream.get_protocol())
            while early and not stream.is_closing():
                room = memoryview(inside.get_buffer(len(early)))
                count = min(len(room), len(early))
                room[:count] = early[:count]
                inside.buffer_updated(count)
                early = early[count:]
        return await handshake

    async def _shake_hands(self, stream: asyncio.Transport) -> None:
        try:
            secured = await self._secured(stream)
        except (OSError, ssl.SSLError):
            stream.abort()
            return
        except asyncio.CancelledError:
            stream.abort()
            raise
        if secured is None or secured.is_closing():
            return
        flow = self._make()
        secured.set_protocol(flow)
        flow.connection_made(secured)
        if self._early:
            flow.data_received(self._early)
