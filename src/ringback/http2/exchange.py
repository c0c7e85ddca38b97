"""One request on its way to an answer, and the wheel of deadlines that all requests of a pool share."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ringback.http2.model import Answer, NotSent, OutcomeUnknown, Request

if TYPE_CHECKING:
    from ringback.http2.connection import Connection
    from ringback.http2.session import Field

STEPS_A_SECOND = 20


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


class Exchange(msgspec.Struct, eq=False):
    """A request and what is known of its answer. `connection` is None while it waits for a place."""

    request: Request
    future: asyncio.Future[Answer]
    urgent: bool
    bucket: set[Exchange] | None = None
    connection: Connection | None = None
    stream: int = 0
    moves: int = 0
    fields: Sequence[Field] = ()
    body: bytes | bytearray = b""

    def answer(self, answer: Answer) -> bool:
        """Hands the answer over; False when nobody waits for it any more."""
        if self.bucket is not None:
            self.bucket.discard(self)
        if self.future.done():
            return False
        self.future.set_result(answer)
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
    """Calls `on_due` for each exchange that is not over in time, up to 100 ms late.

    Those that have the same patience and are added within a step share a bucket, found without looking at the clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[Exchange], None]) -> None:
        self._loop = loop
        self._on_due = on_due
        self._buckets: dict[int, set[Exchange]] = {}
        self._newest: dict[float, set[Exchange]] = {}
        self._steps: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, exchange: Exchange, timeout_seconds: float) -> None:
        """From now on; ends with the exchange."""
        bucket = self._newest.get(timeout_seconds)
        if bucket is None:
            bucket = self._bucket(timeout_seconds)
        bucket.add(exchange)
        exchange.bucket = bucket

    def stop(self) -> None:
        """Forgets all of them."""
        if self._timer is not None:
            self._timer.cancel()
        self._newest.clear()
        self._buckets.clear()
        self._steps.clear()

    def _bucket(self, timeout_seconds: float) -> set[Exchange]:
        """The one that comes due a step later than what is added now, since it takes more for the length of a step."""
        step = int((self._loop.time() + max(0.0, timeout_seconds)) * STEPS_A_SECOND) + 2
        bucket = self._buckets.get(step)
        if bucket is None:
            bucket = self._buckets[step] = set()
            heapq.heappush(self._steps, step)
            if self._steps[0] == step:
                self._set_timer()
        if not self._newest:
            self._loop.call_later(1 / STEPS_A_SECOND, self._newest.clear)
        self._newest[timeout_seconds] = bucket
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
