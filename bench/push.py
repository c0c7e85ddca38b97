"""From the queue to the recorded result, encrypted, over HTTP/2 and TLS; and how long a call waits behind messages.

The sink is nginx on the second core; the sender, one process with the store in it, has the first core. The reference of
the whole path is the engine alone, on the same sink in the same run.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench import engine
from bench.figure import Figure
from bench.postgres import durable_postgres
from bench.push_sender import Result, Task
from ringback.store import PostgresLocation, SqliteLocation
from ringback.store.migrate import upgrade

PUSHES = 20_000
ROUNDS = 3
MIXED_SECONDS = 6.0
BACKGROUND = 2_000
CALLS = 50
RUN_SECONDS = 120


async def whole_path() -> list[Figure]:
    """On SQLite and on PostgreSQL."""
    ours, theirs, engines, clock = [], [], [], []
    with engine.sink() as sink:
        async with durable_postgres(databases=ROUNDS) as urls:
            for url in urls:
                await asyncio.to_thread(upgrade, PostgresLocation(url))
                result = await _on_sqlite(sink, pushes=PUSHES)
                ours.append(_rate(result))
                clock.append(result.pushes / result.seconds)
                theirs.append(_rate(await _sender(sink, url, pushes=PUSHES)))
                engines.append(await asyncio.to_thread(engine.engine_rate, sink))
    detail = f"{PUSHES} queued, JWE, settled in the store; {statistics.median(clock):,.0f}/s by the clock"
    reference = statistics.median(engines)
    return [
        Figure(
            name="push", figure=statistics.median(ours), unit="pushes/CPU-s", target=8_000, reference=reference,
            detail=f"{detail}; the reference is the engine alone",
        ),
        Figure(
            name="push-postgres", figure=statistics.median(theirs), unit="pushes/CPU-s", target=8_000,
            reference=reference, detail="the same on PostgreSQL, CPU of the sender alone",
        ),
    ]  # fmt: skip


async def calls_among_messages() -> list[Figure]:
    """From `CallPushes.send` to the provider's answer, which is a little later than to the wire."""
    with engine.sink() as sink:
        rounds = [
            await _on_sqlite(sink, seconds=MIXED_SECONDS, background=BACKGROUND, calls=CALLS) for _ in range(ROUNDS)
        ]
    result = sorted(rounds, key=lambda one: one.p99_ms)[ROUNDS // 2]
    return [
        Figure(
            name="call-push", figure=result.p99_ms, unit="ms", target=20, better="lower",
            detail=f"p99 of {result.pushes} calls to the answer (p50 {result.p50_ms:.1f} ms, worst"
            f" {result.worst_ms:.1f} ms), median of {ROUNDS} rounds,"
            f" under {BACKGROUND} encrypted messages a second in the same process",
        )
    ]  # fmt: skip


async def _on_sqlite(sink: engine.Sink, **what: float) -> Result:
    with tempfile.TemporaryDirectory(prefix="ringback-push-") as folder:
        database = Path(folder) / "ringback.db"
        await asyncio.to_thread(upgrade, SqliteLocation(database))
        return await _sender(sink, str(database), **what)


async def _sender(sink: engine.Sink, database: str, **what: float) -> Result:
    task = Task(
        url=f"https://127.0.0.1:{sink.port}",
        authority=str(sink.authority),
        key=str(sink.key),
        database=database,
        **what,  # type: ignore[arg-type]
    )

    def pin() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def run() -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "bench.push_sender"], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE,
            input=msgspec.json.encode(task), timeout=RUN_SECONDS, check=True, preexec_fn=pin,
        )  # fmt: skip
        return done.stdout

    return msgspec.json.decode(await asyncio.to_thread(run), type=Result)


def _rate(result: Result) -> float:
    return result.pushes / result.cpu_seconds
