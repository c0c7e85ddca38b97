"""A load generator that costs little itself: prepared request bytes over raw connections.

N connections ("lanes"); each sends its next request when the answer to the last one has come. A lane is a generator:
it yields the bytes of a request and receives the `Answer`, so that a lane can be a plain list of prepared requests or
a phone that signs the next request with its next counter.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import ssl
import time
from array import array
from collections.abc import Coroutine, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from ringback.softphone.load_wire import Answer, AnswerNotUnderstood, whole_answer

T = TypeVar("T")

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


Lane = Generator[bytes, Answer | None, None]
"""Yields requests; receives answers, or None when the connection ended before the answer came."""


class LoadResult(msgspec.Struct, frozen=True, rename="camel"):
    """What a load saw. Latencies in milliseconds, in the order in which the answers came, over all lanes.

    `broken`: connections that ended before their answer; each was opened again and its request is not repeated.
    `server_cpu_us`, `client_cpu_us`: CPU microseconds per answered request (the server's in steps of 10 ms in all).
    """

    requests: int
    seconds: float
    statuses: dict[int, int]
    broken: int
    server_cpu_us: float | None
    client_cpu_us: float
    latencies_ms: array[float]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """The latency in milliseconds that `percent` of the answers did not exceed; 0 when there was none."""
        if not self.latencies_ms:
            return 0.0
        ranked = sorted(self.latencies_ms)
        return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)]

    def summary(self) -> dict[str, float | int | dict[str, int] | None]:
        """The figures without the single latencies, ready for one line of JSON."""
        cpu = self.server_cpu_us
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "ratePerSecond": round(self.rate, 1),
            "p50Ms": round(self.percentile(50), 3),
            "p99Ms": round(self.percentile(99), 3),
            "maxMs": round(max(self.latencies_ms, default=0.0), 3),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "broken": self.broken,
            "serverCpuUs": None if cpu is None else round(cpu, 1),
            "clientCpuUs": round(self.client_cpu_us, 1),
        }


def prepared(requests: Iterable[bytes]) -> Lane:
    """A lane that sends these requests and does not look at the answers."""
    for request in requests:  # noqa: UP028 - `yield from` would send the answers into the list's iterator
        yield request


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system CPU seconds that these processes have used so far (Linux: /proc/<pid>/stat)."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _CLOCK_TICKS


async def run_load(
    host: str,
    port: int,
    lanes: Sequence[Lane],
    *,
    server_pids: Sequence[int] = (),
    stop_after_seconds: float | None = None,
    tls: ssl.SSLContext | None = None,
    silence_seconds: float = 30.0,
) -> LoadResult:
    """Runs every lane to its end, or for `stop_after_seconds`, and tells what was seen.

    A server that answers nothing at all for `silence_seconds` ends the load with TimeoutError. Raises OSError when the
    first connections cannot be made, AnswerNotUnderstood for answers that are not HTTP.
    """
    tally = _Tally(asyncio.get_running_loop())
    connections = [_Connection(lane, tally) for lane in lanes]
    tally.left = len(connections)
    for connection in connections:
        await connection.open(host, port, tls)
    cpu_before = cpu_seconds(server_pids) if server_pids else 0.0
    own_before = _own_cpu_seconds()
    started = time.perf_counter()
    for connection in connections:
        connection.advance(None)
    try:
        await _wait(tally, stop_after_seconds, silence_seconds)
    finally:
        elapsed = time.perf_counter() - started
        for connection in connections:
            connection.close()
    count = len(tally.latencies)
    return LoadResult(
        requests=count,
        seconds=elapsed,
        statuses=tally.statuses,
        broken=tally.broken,
        server_cpu_us=(cpu_seconds(server_pids) - cpu_before) * 1e6 / max(count, 1) if server_pids else None,
        client_cpu_us=(_own_cpu_seconds() - own_before) * 1e6 / max(count, 1),
        latencies_ms=tally.latencies,
    )


def run(load: Coroutine[Any, Any, T]) -> T:
    """Runs a load on a fresh uvloop, the cheapest loop there is."""
    return uvloop.run(load)


async def _wait(tally: _Tally, stop_after_seconds: float | None, silence_seconds: float) -> None:
    deadline = time.perf_counter() + stop_after_seconds if stop_after_seconds is not None else float("inf")
    seen = -1
    while True:
        now = time.perf_counter()
        try:
            await asyncio.wait_for(asyncio.shield(tally.finished), min(silence_seconds, max(deadline - now, 0.0)))
        except TimeoutError:
            if time.perf_counter() >= deadline:
                return
            if len(tally.latencies) == max(seen, 0):
                raise TimeoutError(f"The server did not answer for {silence_seconds:g} seconds.") from None
            seen = len(tally.latencies)
        else:
            return


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Tally:
    """What all lanes count together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.latencies: array[float] = array("d")
        self.statuses: dict[int, int] = {}
        self.broken = 0
        self.left = 0
        self.finished: asyncio.Future[None] = loop.create_future()

    def lane_done(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, error: BaseException) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class _Connection(asyncio.Protocol):
    """One lane on one connection."""

    def __init__(self, lane: Lane, tally: _Tally) -> None:
        self._lane = lane
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent_at = 0.0
        self._started = False
        self._waiting = False
        self._over = False
        self._unsent: bytes | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._address: tuple[str, int, ssl.SSLContext | None] = ("", 0, None)

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._address = (host, port, tls)
        name = host if tls is not None else None
        await self._tally.loop.create_connection(lambda: self, host, port, ssl=tls, server_hostname=name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream connection's transport is always this one

    def advance(self, answer: Answer | None) -> None:
        """Sends the lane's next request, or ends the lane."""
        try:
            request = self._lane.send(answer)
        except StopIteration:
            self.close()
            self._tally.lane_done()
            return
        except Exception as error:  # noqa: BLE001 - whatever a lane raises ends the load with that error
            self._tally.fail(error)
            return
        self._started = True
        if self._transport is None or self._transport.is_closing():
            self._unsent = request  # the server said that it closes; connection_lost comes next and opens again
            return
        self._send(request)

    def _send(self, request: bytes) -> None:
        self._waiting = True
        self._sent_at = time.perf_counter()
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        try:
            whole = whole_answer(buffer)
        except AnswerNotUnderstood as error:
            self._tally.fail(error)
            return
        if whole is None:
            return
        tally = self._tally
        tally.latencies.append((time.perf_counter() - self._sent_at) * 1000)
        answer, used = whole
        tally.statuses[answer.status] = tally.statuses.get(answer.status, 0) + 1
        self._buffer = buffer[used:]
        self._waiting = False
        if not self._over:
            self.advance(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        self._transport = None
        self._buffer = b""
        if self._over or not self._started:
            return
        self._tally.broken += self._waiting
        self._waiting = False
        self._reopening = self._tally.loop.create_task(self._reopen())

    async def _reopen(self) -> None:
        try:
            await self.open(*self._address)
        except OSError as error:
            self._tally.fail(error)
            return
        request, self._unsent = self._unsent, None
        if request is not None:
            self._send(request)
        else:
            self.advance(None)

    def close(self) -> None:
        self._over = True
        if self._reopening is not None:
            self._reopening.cancel()
        if self._transport is not None:
            self._transport.abort()
