"""The other side of the endpoint, on plain sockets: writes what it likes, and reads what comes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Self, cast

from ringback.protocols.sip.message import Request, Response, parse_message
from ringback.sip import IncomingRequest, SipAddress

SECONDS = 60.0
"""How long anything may take; only a failing test waits so long."""


async def until(condition: Callable[[], object]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 nobody tells of what the tests wait for
            await asyncio.sleep(0.002)


def write(
    method: str,
    *more: str,
    uri: str = "sip:bob@example.org",
    branch: str = "z9hG4bK1",
    via: str = "SIP/2.0/UDP 127.0.0.1:{port};branch={branch};rport",
    call_id: str = "call-1",
    number: int = 1,
    from_: str = "<sip:alice@example.org>;tag=a1",
    to: str = "<sip:bob@example.org>",
    hops: int = 70,
    body: bytes = b"",
    port: int = 5060,
) -> bytes:
    """A request; `more` are further lines of its header."""
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: " + via.format(port=port, branch=branch),
        f"From: {from_}",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {number} {method}",
        f"Max-Forwards: {hops}",
        *more,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


class Handler:
    """Keeps every new request; `answer` is called with each."""

    def __init__(self, answer: Callable[[IncomingRequest], object] | None = None) -> None:
        self.requests: list[IncomingRequest] = []
        self.acks: list[Request] = []
        self.answer = answer

    def on_request(self, incoming: IncomingRequest) -> None:
        self.requests.append(incoming)
        if self.answer is not None:
            self.answer(incoming)

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        del source
        self.acks.append(ack)

    async def next(self, count: int = 1) -> IncomingRequest:
        """The request with this number, from 1, once it is there."""
        await until(lambda: len(self.requests) >= count)
        return self.requests[count - 1]


class _Peer:
    """What comes is in `raw`, each different message once in `came`: a slow test sees copies, and none may matter."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Request | Response] = asyncio.Queue()
        self.raw: list[bytes] = []
        self.port = 0

    def took(self, data: bytes) -> None:
        if data not in self.raw:
            self.came.put_nowait(parse_message(data))
        self.raw.append(data)

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    async def message(self) -> Request | Response:
        """The next message, whatever it is."""
        async with asyncio.timeout(SECONDS):
            return await self.came.get()

    async def response(self, status: int) -> Response:
        """The next message, which must be this answer."""
        message = await self.message()
        assert isinstance(message, Response), message
        assert message.status == status, message
        return message

    async def request(self, method: str) -> Request:
        """The next message, which must be this request."""
        message = await self.message()
        assert isinstance(message, Request), message
        assert message.method == method, message
        return message

    async def copies(self, message: Request | Response, count: int) -> None:
        """Waits until a message has come so often in all."""
        data = message.encode()
        await until(lambda: self.raw.count(data) >= count)

    async def nothing(self) -> None:
        """Nothing else has come: what is asked now is answered next."""
        asked = f"nothing-{len(self.raw)}"
        self.send(write("OPTIONS", port=self.port, branch=f"z9hG4bK{asked}", call_id=asked, via=self.via))
        answer = await self.response(200)
        assert answer.call_id == asked

    via = "SIP/2.0/UDP 127.0.0.1:{port};branch={branch};rport"


class UdpPeer(_Peer, asyncio.DatagramProtocol):
    """One UDP socket that speaks to one address."""

    def __init__(self, to: SipAddress) -> None:
        super().__init__()
        self.to = to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]
        self.address = SipAddress("udp", "127.0.0.1", self.port)

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        self.took(data)

    def send(self, data: bytes) -> None:
        self._transport.sendto(data, (self.to.host, self.to.port))

    @classmethod
    async def open(cls, to: SipAddress, host: str = "127.0.0.1") -> Self:
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(to), local_addr=(host, 0))
        return made

    def close(self) -> None:
        self._transport.close()


class StreamPeer(_Peer, asyncio.Protocol):
    """One connection. Reads messages by the Content-Length that stands last in each header of ours."""

    via = "SIP/2.0/TCP 127.0.0.1:{port};branch={branch};rport"

    def __init__(self) -> None:
        super().__init__()
        self._buffer = b""
        self.is_closed = False
        self.pongs = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            if self._buffer.startswith(b"\r\n"):
                self._buffer = self._buffer[2:]
                self.pongs += 1
                continue
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            length = int(head.rpartition(b"Content-Length: ")[2])
            if len(rest) < length:
                return
            self.took(head + blank + rest[:length])
            self._buffer = rest[length:]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_closed = True

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    @classmethod
    async def open(cls, to: SipAddress, *, tls: ssl.SSLContext | None = None) -> Self:
        name = to.host if tls is not None else None
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(cls, to.host, to.port, ssl=tls, server_hostname=name)
        return made

    def close(self) -> None:
        self.transport.abort()
