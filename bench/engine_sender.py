"""The sender whose CPU `bench.engine` measures: `python -m bench.engine_sender PORT CA_FILE COUNT IN_FLIGHT`."""

from __future__ import annotations

import asyncio
import resource
import secrets
import ssl
import sys
import uuid
from collections.abc import Iterator

import msgspec
import uvloop

from ringback.collector import calm_collector
from ringback.http2 import Indexing, Pool, PoolLimits, Request

APPLE = Indexing(
    never=frozenset({b":path", b"authorization"}),
    once=frozenset({b"apns-id", b"apns-expiration", b"apns-collapse-id"}),
)
BODY = msgspec.json.encode({
    "aps": {"alert": {"title": "Payment", "body": "Approve 1000 EUR?"}, "sound": "default"}, "operation": "x" * 180,
})  # fmt: skip
ALWAYS = (
    (b"authorization", b"bearer " + b"a" * 180),
    (b"apns-topic", b"com.example.bank"),
    (b"apns-push-type", b"alert"),
    (b"apns-priority", b"10"),
)
EXPIRATION = (b"apns-expiration", b"0")
PATHS = [b"/3/device/" + secrets.token_hex(32).encode() for _ in range(1000)]
WARM_UP = 4_000


async def main(port: int, ca_file: str, count: int, in_flight: int) -> None:
    """Sends, and prints one JSON line."""
    limits = PoolLimits(most_connections=2, most_streams_per_connection=in_flight // 2, reserved_streams_for_urgent=0)
    tls = ssl.create_default_context(cafile=ca_file)
    pool = Pool(host="127.0.0.1", port=port, tls=tls, limits=limits, indexing=APPLE)
    ids = [str(uuid.uuid4()).encode() for _ in range(count)]
    await _send(pool, ids[:WARM_UP], in_flight)
    calm_collector()  # as `ringback serve` does when it has started
    before = resource.getrusage(resource.RUSAGE_SELF)
    await _send(pool, ids, in_flight)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    await pool.close()
    print(msgspec.json.encode({"requests": count, "cpuSeconds": used}).decode())


async def _send(pool: Pool, ids: list[bytes], in_flight: int) -> None:
    numbered = enumerate(ids)
    await asyncio.gather(*[_worker(pool, numbered) for _ in range(in_flight)])


async def _worker(pool: Pool, numbered: Iterator[tuple[int, bytes]]) -> None:
    for number, apns_id in numbered:
        request = Request(PATHS[number % 1000], (EXPIRATION, (b"apns-id", apns_id)), BODY, shared=ALWAYS)
        answer = await pool.send(request, timeout_seconds=30)
        if answer.status != 200:
            raise RuntimeError(f"the sink answered {answer.status}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
