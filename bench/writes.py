"""Durable write transactions through HTTP: POST /v2/operations, product beside reference, on both databases.

The operations are silent, since the reference tells no phone either: the same rows are read and written on both sides.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from bench import peers
from bench.figure import Figure
from bench.postgres import durable_postgres
from ringback.softphone.load import LoadResult, prepared, run_load
from ringback.softphone.load_wire import http_request

CONNECTIONS = 64
ROUNDS = 3
PRODUCT_REQUESTS = 400
REFERENCE_REQUESTS = 40
PARAMETERS = {"amount": "1000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}


async def sqlite_writes() -> list[Figure]:
    """On SQLite with synchronous=FULL."""
    with tempfile.TemporaryDirectory(prefix="ringback-reference-") as folder:
        database = f"sqlite+aiosqlite:///{Path(folder) / 'reference.db'}"
        return [await _compare("writes-sqlite", "", database, target=5000, ratio=5)]


async def postgres_writes() -> list[Figure]:
    """On PostgreSQL on this machine."""
    async with durable_postgres(databases=2) as (url, other):
        orm_url = other.replace("postgresql://", "postgresql+asyncpg://")
        return [await _compare("writes-postgres", url, orm_url, target=3000, ratio=2.5)]


async def _compare(name: str, database: str, reference_database: str, *, target: float, ratio: float) -> Figure:
    ours, theirs = [], []
    async with peers.product(database) as product, peers.reference(reference_database) as reference:
        for round_number in range(ROUNDS + 1):
            ours.append(await _load(product, PRODUCT_REQUESTS, round_number))
            theirs.append(await _load(reference, REFERENCE_REQUESTS, round_number))
    # The first round warms both up.
    rate = statistics.median(result.rate for result in ours[1:])
    reference_rate = statistics.median(result.rate for result in theirs[1:])
    last = ours[-1]
    detail = (
        f"p99 {last.percentile(99):.1f} ms, server CPU {last.server_cpu_us or 0:.0f} µs a request"
        f" (reference {theirs[-1].server_cpu_us or 0:.0f} µs), {CONNECTIONS} connections"
    )
    return Figure(
        name=name, figure=rate, unit="durable tx/s", target=target, reference=reference_rate, ratio_target=ratio,
        detail=detail,
    )  # fmt: skip


async def _load(server: peers.Server, requests: int, round_number: int) -> LoadResult:
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}

    def lane(connection: int) -> list[bytes]:
        made = []
        for n in range(requests):
            user = f"user-{round_number}-{connection}-{n}"
            body = {"userId": user, "template": "payment", "language": "en", "silent": True}
            payload = json.dumps({**body, "parameters": PARAMETERS}).encode()
            made.append(
                http_request("POST", "/powerauth-cloud/v2/operations", host="127.0.0.1", headers=headers, body=payload)
            )
        return made

    lanes = [prepared(lane(connection)) for connection in range(CONNECTIONS)]
    result = await run_load("127.0.0.1", server.internal_port, lanes, server_pids=[server.pid])
    if result.statuses != {200: CONNECTIONS * requests}:
        raise RuntimeError(f"not every request was answered 200: {result.statuses}, {result.broken} broken")
    return result
