"""A listener on a free port, and what is said to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from ringback.http import Listener, bind_address
from ringback.http.listener import Certificate


async def echo(_: dict[str, object], receive: object, send: object) -> None:
    """An application that answers `ok` and the body."""
    body = b""
    more = True
    while more:
        message = await receive()  # type: ignore[operator]
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-length", str(len(body) + 2).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b"ok" + body})  # type: ignore[operator]


@contextlib.asynccontextmanager
async def listening(app: Any = echo, certificate: Certificate | None = None, **options: int) -> AsyncIterator[int]:
    """A listener of the application, with TLS where there is a certificate; its port is the value."""
    listener = Listener(app, bind_address("test", "127.0.0.1", 0), certificate, **options)
    serving = asyncio.create_task(listener.serve())
    while not listener.ready:  # noqa: ASYNC110 - uvicorn has a flag, no event
        await asyncio.sleep(0.005)
    try:
        yield listener.port
    finally:
        listener.stop()
        await serving


class Client(asyncio.Protocol):
    """Keeps what came, also where the server closes with something unread, which resets the connection."""

    def __init__(self) -> None:
        self.heard = b""
        self.is_closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def eof_received(self) -> None:
        self.is_closed.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.is_closed.set()


async def talk(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Sends the pieces with a pause after each; returns all that comes back until the server closes."""
    transport, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    try:
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(pause)
        await asyncio.wait_for(client.is_closed.wait(), 60)
        return client.heard
    finally:
        transport.abort()
