"""What the server does on its own from time to time: expiry and cleaning, in units of work of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from ringback.errors import StoreUnavailable
from ringback.store import Store, Tx

_log = structlog.get_logger("ringback.jobs")
BATCH = 200


class Job(msgspec.Struct, frozen=True):
    """`unit(tx, limit)` does at most `limit` rows and returns how many it did."""

    name: str
    every_seconds: float
    unit: Callable[[Tx, int], Awaitable[int]]


async def run_jobs(store: Store, jobs: Sequence[Job]) -> None:
    """Runs every job at its interval until cancelled; one that fails is logged and tried again."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(_repeat(store, job))


async def _repeat(store: Store, job: Job) -> None:
    while True:
        try:
            done = await store.write(job.unit, BATCH)
        except StoreUnavailable:
            done = 0
        except Exception as error:  # noqa: BLE001 - a job that fails must not end the others
            _log.exception("a job failed", job=job.name, reason=str(error))
            done = 0
        # A full batch means that there may be more: go on at once, but let requests in between.
        await asyncio.sleep(0.01 if done >= BATCH else job.every_seconds)
