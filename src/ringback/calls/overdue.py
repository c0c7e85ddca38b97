"""When it may be said that nobody holds a call any more: not right after the clock was set, or the database was away.

A call is overdue by its row. After a step of the clock every row looks old; after the database was away, whoever holds
calls first writes how they ended meanwhile. Both look from here like processes that died, so the job rests for a while.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.calls.ending import Ending
    from ringback.clock import Clock
    from ringback.store import Tx

logger = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
"""So long without a run means that the database was away."""
CATCHING_UP_SECONDS = 30.0
"""How long the others may take to write what they kept."""
STEP_SECONDS = 5.0
"""The clock and the seconds that have passed do not differ by so much unless the clock was set."""
LONGEST_CALL_SECONDS = 610.0
"""No call that began before the clock was set waits longer than that."""


class Overdue:
    """The job. One for each process that runs jobs."""

    def __init__(self, *, clock: Clock, ending: Ending) -> None:
        self._clock = clock
        self._ending = ending
        self._ran_at: float | None = None
        self._difference = 0.0
        self._rests_until = 0.0

    async def end(self, tx: Tx, limit: int) -> int:
        """Unit: ends up to `limit` calls whose process died; returns how many."""
        now = asyncio.get_running_loop().time()
        self._look(now, self._clock.now_ms() / 1000 - now)
        return 0 if now < self._rests_until else await self._ending.end_overdue(tx, limit)

    def _look(self, now: float, difference: float) -> None:
        """`difference`: between the clock and the seconds that pass."""
        before, self._ran_at = self._ran_at, now
        step, self._difference = difference - self._difference, difference
        if before is None:
            return
        if now - before > AWAY_SECONDS:
            self._rest(now + CATCHING_UP_SECONDS)
        if abs(step) > STEP_SECONDS:
            logger.warning("the clock was set by %+.0f s: calls without a process are not looked for meanwhile", step)
            self._rest(now + LONGEST_CALL_SECONDS)

    def _rest(self, until: float) -> None:
        self._rests_until = max(self._rests_until, until)
