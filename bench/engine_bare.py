"""What is left of `bench.engine_sender` when all of ours is taken away: ngh2 on uvloop, and nothing that may go wrong.

It shows what the machine makes of the library itself: `python -m bench.engine_bare PORT CA_FILE COUNT IN_FLIGHT`.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import sys
import uuid
from collections.abc import Iterator
from typing import cast

import msgspec
import ngh2
import uvloop

from bench.engine_sender import ALWAYS, BODY, EXPIRATION, PATHS, WARM_UP
from ringback.collector import calm_collector

FIRST = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"127.0.0.1")]


class Bare(asyncio.BufferedProtocol):
    """A connection that believes everything that it is told."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._http = ngh2.Connection(ngh2.Role.CLIENT)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._buffer = memoryview(bytearray(65_536))
        self._is_due = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TLS handshake is over."""
        self._transport = cast("asyncio.Transport", transport)
        self._http.initiate_connection()
        self._write()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # there is one
        """Where to put what comes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Some bytes came."""
        self._http.receive_data(self._buffer[:nbytes])
        for event in self._http.events():
            if isinstance(event, ngh2.ResponseReceived):
                self._waiting.pop(event.stream_id).set_result(event.headers[0][1])
            elif isinstance(event, ngh2.SettingsReceived) and not self.ready.done():
                self.ready.set_result(None)
        self._write()

    def send(self, path: bytes, apns_id: bytes) -> asyncio.Future[bytes]:
        """Its status, later."""
        fields = [*FIRST, (b":path", path), *ALWAYS, EXPIRATION, ngh2.NeverIndexedHeader(b"apns-id", apns_id)]
        stream = self._http.send_request(fields)
        self._http.send_data(stream, BODY, end_stream=True)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._write)
        answer = self._waiting[stream] = self._loop.create_future()
        return answer

    def _write(self) -> None:
        self._is_due = False
        if data := self._http.data_to_send():
            self._transport.write(data)


async def main(port: int, ca_file: str, count: int, in_flight: int) -> None:
    """Sends, and prints one JSON line."""
    tls = ssl.create_default_context(cafile=ca_file)
    tls.set_alpn_protocols(["h2"])
    loop, connections = asyncio.get_running_loop(), []
    for _ in range(2):
        _, connection = await loop.create_connection(Bare, "127.0.0.1", port, ssl=tls, server_hostname="127.0.0.1")
        await connection.ready
        connections.append(connection)
    ids = [str(uuid.uuid4()).encode() for _ in range(count)]
    await _send(connections, ids[:WARM_UP], in_flight)
    calm_collector()  # as `ringback serve` does when it has started
    before = resource.getrusage(resource.RUSAGE_SELF)
    await _send(connections, ids, in_flight)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(msgspec.json.encode({"requests": count, "cpuSeconds": used}).decode())


async def _send(connections: list[Bare], ids: list[bytes], in_flight: int) -> None:
    numbered = enumerate(ids)
    await asyncio.gather(*[_worker(connections, numbered) for _ in range(in_flight)])


async def _worker(connections: list[Bare], numbered: Iterator[tuple[int, bytes]]) -> None:
    for number, apns_id in numbered:
        status = await connections[number % 2].send(PATHS[number % 1000], apns_id)
        if status != b"200":
            raise RuntimeError(f"the sink answered {status!r}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
