"""Many small writes of one kind in one unit of work: what comes while one is being committed goes with the next.

A unit for each of them would cost several times as much, and whatever else is to be written would wait behind them all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from ringback.errors import StoreUnavailable
from ringback.store import Store, Tx

logger = logging.getLogger(__name__)

MOST_TOGETHER = 32
"""A unit holds the event loop for as long as it takes."""
_PAUSE_SECONDS = 0.5

A = TypeVar("A")
R = TypeVar("R")


class _Waiting(Generic[A, R]):
    __slots__ = ("future", "gives_up_at", "item")

    def __init__(self, item: A, gives_up_at: float, future: asyncio.Future[R | None]) -> None:
        self.item = item
        self.gives_up_at = gives_up_at
        self.future = future

    def tell(self, result: R | None) -> None:
        if not self.future.done():
            self.future.set_result(result)


class Gathering(Generic[A, R]):
    """`unit` writes a list of items and returns what became of each, in their order. `spawn` runs its writer.

    `gather_seconds`: how long the writer lets items come together first.
    """

    def __init__(
        self,
        store: Store,
        unit: Callable[[Tx, list[A]], Awaitable[list[R]]],
        spawn: Callable[[Any], None],
        *,
        gather_seconds: float = 0,
    ) -> None:
        self._store = store
        self._unit = unit
        self._spawn = spawn
        self._gather_seconds = gather_seconds
        self._waiting: deque[_Waiting[A, R]] = deque()
        self._runs = False

    def put(self, item: A, patience_seconds: float) -> asyncio.Future[R | None]:
        """Done after COMMIT; with None when the database was away for that long, or the item cannot be written."""
        future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, time.monotonic() + patience_seconds, future))
        if not self._runs:
            self._runs = True
            self._spawn(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._gather_seconds and len(self._waiting) < MOST_TOGETHER:
                    await asyncio.sleep(self._gather_seconds)
                taken = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
                if not await self._write(taken):
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._runs = False

    async def _write(self, taken: list[_Waiting[A, R]]) -> bool:
        """False when the database is away."""
        try:
            results = await self._store.write(self._unit, [one.item for one in taken])
        except StoreUnavailable as error:
            self._wait_or_give_up(taken, error)
            return False
        except Exception:
            if len(taken) > 1:  # one of them is at fault
                return all([await self._write([one]) for one in taken])
            logger.exception("call pushes were sent, but what became of them was not stored")
            taken[0].tell(None)
            return True
        for one, result in zip(taken, results, strict=True):
            one.tell(result)
        return True

    def _wait_or_give_up(self, taken: list[_Waiting[A, R]], error: StoreUnavailable) -> None:
        now = time.monotonic()
        late = [one for one in taken if one.gives_up_at < now]
        if late:
            logger.warning("%d call pushes were sent, but what became of them was not stored: %s", len(late), error)
        for one in late:
            one.tell(None)
        self._waiting.extendleft(reversed([one for one in taken if one.gives_up_at >= now]))
