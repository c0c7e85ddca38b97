"""One request on its way to an answer, and the wheel of deadlines that all requests of a pool share."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.http2.model import Answer, NotSent, OutcomeUnknown, Request

if TYPE_CHECKING:
    from ringback.http2.connection import Connection

STEPS_A_SECOND = 20
_NONE_YET: dict[bytes, bytes] = {}  # replaced as a whole when the head comes


class Tally:
    """What became of a pool's requests."""

    def __init__(self) -> None:
        self.answered = 0
        self.unknown = 0
        self.not_sent = 0
        self.moved = 0
        self.dialed = 0
        self.dials_failed = 0
        self.last_failure = ""


class Exchange:
    """A request and what is known of its answer. `connection` is None while it waits for a place."""

    __slots__ = ("body", "bucket", "connection", "future", "headers", "moves", "request", "status", "stream", "urgent")

    def __init__(self, request: Request, future: asyncio.Future[Answer], *, urgent: bool) -> None:
        self.request = request
        self.future = future
        self.urgent = urgent
        self.connection: Connection | None = None
        self.stream = self.status = self.moves = 0
        self.headers = _NONE_YET
        self.body: bytes | bytearray = b""
        self.bucket: set[Exchange] | None = None

    def answer(self) -> bool:
        """Hands the answer over; False when nobody waits for it any more."""
        if self.bucket is not None:
            self.bucket.discard(self)
        if self.future.done():
            return False
        self.future.set_result(Answer(self.status, self.headers, bytes(self.body)))
        return True

    def fail(self, error: NotSent | OutcomeUnknown | ValueError) -> bool:
        """Ends it without an answer; False when nobody waits for it any more."""
        if self.bucket is not None:
            self.bucket.discard(self)
        if self.future.done():
            return False
        self.future.set_exception(error)
        return True


class Deadlines:
    """Calls `on_due` for each exchange that is not over in time, up to 50 ms late, with one timer for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[Exchange], None]) -> None:
        self._loop = loop
        self._on_due = on_due
        self._buckets: dict[int, set[Exchange]] = {}
        self._steps: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, exchange: Exchange, timeout_seconds: float) -> None:
        """From now on; ends with the exchange."""
        step = int((self._loop.time() + timeout_seconds) * STEPS_A_SECOND) + 1
        bucket = self._buckets.get(step)
        if bucket is None:
            bucket = self._open(step)
        bucket.add(exchange)
        exchange.bucket = bucket

    def stop(self) -> None:
        """Forgets all of them."""
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()
        self._steps.clear()

    def _open(self, step: int) -> set[Exchange]:
        bucket: set[Exchange] = set()
        self._buckets[step] = bucket
        heapq.heappush(self._steps, step)
        if self._steps[0] == step:
            self._set_timer()
        return bucket

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._steps[0] / STEPS_A_SECOND, self._turn) if self._steps else None

    def _turn(self) -> None:
        self._timer = None
        now = int(self._loop.time() * STEPS_A_SECOND + 0.01)
        while self._steps and self._steps[0] <= now:
            for exchange in list(self._buckets.pop(heapq.heappop(self._steps))):
                self._on_due(exchange)
        self._set_timer()
