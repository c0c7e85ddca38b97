"""What the server and the command line cost when nothing happens."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench import peers
from bench.figure import Figure
from bench.process import resident_megabytes

RUNS = 7


async def memory_at_rest() -> list[Figure]:
    """Resident memory of `ringback serve` after its first requests."""
    async with peers.product() as server:
        resident = resident_megabytes(server.pid)
    bare = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/status').read().partition('VmRSS:')[2].split()[0])"],
        capture_output=True, check=True,
    )  # fmt: skip
    reference = int(bare.stdout) / 1024
    return [
        Figure(
            name="memory", figure=resident, unit="MB", target=120, better="lower", reference=reference,
            detail="resident, at rest; the reference is Python alone",
        )
    ]  # fmt: skip


async def help_time() -> list[Figure]:
    """How long `ringback --help` takes."""

    def median(command: list[str]) -> float:
        times = []
        for _ in range(RUNS):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    ours = median([sys.executable, "-m", "ringback", "--help"])
    bare = median([sys.executable, "-c", "pass"])
    return [
        Figure(
            name="help", figure=ours, unit="s", target=0.3, better="lower", reference=bare,
            detail=f"median of {RUNS}; the reference is `python -c pass`",
        )
    ]  # fmt: skip
