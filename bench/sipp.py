"""sipp as the caller of the benches: a bounded load, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.server import free_port

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True)
class Load:
    """What sipp counted. `seconds`: from the first call to the end of the last."""

    calls: int
    done: int
    failed: int
    retransmissions: int
    most_at_once: int
    seconds: float

    @property
    def lost(self) -> int:
        """Calls that did not end as the scenario says."""
        return self.calls - self.done


async def run_sipp(
    scenario: Path, target: str, *, rate: int, calls: int, port: int, more: Sequence[str] = (), seconds: float = 120
) -> Load:
    """Offers `calls` calls at `rate` a second to `target` (HOST:PORT); gives up after `seconds`."""
    with tempfile.TemporaryDirectory(prefix="ringback-sipp-") as folder:
        statistics = Path(folder) / "statistics.csv"
        command = [
            "sipp", "-sf", str(scenario), "-s", "callee", target, "-i", "127.0.0.1", "-p", str(port), "-r", str(rate),
            "-m", str(calls), "-l", "100000", "-nd", "-nostdin", "-recv_timeout", "20000", "-trace_stat", "-fd", "1",
            "-stf", str(statistics), "-timeout", f"{seconds:.0f}s", *more,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.wait_for(process.wait(), seconds + 10)
        with statistics.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
    last = rows[-1]
    return Load(
        calls=calls,
        done=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        most_at_once=max(int(row["CurrentCall"]) for row in rows),
        seconds=_seconds(last["ElapsedTime(C)"]),
    )


@contextlib.asynccontextmanager
async def waiting_calls(target: str, *, rate: int, calls: int, rtp_port: int) -> AsyncIterator[None]:
    """Calls u1, u2… of example.org at `target`, and lets them wait until the context ends."""
    with tempfile.TemporaryDirectory(prefix="ringback-sipp-") as folder:
        process = await asyncio.create_subprocess_exec(
            "sipp", "-sf", str(SCENARIOS / "waiting.xml"), target, "-i", "127.0.0.1", "-p", str(free_port()),
            "-r", str(rate), "-m", str(calls), "-l", "100000", "-nd", "-nostdin", "-key", "rtp_port", str(rtp_port),
            "-base_cseq", "1", cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            process.kill()
            await process.wait()


def _seconds(elapsed: str) -> float:
    """`HH:MM:SS:microseconds`, or with a point before the last part, as versions of sipp differ."""
    hours, minutes, rest = elapsed.split(":", 2)
    seconds = float(rest.replace(":", "."))
    return int(hours) * 3600 + int(minutes) * 60 + seconds
