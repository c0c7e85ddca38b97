"""kill -9 in the middle of delivering: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringback.clock import SystemClock, SystemRandomness
from ringback.outbox import NewDelivery, Outbox, OutboxLimits
from ringback.store import SqliteStore
from tests.outbox.outboxes import Recording, running, states, until

CHILD = """
import asyncio, os, sys
from pathlib import Path
from ringback.clock import SystemClock, SystemRandomness
from ringback.outbox import Delivered, Outbox
from ringback.store import SqliteStore

class Writing:
    def __init__(self, file):
        self.file = file
        self.count = 0
    async def deliver(self, delivery):
        await asyncio.sleep(0.02)
        if self.count == 60:
            await asyncio.Event().wait()
        self.count += 1
        os.write(self.file, (delivery.id + "\\n").encode())
        return Delivered()

async def main(path, log):
    store = await SqliteStore.open(Path(path))
    outbox = Outbox(store=store, clock=SystemClock(), randomness=SystemRandomness())
    outbox.register_channel("test", Writing(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)), per_destination=4)
    await outbox.run(asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""


async def test_nothing_is_lost(upgraded_sqlite: Path, tmp_path: Path) -> None:
    path, log = tmp_path / "crash.db", tmp_path / "delivered"
    path.write_bytes(upgraded_sqlite.read_bytes())  # noqa: ASYNC240
    log.touch()
    store = await SqliteStore.open(path)
    outbox = Outbox(store=store, clock=SystemClock(), randomness=SystemRandomness())
    enqueued = {await store.write(outbox.enqueue, NewDelivery("test", f"d{n % 3}", b"{}")) for n in range(200)}
    await store.close()

    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(log)])  # noqa: ASYNC220
    try:
        gives_up_at = time.monotonic() + 60
        while len(log.read_text().split()) < 30:
            assert time.monotonic() < gives_up_at
            await asyncio.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    before = set(log.read_text().split())
    assert before < enqueued

    store = await SqliteStore.open(path)
    try:
        limits = OutboxLimits(poll_seconds=0.05)
        again = Outbox(store=store, clock=SystemClock(), randomness=SystemRandomness(), limits=limits)
        channel = Recording()
        again.register_channel("test", channel)
        async with running(again):

            async def all_done() -> bool:
                return set(await states(store)) == {"DONE"}

            # Under the 30 s of a lease: the only process takes back the leases of the dead one.
            await until(all_done, 25)
    finally:
        await store.close()
    assert before | {one.id for one in channel.got} == enqueued
