"""Before TLS: a connection is counted when it comes, not when its handshake is done (see `ringback.handshakes`)."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import cast

from ringback.handshakes import BeforeTls
from ringback.sip.counters import SipCounters
from ringback.sip.limits import Trusted, sender_of
from ringback.sip.model import SipLimits
from ringback.sip.transports import StreamFlow, address_of


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


class _Waiting(BeforeTls):
    """One connection whose handshake is not done."""

    def __init__(self, gate: Gate, context: ssl.SSLContext, make: Callable[[], StreamFlow]) -> None:
        super().__init__(context, make)
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        stream = cast("asyncio.Transport", transport)
        host = address_of("tls", stream.get_extra_info("peername")).host
        loop = asyncio.get_running_loop()
        if not self._gate.take(host, lambda: loop.create_task(self.shake_hands(stream))):
            stream.abort()
