"""A bad line: forwards datagrams both ways, loses some, doubles some, or keeps them until it is told to let go.

The answers come back the same way: whatever passes towards the target asks for that (`rport` in its topmost Via).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from typing import cast

_VIA = re.compile(rb"^(?:Via|v)[ \t]*:[^\r\n,]*", re.IGNORECASE | re.MULTILINE)
Address = tuple[str, int]


class Forwarder(asyncio.DatagramProtocol):
    """One line to one target. `lost` and `doubled`: shares of the datagrams; the same one is lost only once."""

    def __init__(self, target: Address, lost: float, doubled: float, seed: int) -> None:
        self._target = target
        self._shares = (lost, doubled)
        self._random = random.Random(seed)
        self._seen: set[tuple[bool, bytes]] = set()
        self._clients: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._held: list[tuple[bytes, Address]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0
        self.doubled = 0

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        target: str, *, port: int = 0, lost: float = 0, doubled: float = 0, seed: int = 1
    ) -> AsyncIterator[Forwarder]:
        """`target`: HOST:PORT."""
        host, _, target_port = target.rpartition(":")
        loop = asyncio.get_running_loop()
        transport, forwarder = await loop.create_datagram_endpoint(
            lambda: Forwarder((host, int(target_port)), lost, doubled, seed), ("127.0.0.1", port)
        )
        try:
            yield forwarder
        finally:
            transport.close()
            for client in forwarder._clients.values():
                client.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def hold(self) -> None:
        """From now on nothing passes towards the target."""
        self._held = []

    def release(self) -> None:
        """What was kept passes, in order."""
        held, self._held = self._held or [], None
        for data, client in held:
            self._forward(data, client)

    @property
    def held(self) -> int:
        """How many datagrams wait."""
        return len(self._held or ())

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self._held is not None:
            self._held.append((data, addr))
        else:
            self._forward(data, addr)

    def _forward(self, data: bytes, client: Address) -> None:
        for one in self._fate(data, to_target=True):
            asked = one if one.startswith(b"SIP/2.0") else _VIA.sub(_with_rport, one, count=1)
            if client in self._clients:
                self._clients[client].sendto(asked, self._target)
            elif client in self._opening:
                self._opening[client].append(asked)
            else:
                self._opening[client] = [asked]
                task = asyncio.get_running_loop().create_task(self._open(client))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _open(self, client: Address) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Back(self, client), ("127.0.0.1", 0))
        self._clients[client] = transport
        for data in self._opening.pop(client):
            transport.sendto(data, self._target)

    def back(self, data: bytes, client: Address) -> None:
        """From the target."""
        for one in self._fate(data, to_target=False):
            self._transport.sendto(one, client)

    def _fate(self, data: bytes, *, to_target: bool) -> list[bytes]:
        lost, doubled = self._shares
        again = (to_target, data) in self._seen
        self._seen.add((to_target, data))
        if not again and self._random.random() < lost:
            self.lost += 1
            return []
        if self._random.random() < doubled:
            self.doubled += 1
            return [data, data]
        return [data]


def _with_rport(via: re.Match[bytes]) -> bytes:
    return via[0] if b"rport" in via[0] else via[0] + b";rport"


class _Back(asyncio.DatagramProtocol):
    """The socket that one client has towards the target."""

    def __init__(self, forwarder: Forwarder, client: Address) -> None:
        self._forwarder = forwarder
        self._client = client

    def datagram_received(self, data: bytes, addr: Address) -> None:  # noqa: ARG002
        self._forwarder.back(data, self._client)
