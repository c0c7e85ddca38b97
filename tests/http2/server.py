"""A scripted HTTP/2 server on `h2`, over real TLS: does to a client whatever a test wants, and counts what it got."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

LIMIT = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
HEADERS, RST_STREAM, GOAWAY, CONTINUATION = 0x1, 0x3, 0x7, 0x9
PATIENCE = 60

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """A request. `fields` in their order; the body as far as it came."""

    stream: int
    fields: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.fields)

    @property
    def path(self) -> bytes:
        return self.headers[b":path"]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as RFC 9113 §4.1 has it."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Peer(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.number = len(server.peers)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        if server.settings:
            codes = h2.settings.SettingCodes
            initial = {codes.MAX_FRAME_SIZE: 16_384, **server.settings}
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=initial)
        self.requests: dict[int, Received] = {}
        self.blocks: list[bytes] = []
        self.resets: list[int] = []
        self.pings = 0
        self.pongs = 0
        self.goodbye = False
        self.most_open = 0
        self.closed = False
        self.transport: asyncio.Transport
        self._open: set[int] = set()
        self._seen = bytearray()
        self._preface_is_due = True

    # what a script does

    def reply(self, stream: int, status: int = 200, body: bytes = b"", headers: Any = ()) -> None:
        self.h2.send_headers(stream, [(b":status", b"%d" % status), *headers], end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        self.ended(stream)
        self.flush()

    def reset(self, stream: int, code: int) -> None:
        self.h2.reset_stream(stream, code)
        self.ended(stream)
        self.flush()

    def goaway(self, last_stream: int, debug: bytes = b"", code: int = 0) -> None:
        """By hand: h2 would not go on answering after it."""
        self.raw(frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + debug))

    def set(self, settings: dict[Any, int]) -> None:
        self.h2.update_settings(settings)
        self.flush()

    def raw(self, data: bytes) -> None:
        self.flush()
        self.transport.write(data)

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def ended(self, stream: int) -> None:
        self._open.discard(stream)

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        self.server.peers.append(self)
        self.server.wake()
        if self.server.speaks:
            self.h2.initiate_connection()
            self.flush()
            self.server.on_connection(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.closed = True
        self.server.wake()

    def data_received(self, data: bytes) -> None:
        if not self.server.speaks:
            return
        self._record(data)
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.server.errors.append(repr(error))
            self.close()
            return
        for event in events:
            self._on(event)
        self.flush()
        self.server.wake()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            stream = event.stream_id or 0
            received = Received(stream, [(bytes(name), bytes(value)) for name, value in event.headers or ()])
            self.requests[stream] = received
            self.server.received.append(received)
            self._open.add(stream)
            self.most_open = max(self.most_open, len(self._open))
            self.server.on_head(self, received)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id or 0].body += event.data or b""
            if self.server.widens_windows:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.StreamEnded):
            self.server.on_request(self, self.requests[event.stream_id or 0])
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append(event.stream_id or 0)
            self.ended(event.stream_id or 0)
        elif isinstance(event, h2.events.PingReceived):
            self.pings += 1
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goodbye = True

    def _record(self, data: bytes) -> None:
        """Keeps the raw header blocks."""
        self._seen += data
        if self._preface_is_due:
            if len(self._seen) < 24:
                return
            del self._seen[:24]
            self._preface_is_due = False
        while len(self._seen) >= 9 and len(self._seen) >= (length := 9 + int.from_bytes(self._seen[:3], "big")):
            if self._seen[3] == HEADERS:
                self.blocks.append(bytes(self._seen[9:length]))
            del self._seen[:length]


class ScriptedServer:
    """Listens on a port. A test replaces `on_request`, `on_head` and `on_connection`; by default all is well."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self.received: list[Received] = []
        self.errors: list[str] = []
        self.settings: dict[Any, int] = {LIMIT: 1000}
        self.speaks = True
        self.widens_windows = True
        self.on_connection: Callable[[Peer], None] = lambda _: None
        self.on_head: Callable[[Peer, Received], None] = lambda _peer, _request: None
        self.on_request: Callable[[Peer, Received], None] = lambda peer, request: peer.reply(request.stream)
        self._changed = asyncio.Event()

    def wake(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something to be true of the server."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)

    @property
    def paths(self) -> list[bytes]:
        return [request.path for request in self.received]


@contextlib.asynccontextmanager
async def scripted(tls: ssl.SSLContext | None, **attributes: Any) -> AsyncIterator[ScriptedServer]:
    """A running server; `attributes` replace those of ScriptedServer."""
    server = ScriptedServer()
    for name, value in attributes.items():
        assert hasattr(server, name), name
        setattr(server, name, value)
    listening = await asyncio.get_running_loop().create_server(lambda: Peer(server), "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for peer in server.peers:
            peer.transport.abort()


async def until(condition: Callable[[], object]) -> None:
    """Waits for something to be true of the client."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # the client has no event for each thing that a test may ask
            await asyncio.sleep(0.005)
