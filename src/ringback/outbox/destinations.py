"""The bulkheads of one channel: who is busy, who fails, and how many places each destination has left."""

from __future__ import annotations

import logging
from collections import Counter

import msgspec

from ringback.clock import Clock
from ringback.outbox.model import GiveUp, Result, RetryLater
from ringback.outbox.plug import Plug

logger = logging.getLogger(__name__)

# A destination that failed gets one place until it succeeds; more failing destinations than this are forgotten.
_FAILING_LIMIT = 1_000
# A destination that is nearly full is filled up in strides, not with one unit of work for each place that gets free.
_STRIDES = 8


class _Failing(msgspec.Struct):
    """A destination that does not take deliveries now: how often in a row, and until when it is left alone."""

    failures: int = 0
    open_until: int = 0


class Destinations:
    """Counts attempts under way, and remembers what results said about their destinations."""

    def __init__(self, plug: Plug, clock: Clock) -> None:
        self._plug = plug
        self._clock = clock
        self._stride = max(1, plug.per_destination // _STRIDES)
        self._busy: Counter[str] = Counter()
        self._failing: dict[str, _Failing] = {}

    def places_left(self) -> dict[str, int]:
        """How many more attempts each destination takes that does not have all its places."""
        return {destination: self.left(destination) for destination in self._busy.keys() | self._failing.keys()}

    def left(self, destination: str) -> int:
        """How many more attempts a destination takes now; one that fails has 1 place, one left alone none."""
        busy = self._busy.get(destination, 0)
        failing = self._failing.get(destination)
        if failing is not None:
            return max(0, (0 if self._clock.now_ms() < failing.open_until else 1) - busy)
        left = self._plug.per_destination - busy
        return left if left >= self._stride else 0

    def enter(self, destination: str) -> None:
        """An attempt begins."""
        self._busy[destination] += 1

    def leave(self, destination: str) -> bool:
        """An attempt is over; returns whether the destination takes deliveries again and did not before."""
        was_closed = self.left(destination) == 0
        self._busy[destination] -= 1
        if self._busy[destination] <= 0:
            del self._busy[destination]
        return was_closed and self.left(destination) > 0

    def note(self, destination: str, result: Result) -> None:
        """Remembers what a result says about its destination."""
        if isinstance(result, GiveUp) and not result.destination_was_asked:
            return
        if not isinstance(result, RetryLater) or result.destination_is_well:
            self._failing.pop(destination, None)
            return
        if destination not in self._failing and len(self._failing) >= _FAILING_LIMIT:
            self._failing.clear()
        failing = self._failing.setdefault(destination, _Failing())
        failing.failures += 1
        pause = result.leave_alone_seconds
        if pause is None:
            circuit = self._plug.circuit
            if circuit is None or failing.failures < circuit.failures:
                return
            pause = circuit.pause_seconds
        now = self._clock.now_ms()
        if now >= failing.open_until:
            logger.warning(
                "%s %s failed %d times in a row, and is left alone for %g s",
                self._plug.name,
                destination,
                failing.failures,
                pause,
            )
        failing.open_until = now + round(pause * 1000)

    def forgive(self) -> None:
        """Forgets who failed: something was put right."""
        self._failing.clear()
