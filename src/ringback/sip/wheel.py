"""All timers of an endpoint in one wheel, since tens of thousands are set and almost none ever runs out.

Setting, moving and forgetting cost the same few hundred nanoseconds however many there are, and what is forgotten is
held no longer. Times are rounded up to the next tick, so that nothing is ever early.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final, Protocol

TICK_SECONDS: Final = 1 / 64
"""A power of two, so that ticks and seconds become each other without rounding."""
_MOST_AT_ONCE: Final = 200
NEVER_DUE: Final = math.inf


class Timed(Protocol):
    """What can stand in the wheel. `tick` belongs to the wheel; 0 before the first time."""

    due: float
    tick: int

    def on_time(self, now: float) -> None:
        """`due` has come; it sets a new one, or `NEVER_DUE`."""
        ...


class Wheel:
    """`place` whatever has a new `due`. `failed` is told of an exception, which is a mistake of ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]) -> None:
        self._loop = loop
        self._failed = failed
        # What a spoke holds are the keys of a dict: with the few timers of one tick it takes half the room of a set.
        self._spokes: dict[int, dict[Timed, None]] = {}
        self._order: list[int] = []
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = 0
        self._running = 0
        self._is_closed = False

    def place(self, item: Timed) -> None:
        """Stands where its `due` says; not at all when that is never."""
        due = item.due
        # What is set while a tick is being run comes after it, even when its time has passed already.
        tick = 0 if due == NEVER_DUE else max(math.ceil(due / TICK_SECONDS), self._running + 1)
        if tick == item.tick:
            return
        if item.tick:
            old = self._spokes.get(item.tick)
            if old is not None:
                old.pop(item, None)
        item.tick = tick
        if not tick or self._is_closed:
            return
        spoke = self._spokes.get(tick)
        if spoke is None:
            spoke = self._spokes[tick] = {}
            heapq.heappush(self._order, tick)
            if not self._running and (self._handle is None or tick < self._armed_for):
                self._arm(tick)
        spoke[item] = None

    def close(self) -> None:
        """Nothing runs out any more."""
        self._is_closed = True
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for spoke in self._spokes.values():
            for item in spoke:
                item.tick = 0
        self._spokes.clear()
        self._order.clear()

    def _arm(self, tick: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = tick
        self._handle = self._loop.call_at(tick * TICK_SECONDS, self._turn)

    def _turn(self) -> None:
        """Runs what is due, but hands the loop back when that is much."""
        self._handle = None
        left = _MOST_AT_ONCE
        now = self._loop.time()
        while self._order and left and not self._is_closed:
            tick = self._order[0]
            # A timer of the loop may come a little before its time; the tick is what counts.
            if tick * TICK_SECONDS > now + TICK_SECONDS / 2:
                break
            now = max(now, tick * TICK_SECONDS)
            self._running = tick
            spoke = self._spokes[tick]
            while spoke and left:
                left -= 1
                self._run(spoke.popitem()[0], now)
            if not spoke:
                heapq.heappop(self._order)
                del self._spokes[tick]
        self._running = 0
        if self._order and not self._is_closed:
            self._arm(self._order[0])

    def _run(self, item: Timed, now: float) -> None:
        item.tick = 0
        try:
            item.on_time(now)
        except Exception as error:  # noqa: BLE001 a mistake with one call must not stop the timers of all others
            self._failed(error)
            item.due = NEVER_DUE
        self.place(item)
