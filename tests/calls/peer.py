"""A SIP peer that does exactly what a test says: a UDP socket, text out, text in. It knows nothing of our own code."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, cast

CRLF = "\r\n"


class Message(NamedTuple):
    """What came in: the first line, the header fields in order, the body."""

    start: str
    fields: list[tuple[str, str]]
    body: str

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split(" ")[0]

    @property
    def uri(self) -> str:
        """Of a request."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer; 0 of a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    def get(self, name: str) -> str:
        """The first value of a field, "" without one."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def to_tag(self) -> str:
        """The tag of To, "" without one."""
        return self.get("To").partition(";tag=")[2]


def read(data: bytes) -> Message:
    """One message."""
    head, _, body = data.decode("utf-8", "replace").partition(CRLF * 2)
    start, *lines = head.split(CRLF)
    fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Message(start, fields, body)


def write(start: str, fields: list[tuple[str, str]], body: str = "") -> bytes:
    """One message, with its Content-Length."""
    lines = [start, *(f"{name}: {value}" for name, value in fields), f"Content-Length: {len(body.encode())}"]
    return (CRLF.join(lines) + CRLF * 2 + body).encode()


class Peer(asyncio.DatagramProtocol):
    """One socket. What came and was not asked for yet waits in `waiting`."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.came: list[Message] = []
        self.answer_by_itself: Callable[[Message], bool] = lambda _: False
        self._news = asyncio.Event()

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(host: str = "127.0.0.1") -> AsyncIterator[Peer]:
        """On a free port."""
        loop = asyncio.get_running_loop()
        transport, peer = await loop.create_datagram_endpoint(Peer, (host, 0))
        try:
            yield peer
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # of 3.11 it is none by class
        self.host, self.port = transport.get_extra_info("sockname")[:2]

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        if not data.strip():
            return
        message = read(data)
        self.came.append(message)
        if not self.answer_by_itself(message):
            self.waiting.append(message)
        self._news.set()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """As it is."""
        self._transport.sendto(data, to)

    async def expect(self, what: str | int | Callable[[Message], bool], seconds: float = 60) -> Message:
        """The first message that waits and is this method, or this status; it waits no longer."""
        fits = what if callable(what) else (lambda m: m.status == what if isinstance(what, int) else m.method == what)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for message in self.waiting:
                        if fits(message):
                            self.waiting.remove(message)
                            return message
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"No {what}; there came: {[m.start for m in self.came]}") from None
