"""Connections to a listener with TLS whose handshakes are not done: they count as connections do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from ringback.handshakes import BeforeTls


class Doorstep:
    """Stands in the place of uvicorn's protocol class, and makes the real one when a handshake is done.

    `most`: connections, those before their handshake included; who comes then is not let in.
    """

    def __init__(self, context: ssl.SSLContext, inside: Callable[..., asyncio.Protocol], *, most: int) -> None:
        self._context = context
        self._inside = inside
        self._most = most
        self._waiting: set[asyncio.Task[None]] = set()

    def __call__(self, *, server_state: Any, **options: Any) -> asyncio.Protocol:
        """For one connection that was just accepted, as uvicorn asks for it."""

        def make() -> asyncio.Protocol:
            return self._inside(server_state=server_state, **options)

        return _Waiting(self, self._context, make, server_state.connections)

    def take(self, shake_hands: Callable[[], asyncio.Task[None]], inside: int) -> bool:
        """Whether there is room beside so many that are inside; if so, the handshake has begun."""
        if len(self._waiting) + inside >= self._most:
            return False
        task = shake_hands()
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return True

    def close(self) -> None:
        """Nobody comes in any more."""
        for task in self._waiting:
            task.cancel()


class _Waiting(BeforeTls):
    """One of them."""

    def __init__(
        self, doorstep: Doorstep, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], connected: set[Any]
    ) -> None:
        super().__init__(context, make)
        self._doorstep = doorstep
        self._connected = connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        stream = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        if not self._doorstep.take(lambda: loop.create_task(self.shake_hands(stream)), len(self._connected)):
            stream.abort()
