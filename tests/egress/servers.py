"""Servers that an outbound request may meet, and resolvers that send it there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Listening:
    """A TCP server on this machine that counts who came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.heads: list[bytes] = []


@contextlib.asynccontextmanager
async def listening(
    speak: Speak | bytes = OK, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listening]:
    """Answers each request with `speak`: bytes, or a coroutine that has the connection after the request's head."""
    here = Listening(0)

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                here.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if not isinstance(speak, bytes):
                    await speak(reader, writer)
                    break
                writer.write(speak)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(on_connection, host, 0, ssl=tls)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()


@contextlib.asynccontextmanager
async def connect_proxy() -> AsyncIterator[Listening]:
    """A CONNECT proxy that does what it is asked."""

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = here.heads[-1].split()[1].decode().rpartition(":")
        outside = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, outside[1]), _pump(outside[0], writer))

    async with listening(tunnel) as here:
        yield here


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
    target.close()


class Names:
    """A resolver: each look at a name gives the next address; the last one stays."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked = 0

    async def addresses(self, host: str, *, owner: str = "", urgent: bool = False) -> list[str]:  # noqa: ARG002
        address = self._addresses[min(self.asked, len(self._addresses) - 1)]
        self.asked += 1
        return [address]

    def close(self) -> None:
        pass


class NameServers:
    """`socket.getaddrinfo` where names of tarpit.example have a slow name server, and all others are this machine."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = "127.0.0.1"
        self.fails = False
        self.gives_up = threading.Event()

    def __call__(self, host: str, *options: Any, **more: Any) -> Any:
        self.asked.append(host)
        if host.endswith("tarpit.example"):
            self.gives_up.wait(120)
            raise socket.gaierror(socket.EAI_AGAIN, "slow")
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "fails")
        return socket.getaddrinfo(self.address, *options, **more)
