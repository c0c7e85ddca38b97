"""`kill -9` while it writes: every acknowledged id is there afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringback.store import Tx
from tests.store.conftest import Database
from tests.store.units import all_entries

WRITER = """
import asyncio, sys
from pathlib import Path
from ringback.store import open_store
from tests.store.units import add

async def main(url):
    store = await open_store(database_url=url, data_dir=Path())

    async def writes(lane):
        n = 0
        while True:
            n += 1
            print(await store.write(add, f"{lane}-{n}", ), flush=True)

    await asyncio.gather(*(writes(lane) for lane in range(16)))

asyncio.run(main(sys.argv[1]))
"""


async def test_what_was_acknowledged_survives_kill_9(database: Database) -> None:
    location = database.location
    url = f"sqlite:///{location.path}" if database.is_sqlite else location.url  # type: ignore[union-attr]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    # Nothing else runs on this loop, so a blocking start harms nobody.
    writer = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip()]
    kill_at = time.monotonic() + 1
    while time.monotonic() < kill_at:
        acknowledged.append(writer.stdout.readline().strip())
    writer.send_signal(signal.SIGKILL)
    # The last line may be cut off in the pipe; whole lines were acknowledged.
    rest = writer.stdout.read()
    acknowledged += [line for line in rest.rpartition("\n")[0].split("\n") if line]
    writer.wait()
    assert len(acknowledged) > 16

    async def ids(tx: Tx) -> set[str]:
        return {entry.id for entry in await tx.all(all_entries)}

    store = await database.open()
    assert set(acknowledged) <= await store.read(ids)
