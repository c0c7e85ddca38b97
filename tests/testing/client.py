"""An HTTP/2 client that shows what a provider sends: answers, resets, SETTINGS, GOAWAY, the end of the connection.

On `h2`, but GOAWAY frames are taken out of its sight: it reads nothing any more after one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes

from ringback.testing import ApnsDouble, CertificateFiles

PATIENCE = 30
GOAWAY = 0x7
DEVICE = "ab" * 32
TOPIC = "com.example.app"


class StreamWasReset(Exception):
    """RST_STREAM with a code."""


class ConnectionWasLost(Exception):
    """No answer will come any more."""


class GoAway(NamedTuple):
    code: int
    last_stream: int
    debug: bytes


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    stream: int
    body: bytes = b""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["reason"]) if self.body else ""


class _Unbounded(H2Connection):
    """Opens more streams than it is allowed to, if it is told to."""

    @property
    def open_outbound_streams(self) -> int:
        return -1


@dataclass
class Client(asyncio.Protocol):
    """One connection. `limits`: every number of streams that SETTINGS allowed, in order."""

    limits: list[int] = field(default_factory=list)
    goaways: list[GoAway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lost = asyncio.Event()
        self.settled = asyncio.Event()
        self._ponged = asyncio.Event()
        self._h2 = _Unbounded(H2Configuration(header_encoding="utf-8"))
        self._answers: dict[int, Answer] = {}
        self._futures: dict[int, asyncio.Future[Answer]] = {}
        self._rest = b""
        self._transport: Any = None

    @classmethod
    async def open(
        cls, url: str, ca_file: Path, certificate: CertificateFiles | None = None, *, alpn: bool = True
    ) -> Self:
        tls = ssl.create_default_context(cafile=str(ca_file))
        if alpn:
            tls.set_alpn_protocols(["h2"])
        if certificate is not None:
            tls.load_cert_chain(certificate.certificate, certificate.key)
        address = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, address.hostname, address.port, ssl=tls)
        await asyncio.wait_for(client.settled.wait(), PATIENCE)
        return client

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 9 and len(self._rest) >= (end := 9 + int.from_bytes(self._rest[:3], "big")):
            frame, self._rest = self._rest[:end], self._rest[end:]
            if frame[3] == GOAWAY:
                last, code = int.from_bytes(frame[9:13], "big"), int.from_bytes(frame[13:17], "big")
                self.goaways.append(GoAway(code, last, frame[17:]))
                continue
            for event in self._h2.receive_data(frame):
                self._event(event)
        self._flush()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()
        self.settled.set()
        for future in self._futures.values():
            if not future.done():
                future.set_exception(ConnectionWasLost())

    def _event(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged(changed_settings=changed):
                if SettingCodes.MAX_CONCURRENT_STREAMS in changed:
                    self.limits.append(changed[SettingCodes.MAX_CONCURRENT_STREAMS].new_value)
                self.settled.set()
            case ResponseReceived(stream_id=stream, headers=headers):
                fields = dict(headers)
                self._answers[stream] = Answer(int(fields.pop(":status")), fields, stream)
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self._answers[stream].body += data
                self._h2.acknowledge_received_data(length, stream)
            case StreamEnded(stream_id=stream):
                self._futures[stream].set_result(self._answers[stream])
            case StreamReset(stream_id=stream, error_code=code):
                self._futures[stream].set_exception(StreamWasReset(int(code)))
            case PingAckReceived():
                self._ponged.set()
            case _:
                pass

    def send(
        self, path: str, headers: list[tuple[str, str]], body: bytes = b"{}", method: str = "POST", parts: int = 1
    ) -> asyncio.Future[Answer]:
        """Opens a stream, whatever SETTINGS say, and gives the answer that is to come."""
        stream = self._h2.get_next_available_stream_id()
        future = self._futures[stream] = asyncio.get_running_loop().create_future()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self._h2.send_headers(stream, [*pseudo, *headers], end_stream=not body)
        size = -(-len(body) // parts) if body else 1
        for start in range(0, len(body), size):
            self._h2.send_data(stream, body[start : start + size], end_stream=start + size >= len(body))
        self._flush()
        return future

    @property
    def first_window(self) -> int:
        """Bytes that may be sent on a new stream unasked."""
        return self._h2.remote_settings.initial_window_size

    async def ping(self) -> None:
        """Returns when everything that was sent before has been seen."""
        self._ponged.clear()
        self._h2.ping(b"12345678")
        self._flush()
        await asyncio.wait_for(self._ponged.wait(), PATIENCE)

    async def request(
        self, path: str, headers: list[tuple[str, str]], body: bytes = b"{}", method: str = "POST"
    ) -> Answer:
        return await asyncio.wait_for(self.send(path, headers, body, method), PATIENCE)

    async def until_lost(self) -> None:
        await asyncio.wait_for(self.lost.wait(), PATIENCE)

    def close(self) -> None:
        self._transport.close()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


@dataclass
class Pusher:
    """Pushes to an APNs double, with a JWT of its key, or by certificate."""

    client: Client
    double: ApnsDouble
    jwt: str = ""

    @classmethod
    async def open(cls, double: ApnsDouble, certificate: CertificateFiles | None = None) -> Self:
        client = await Client.open(double.url, double.ca_file, certificate)
        jwt = "" if certificate else double.key.sign(double.clock.now_ms() // 1000)
        return cls(client, double, jwt)

    def headers(self, changed: Mapping[str, str | None]) -> list[tuple[str, str]]:
        found: dict[str, str | None] = {"apns-topic": TOPIC, "apns-push-type": "alert"}
        if self.jwt:
            found["authorization"] = f"bearer {self.jwt}"
        return [(name, value) for name, value in {**found, **changed}.items() if value is not None]

    def start(self, device: str = DEVICE, body: bytes = b'{"aps":{}}', **changed: str | None) -> asyncio.Future[Answer]:
        headers = self.headers({name.replace("_", "-"): value for name, value in changed.items()})
        return self.client.send(f"/3/device/{device}", headers, body)

    async def push(self, device: str = DEVICE, body: bytes = b'{"aps":{}}', **changed: str | None) -> Answer:
        return await asyncio.wait_for(self.start(device, body, **changed), PATIENCE)
