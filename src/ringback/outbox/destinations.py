"""The bulkheads of one channel: who is busy, who fails, and how many places each destination has left."""

from __future__ import annotations

import logging
from collections import Counter

import msgspec

from ringback.clock import Clock
from ringback.outbox.model import GiveUp, Result, RetryLater
from ringback.outbox.plug import Plug

logger = logging.getLogger(__name__)

# A failure leaves a destination half of its places, so that a slow answer now and then holds up nobody else, and few
# failures one; each success gives one back: a network that was too much for it would be so again. More failing
# destinations than this are forgotten.
_FAILING_LIMIT = 1_000
# Whoever reads the log is told of a destination that is left alone when that begins, and from time to time after it.
_TELL_AGAIN_MS = 3_600_000
_REASON_LENGTH = 200
# A destination that is nearly full is filled up in strides, not with one unit of work for each place that gets free.
_STRIDES = 8


class _Failing(msgspec.Struct):
    """A destination that does not take deliveries now: how often in a row, and how long it is left alone from when on.

    `places`: how many attempts at a time it is trusted with; `told_at`: when the log last said that it fails.
    """

    places: int
    failures: int = 0
    pause_began: int = 0
    pause_ms: int = 0
    told_at: int | None = None

    def is_left_alone(self, now: int) -> bool:
        """Whether it is not to be asked yet. A clock that was put back makes no pause longer: it ends it."""
        return 0 <= now - self.pause_began < self.pause_ms


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
        """How many more attempts a destination takes now; one that failed has few places, one left alone none."""
        busy = self._busy.get(destination, 0)
        failing = self._failing.get(destination)
        if failing is not None:
            return max(0, (0 if failing.is_left_alone(self._clock.now_ms()) else failing.places) - busy)
        left = self._plug.per_destination - busy
        return left if left >= self._stride else 0

    def enter(self, destination: str) -> None:
        """An attempt begins."""
        self._busy[destination] += 1

    def leave(self, destination: str) -> bool:
        """An attempt is over; returns whether the destination takes deliveries again and did not before.

        One that recovers gets a place more with each success, and is looked at each time.
        """
        was_closed = destination in self._failing or self.left(destination) == 0
        self._busy[destination] -= 1
        if self._busy[destination] <= 0:
            del self._busy[destination]
        return was_closed and self.left(destination) > 0

    def note(self, destination: str, result: Result) -> None:
        """Remembers what a result says about its destination."""
        if isinstance(result, GiveUp) and not result.destination_was_asked:
            return
        if not isinstance(result, RetryLater) or result.destination_is_well:
            self._note_success(destination)
            return
        if destination not in self._failing and len(self._failing) >= _FAILING_LIMIT:
            self._failing.clear()
        failing = self._failing.setdefault(destination, _Failing(self._plug.per_destination))
        failing.failures += 1
        failing.places = max(1, failing.places // 2)
        pause = result.leave_alone_seconds
        if pause is None:
            circuit = self._plug.circuit
            if circuit is None or failing.failures < circuit.failures:
                return
            pause = circuit.pause_seconds
        failing.places = 1
        now = self._clock.now_ms()
        failing.pause_began, failing.pause_ms = now, round(pause * 1000)
        self._tell(destination, failing, result.reason, pause, now)

    def _note_success(self, destination: str) -> None:
        failing = self._failing.get(destination)
        if failing is None:
            return
        if failing.told_at is not None:
            logger.warning("%s %s answers again", self._plug.name, destination)
        failing.told_at, failing.failures, failing.pause_ms = None, 0, 0
        if failing.places == self._plug.per_destination:
            del self._failing[destination]
        else:
            failing.places += 1

    def forgive(self) -> None:
        """Forgets who failed: something was put right."""
        self._failing.clear()

    def _tell(self, destination: str, failing: _Failing, reason: str, pause: float, now: int) -> None:
        """Says why a destination is left alone: once, and not after each look at whether it still has to be."""
        if failing.told_at is not None and 0 <= now - failing.told_at < _TELL_AGAIN_MS:
            return
        failing.told_at = now
        logger.warning(
            "%s %s failed %d times in a row, and is only asked every %g s until it answers: %s",
            self._plug.name,
            destination,
            failing.failures,
            pause,
            reason[:_REASON_LENGTH],
        )
