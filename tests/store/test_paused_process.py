"""A process that stops in the middle of a transaction, as a paused container or a dead machine does: others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ringback.store import PostgresStore
from tests.store.units import increment, new_counter, value_of

HOLDER = """
import asyncio, sys
from ringback.errors import StoreUnavailable
from ringback.store import PostgresStore
from tests.store.units import count, increment

async def holds(tx):
    await increment(tx, "c")
    await count(tx)  # what was written before is sent now, and its row is locked
    print("locked", flush=True)
    sys.stdin.readline()
    await count(tx)

async def main(url):
    store = await PostgresStore.open(url, statement_seconds=2)
    try:
        await store.write(holds)
        print("kept", flush=True)
    except StoreUnavailable:
        print("unavailable", flush=True)
    await store.write(increment, "c")
    print("goes on", flush=True)
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_process_that_is_paused_in_a_transaction_gives_up_its_locks(postgres_url: str) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    store = await PostgresStore.open(postgres_url)
    await store.write(new_counter, "c")
    # Nothing else runs on this loop, so a blocking start harms nobody.
    holder = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLDER, postgres_url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGSTOP)
        assert await store.write(increment, "c") == 1
        holder.send_signal(signal.SIGCONT)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.read().splitlines() == ["unavailable", "goes on"]
        assert await store.read(value_of, "c") == 2
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
        await store.close()
