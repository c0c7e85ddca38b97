"""The reference of `bench.wakeup_kamailio`: the least that wakes a phone, on sipmessage and asyncio.

`python -m bench.wakeup_reference LISTEN PROXY PHONE SECONDS`, each place HOST:PORT. The calls go the same way through
the same proxy; left out are the directory and the record (there is no database), early media, and HTTP/2 with TLS: in
the place of a push it registers PHONE itself, so many seconds later. It does what the first prototype did, whose
1.3 ms a call became the figure of the bench: what it takes here says how fast this machine is.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import cast

import msgspec
from sipmessage import Message, Request, Response

from bench.process import cpu_seconds
from bench.wakeup_state import State

T1, T2, T4 = 0.5, 4.0, 5.0
WAKE_SECONDS = 30
_CONTACT = "{urn:ietf:params:xml:ns:reginfo}contact"
_REPEATED = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
_SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n"


class _Served:
    """A server transaction over UDP: timers G, H, I and J."""

    def __init__(self, server: _Server, request: Request, peer: tuple[str, int], key: tuple[object, ...]) -> None:
        self.request = request
        self.last = b""
        self._server = server
        self._peer = peer
        self._key = key
        self._tag = secrets.token_hex(6)
        self._pause = T1
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def respond(self, status: int, reason: str, contact: str = "", body: bytes = b"") -> None:
        answer = Response(status, reason)
        for name in _REPEATED:
            values = self.request.headers.getlist(name)
            if values:
                answer.headers.setlist(name, list(values))
        if status > 100 and ";tag=" not in answer.headers["To"]:
            answer.headers.set("To", f"{answer.headers['To']};tag={self._tag}")
        if contact:
            answer.headers.add("Contact", contact)
        if body:
            answer.headers.set("Content-Type", "application/sdp")
        answer.body = body
        answer.headers.set("Content-Length", str(len(body)))
        self.last = bytes(answer)
        self._server.send(self.last, self._peer)
        if status >= 200:
            loop = self._server.loop
            self._ends_at = loop.time() + 64 * T1
            is_invite = self.request.method == "INVITE"
            self._timer = loop.call_later(T1 if is_invite else 64 * T1, self._again if is_invite else self._end)

    def acknowledged(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._server.loop.call_later(T4, self._end)

    def _again(self) -> None:
        if self._server.loop.time() >= self._ends_at:
            self._end()
            return
        self._server.send(self.last, self._peer)
        self._pause = min(2 * self._pause, T2)
        self._timer = self._server.loop.call_later(self._pause, self._again)

    def _end(self) -> None:
        self._server.served.pop(self._key, None)


class _Server(asyncio.DatagramProtocol):
    def __init__(self, own: tuple[str, int], proxy: tuple[str, int], phone: str, seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.served: dict[tuple[object, ...], _Served] = {}
        self.waiting = 0
        self._asked: dict[tuple[str, str], Callable[[Response], None]] = {}
        self._active: dict[str, asyncio.Event] = {}
        self._own = "{}:{}".format(*own)
        self._proxy = proxy
        self._phone = phone
        self._seconds = seconds
        self._tasks: set[asyncio.Task[object]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)

    def send(self, data: bytes, peer: tuple[str, int]) -> None:
        self._transport.sendto(data, peer)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message.parse(data)
        via = message.via[0]
        branch, method = via.parameters["branch"] or "", message.cseq.method
        if isinstance(message, Response):
            told = self._asked.get((branch, method))
            if told is not None:
                told(message)
            return
        assert isinstance(message, Request)
        key = (branch, via.host, via.port, "INVITE" if method == "ACK" else method)
        known = self.served.get(key)
        if method == "ACK":
            if known is not None:
                known.acknowledged()
        elif known is not None:
            self.send(known.last, addr)
        else:
            self.served[key] = served = _Served(self, message, addr, key)
            self._on_new(served)

    def _on_new(self, served: _Served) -> None:
        method = served.request.method
        if method == "INVITE":
            self._spawn(self._wake(served))
        elif method == "NOTIFY":
            self._on_notify(served)
        elif method == "OPTIONS":
            served.respond(200, "OK")
        else:
            served.respond(405, "Method Not Allowed")

    def _on_notify(self, served: _Served) -> None:
        active = self._active.get(served.request.call_id)
        if active is None:
            served.respond(481, "Subscription Does Not Exist")
            return
        served.respond(200, "OK")
        body = served.request.body
        contacts = ET.fromstring(body).iter(_CONTACT) if body.strip() else ()  # noqa: S314 of our own Kamailio
        if any(one.get("state") == "active" for one in contacts):
            active.set()

    async def _wake(self, served: _Served) -> None:
        """The seed's twelve steps."""
        self.waiting += 1
        served.respond(100, "Trying")
        served.respond(183, "Session Progress", f"<sip:{self._own}>", _SDP)
        uri = served.request.uri
        callee = f"sip:{uri.user}@{uri.host}"
        call_id, local = secrets.token_hex(8), f"<sip:as@{self._own}>;tag={secrets.token_hex(6)}"
        active = self._active[call_id] = asyncio.Event()
        answer = await self._subscribe(callee, call_id, local, f"<{callee}>", 1, WAKE_SECONDS)
        if not active.is_set():
            self._spawn(self._register(f"{uri.user}", f"{uri.host}"))
        await asyncio.wait_for(active.wait(), WAKE_SECONDS)
        served.respond(302, "Moved Temporarily", f"<{uri}>")
        self.waiting -= 1
        self._spawn(self._subscribe(callee, call_id, local, answer.headers["To"], 2, 0))
        self.loop.call_later(40, self._active.pop, call_id, None)

    async def _register(self, user: str, domain: str) -> None:
        """The phone that was woken."""
        await asyncio.sleep(self._seconds)
        await self._ask("REGISTER", f"sip:{domain}", [
            f"From: <sip:{user}@{domain}>;tag={secrets.token_hex(4)}",
            f"To: <sip:{user}@{domain}>",
            f"Call-ID: {secrets.token_hex(8)}",
            "CSeq: 1 REGISTER",
            f"Contact: {self._phone}",
            "Expires: 300",
        ])  # fmt: skip

    async def _subscribe(
        self, callee: str, call_id: str, local: str, remote: str, number: int, expires: int
    ) -> Response:
        return await self._ask("SUBSCRIBE", callee, [
            f"From: {local}",
            f"To: {remote}",
            f"Call-ID: {call_id}",
            f"CSeq: {number} SUBSCRIBE",
            f"Contact: <sip:as@{self._own}>",
            "Event: reg",
            "Accept: application/reginfo+xml",
            f"Expires: {expires}",
        ])  # fmt: skip

    async def _ask(self, method: str, uri: str, fields: list[str]) -> Response:
        """A client transaction over UDP: timers E, F and K."""
        branch = f"z9hG4bK{secrets.token_hex(10)}"
        via = f"Via: SIP/2.0/UDP {self._own};branch={branch};rport"
        lines = [f"{method} {uri} SIP/2.0", via, "Max-Forwards: 70", *fields, "Content-Length: 0", "", ""]
        data = "\r\n".join(lines).encode()
        key = (branch, method)
        waiter: asyncio.Future[Response] = self.loop.create_future()

        def told(answer: Response) -> None:
            if answer.code >= 200 and not waiter.done():
                waiter.set_result(answer)

        self._asked[key] = told
        pause, ends_at = T1, self.loop.time() + 64 * T1
        try:
            while True:
                self.send(data, self._proxy)
                try:
                    return await asyncio.wait_for(asyncio.shield(waiter), pause)
                except TimeoutError:
                    if self.loop.time() >= ends_at:
                        raise
                    pause = min(2 * pause, T2)
        finally:
            self.loop.call_later(T4, self._asked.pop, key, None)

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[object] = self.loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def main(listen: str, proxy: str, phone: str, seconds: float) -> None:
    """Serves until its input ends."""
    loop = asyncio.get_running_loop()
    own, at = _place(listen), _place(proxy)
    _, server = await loop.create_datagram_endpoint(lambda: _Server(own, at, phone, seconds), own)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(msgspec.json.encode(State(server.waiting, cpu_seconds(os.getpid()))).decode(), flush=True)


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
