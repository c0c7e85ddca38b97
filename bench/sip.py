"""Calls that are held and given back, without a lost one: our endpoint beside sippy, both driven by sipp over UDP.

Both do the same: INVITE, 100, 183 with SDP, one second later 302, ACK. Each is offered a rate for a few seconds, from
the highest one down, until no call is lost; the figure is that rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench.figure import Figure
from bench.process import cpu_seconds
from bench.sipp import SCENARIOS, Load, run_sipp
from tests.peers.server import free_port

OURS = (2_400, 2_000, 1_800, 1_500, 1_200, 1_000, 800, 600, 400, 200)
THEIRS = (1_000, 800, 600, 500, 400, 300, 200, 100)
SECONDS = 8
START_SECONDS = 20


async def calls_held_and_given_back() -> list[Figure]:
    """The highest rate of the ladder at which no call was lost."""
    rate, load, cpu_ms = await _best("bench.sip_holder", OURS)
    reference, _, their_cpu_ms = await _best("bench.sip_reference", THEIRS)
    return [
        Figure(
            name="sip-hold", figure=rate, unit="calls/s", target=1_500, reference=reference, ratio_target=2,
            detail=f"no call of {load.calls} lost, {load.retransmissions} datagrams repeated, {load.most_at_once} held"
            f" at once; {cpu_ms:.2f} ms CPU a call, {their_cpu_ms:.2f} ms in the reference, which is sippy",
        )
    ]  # fmt: skip


async def _best(module: str, rates: Sequence[int]) -> tuple[int, Load, float]:
    for rate in rates:
        async with server(module) as (port, pid):
            before = cpu_seconds(pid)
            load = await run_sipp(
                SCENARIOS / "hold.xml", f"127.0.0.1:{port}", rate=rate, calls=rate * SECONDS, port=free_port()
            )
            used = cpu_seconds(pid) - before
        if load.lost == 0:
            return rate, load, used * 1000 / load.calls
    raise RuntimeError(f"{module} lost calls at every rate")


@contextlib.asynccontextmanager
async def server(module: str, *arguments: str) -> AsyncIterator[tuple[int, int]]:
    """`python -m MODULE PORT …`, once it has its UDP port; gives port and process id."""
    port = free_port()
    command = [sys.executable, "-m", module, str(port), *arguments]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        async with asyncio.timeout(START_SECONDS):
            while _is_free(port):
                await asyncio.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
