"""What a caller hears: a port that counts packets of RTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Ear(asyncio.DatagramProtocol):
    """Where a caller listens for RTP."""

    port: int

    def __init__(self) -> None:
        self.packets = 0
        self._news = asyncio.Event()

    @staticmethod
    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Ear]:
        """On a free port."""
        loop = asyncio.get_running_loop()
        transport, ear = await loop.create_datagram_endpoint(Ear, ("127.0.0.1", 0))
        ear.port = transport.get_extra_info("sockname")[1]
        try:
            yield ear
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        self.packets += len(data) > 12 and data[0] == 0x80
        self._news.set()

    async def until_heard(self, packets: int) -> None:
        """So many packets of RTP came."""
        async with asyncio.timeout(60):
            while self.packets < packets:
                self._news.clear()
                await self._news.wait()
