"""Before TLS: a connection is known from the moment that it comes, not from the end of its handshake.

A server that leaves TLS to the event loop hears of nobody who connects and then says nothing: of those there may be as
many as there are open files, a minute each.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

HANDSHAKE_SECONDS: Final = 10.0


class BeforeTls(asyncio.Protocol):
    """One accepted connection whose handshake is not done. `make` makes what speaks inside, when it is."""

    def __init__(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._make = make
        self._early = b""

    def data_received(self, data: bytes) -> None:
        """What came before the handshake has begun, or together with its end."""
        self._early += data

    async def shake_hands(self, stream: asyncio.Transport) -> None:
        """To the end: `make` has the connection, or it is closed."""
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
        inside = self._make()
        secured.set_protocol(inside)
        inside.connection_made(secured)
        if self._early:
            inside.data_received(self._early)

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
