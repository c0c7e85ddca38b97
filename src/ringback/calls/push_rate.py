"""How many calls to one callee are pushed in a minute: nobody rings a phone all night by calling again and again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.clock import Clock

WINDOW_MS = 60_000
MOST_CALLEES = 200_000


class PushRate:
    """A bucket for each callee: `per_minute` at once, then one more every `60 / per_minute` seconds.

    A bucket that is full again is forgotten; of too many, the one that was asked longest ago.
    """

    def __init__(self, *, clock: Clock, per_minute: int, most: int = MOST_CALLEES) -> None:
        self._clock = clock
        self._step_ms = WINDOW_MS / per_minute
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, callee: str) -> bool:
        """Whether a call to this callee may be pushed now; it counts as pushed then."""
        now = self._clock.now_ms()
        latest = now + WINDOW_MS + 0.5  # half a millisecond for rounding
        known = self._full_at.get(callee, now)
        if known > latest:  # the clock was set back since
            known = now
        full_at = max(now, known) + self._step_ms
        if full_at > latest:
            return False
        self._full_at[callee] = full_at
        self._full_at.move_to_end(callee)
        self._forget(now)
        return True

    def _forget(self, now: int) -> None:
        # Two at a time: what is over goes faster than what comes.
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._most:
                return
            del self._full_at[oldest]
            if not self._full_at:
                return
