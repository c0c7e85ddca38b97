"""Calls in the product's own process: how many it holds, how soon it gives them back, how even its early media is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from bench.call_server import CALLER, DOMAIN, PASSWORD, State, Task
from bench.figure import Figure
from bench.rtp_ear import Heard
from bench.sipp import waiting_calls
from bench.watched_proxy import Load, Told
from ringback.softphone.sip_load import SipLoad
from ringback.softphone.sip_load_result import SipLoadResult

HELD = 20_000
HELD_PER_SECOND = 400
"""Behind a proxy each call is five messages and not two; too many at once would be refused, not held."""
STREAMS = 1_500
LISTEN_SECONDS = 10
MIXED_STREAMS = 1_000
MIXED_WRITES = 1_000
MIXED_CALLS = 2_000
CALLS_PER_SECOND = 200
WAKE_AFTER_SECONDS = 0.5
ROUNDS = 3
_LONGEST_LINE = 1 << 20
_NOWHERE = 9  # the discard port: what is sent there is heard by nobody


async def held_calls() -> list[Figure]:
    """Memory over rest while 20,000 callers wait."""
    async with call_server(Task(folder="", subscribers=HELD + 1, wake_seconds=300, early_media=False)) as server:
        before = await server.state()
        async with waiting_calls(server.target, rate=1_000, calls=HELD, rtp_port=_NOWHERE):
            after = await server.until_waiting(HELD)
    return [
        Figure(
            name="calls-held", figure=after.megabytes - before.megabytes, unit="MB", target=250, better="lower",
            detail=f"over {before.megabytes:.0f} MB at rest, with {after.waiting} calls that wait, each with its record"
            " and its push",
        )
    ]  # fmt: skip


async def held_calls_behind_proxy() -> list[Figure]:
    """The same for an application server, which watches each callee at the proxy."""
    async with _proxy() as proxy:
        task = Task(folder="", subscribers=HELD + 1, wake_seconds=300, early_media=False, proxy=proxy.address)
        async with call_server(task) as server:
            before = await server.state()
            async with waiting_calls(server.target, rate=HELD_PER_SECOND, calls=HELD, rtp_port=_NOWHERE):
                after = await server.until_waiting(HELD)
    return [
        Figure(
            name="calls-held-behind-proxy", figure=after.megabytes - before.megabytes, unit="MB", target=250,
            better="lower",
            detail=f"over {before.megabytes:.0f} MB at rest, with {after.waiting} calls that wait, each with its"
            " subscription at the proxy, its record and its push",
        )
    ]  # fmt: skip


async def early_media() -> list[Figure]:
    """The worst packet of 1,500 streams."""
    rounds: list[Heard] = []
    used = 0.0
    for _ in range(ROUNDS):
        async with (
            call_server(Task(folder="", subscribers=STREAMS + 1, wake_seconds=120)) as server,
            _ear() as ear,
            waiting_calls(server.target, rate=500, calls=STREAMS, rtp_port=ear.port),
        ):
            before = await server.until_waiting(STREAMS)
            rounds.append(await ear.listen())
            used += (await server.state()).cpu_seconds - before.cpu_seconds
    packets = sum(one.packets for one in rounds)
    best = sorted(rounds, key=lambda one: one.worst_ms)[ROUNDS // 2]
    return [
        Figure(
            name="early-media", figure=best.worst_ms, unit="ms", target=20, better="lower",
            detail=f"the worst packet of {best.packets:,} in {best.streams} streams, {best.missing} missing; 99.9 %"
            f" came within {best.p999_ms:.1f} ms; {used * 1e6 / packets:.1f} µs CPU each; median of {ROUNDS} rounds",
        )
    ]  # fmt: skip


async def deflection() -> list[Figure]:
    """From the REGISTER of the phone that was woken to the 302 of its caller, in the middle of everything else."""
    p99s, details = [], []
    for _ in range(ROUNDS):
        subscribers = MIXED_STREAMS + MIXED_CALLS + 1
        async with (
            call_server(Task("", subscribers, wake_seconds=120, writes=MIXED_WRITES)) as server,
            waiting_calls(server.target, rate=200, calls=MIXED_STREAMS, rtp_port=_NOWHERE),
        ):
            before = await server.until_waiting(MIXED_STREAMS)
            result = await _woken_calls(server)
            after = await server.state()
        if result.lost or result.finals.get(302) != MIXED_CALLS:
            raise RuntimeError(f"calls were lost: {result.summary()}")
        times = result.register_to_final_ms
        p99s.append(SipLoadResult.percentile(times, 99))
        details.append(_mixed(times, before, after, result.seconds))
    return [
        Figure(
            name="deflect", figure=statistics.median(p99s), unit="ms", target=10, better="lower",
            detail=f"p99 from REGISTER to 302; {_of_median(p99s, details)}",
        )
    ]  # fmt: skip


async def deflection_by_notify() -> list[Figure]:
    """From the NOTIFY of a phone that was woken to the 302 of its caller: the same behind a proxy."""
    p99s, details = [], []
    for _ in range(ROUNDS):
        subscribers = MIXED_STREAMS + MIXED_CALLS + 1
        async with _proxy() as proxy:
            task = Task("", subscribers, wake_seconds=120, writes=MIXED_WRITES, proxy=proxy.address)
            async with (
                call_server(task) as server,
                waiting_calls(server.target, rate=200, calls=MIXED_STREAMS, rtp_port=_NOWHERE),
            ):
                before = await server.until_waiting(MIXED_STREAMS)
                told = await proxy.call(
                    Load(server.port, MIXED_STREAMS + 1, MIXED_CALLS, CALLS_PER_SECOND, WAKE_AFTER_SECONDS)
                )
                after = await server.state()
        if told.finals != {302: MIXED_CALLS}:
            raise RuntimeError(f"calls were lost: {told.finals}")
        times = array("d", told.notify_to_final_ms)
        p99s.append(SipLoadResult.percentile(times, 99))
        details.append(_mixed(times, before, after, told.seconds))
    return [
        Figure(
            name="deflect-notify", figure=statistics.median(p99s), unit="ms", target=10, better="lower",
            detail=f"p99 from NOTIFY to 302; {_of_median(p99s, details)}",
        )
    ]  # fmt: skip


async def _woken_calls(server: _Server) -> SipLoadResult:
    loop = asyncio.get_running_loop()
    names = [f"u{number}" for number in range(MIXED_STREAMS + 1, MIXED_STREAMS + MIXED_CALLS + 1)]
    load = SipLoad(
        ("127.0.0.1", server.port), DOMAIN, password=lambda _: PASSWORD, caller=CALLER, follows=False, expires=300
    )
    async with load:
        for number, name in enumerate(names):
            loop.call_later(number / CALLS_PER_SECOND + WAKE_AFTER_SECONDS, load.wake, name)
        return await load.call(names, per_second=CALLS_PER_SECOND)


def _mixed(times: array[float], before: State, after: State, seconds: float) -> str:
    """What else there is to say about calls in the middle of everything else."""
    return (
        f"p50 {SipLoadResult.percentile(times, 50):.1f} ms, worst {max(times):.1f} ms; all of {MIXED_CALLS} calls"
        f" given back at {CALLS_PER_SECOND}/s, beside {MIXED_STREAMS} streams and"
        f" {(after.written - before.written) / seconds:,.0f} durable writes/s in the same process on SQLite,"
        f" which used {(after.cpu_seconds - before.cpu_seconds) / seconds:.0%} of its core"
    )


def _of_median(p99s: list[float], details: list[str]) -> str:
    return f"{details[p99s.index(statistics.median(p99s))]}; median of {ROUNDS} rounds"


class _Server:
    """The process under load."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port
        self.target = f"127.0.0.1:{port}"

    async def state(self) -> State:
        """As it is now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=State)

    async def until_waiting(self, calls: int) -> State:
        """Returns when so many calls wait, and two seconds more have passed."""
        async with asyncio.timeout(90):
            while (await self.state()).waiting < calls:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        return await self.state()


@contextlib.asynccontextmanager
async def call_server(task: Task) -> AsyncIterator[_Server]:
    """`bench.call_server` on the first core, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="ringback-calls-") as folder:
        task = msgspec.structs.replace(task, folder=folder)
        arguments = ("bench.call_server", msgspec.json.encode(task).decode())
        async with _module(*arguments, core=min(os.sched_getaffinity(0))) as (process, port):
            yield _Server(process, port)


class _Proxy:
    """A SIP proxy in a process of its own, and the phones behind it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.address = f"127.0.0.1:{port}"

    async def call(self, load: Load) -> Told:
        """Calls, and wakes the phones."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(load) + b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=Told)


@contextlib.asynccontextmanager
async def _proxy() -> AsyncIterator[_Proxy]:
    async with _module("bench.watched_proxy", core=max(os.sched_getaffinity(0))) as (process, port):
        yield _Proxy(process, port)


class _Ear:
    """What listens to early media, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def listen(self) -> Heard:
        """For some seconds from now on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=Heard)


@contextlib.asynccontextmanager
async def _ear() -> AsyncIterator[_Ear]:
    async with _module("bench.rtp_ear", str(LISTEN_SECONDS), core=max(os.sched_getaffinity(0))) as (process, port):
        yield _Ear(process, port)


@contextlib.asynccontextmanager
async def _module(name: str, *arguments: str, core: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """`python -m NAME ARGUMENT…` on one core; its first line is a port."""

    def pin() -> None:
        os.sched_setaffinity(0, {core})

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", name, *arguments, cwd=Path(__file__).parents[1], preexec_fn=pin,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, int(await asyncio.wait_for(process.stdout.readline(), 120))
    finally:
        process.kill()
        await process.wait()
