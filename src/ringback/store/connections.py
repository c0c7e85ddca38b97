"""The connections of one process to PostgreSQL, lent to one unit at a time.

asyncpg's own pool makes a task for each acquire with a time limit and one for each release: a third of a small unit's
time. Here lending is a list operation, and only a unit that has to wait gets a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

_CLOSE_SECONDS = 5


class Connections:
    """At most `size` connections, made when they are needed. `wait_seconds`: how long a unit waits for a free one."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], *, size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._size = size
        self._wait_seconds = wait_seconds
        self._made = 0
        self._free: list[Any] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def acquire(self) -> Any:
        """A connection for the caller alone. Raises TimeoutError, or what connecting raises."""
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            self._made -= 1
        if self._made >= self._size:
            connection = await self._wait()
            if connection is not None:
                return connection
        else:
            self._made += 1
        try:
            return await self._connect()
        except BaseException:
            self._give_up_place()
            raise

    def release(self, connection: Any) -> None:
        """Gives a connection back; the one who waits longest gets it at once."""
        if connection.is_closed():
            self._give_up_place()
        elif (next_in_line := self._next_in_line()) is not None:
            next_in_line.set_result(connection)
        else:
            self._free.append(connection)

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """`acquire` and `release` around a block."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    async def execute(self, sql: str, *args: Any) -> None:
        """Runs one statement on any connection."""
        async with self.lend() as connection:
            await connection.execute(sql, *args)

    async def close(self) -> None:
        """Closes the connections that are free; nobody may hold one by now."""
        free, self._free = self._free, []
        for connection in free:
            try:
                await connection.close(timeout=_CLOSE_SECONDS)
            except Exception:  # noqa: BLE001 - it is to be gone, in order or not
                connection.terminate()

    async def _wait(self) -> Any | None:
        """A connection, or None for the right to make one."""
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(place)
        timer = loop.call_later(self._wait_seconds, _too_late, place)
        try:
            return await place
        except asyncio.CancelledError:
            # The place was taken in the same moment as the unit was cancelled: pass it on.
            if place.done() and not place.cancelled() and place.exception() is None:
                if (connection := place.result()) is None:
                    self._give_up_place()
                else:
                    self.release(connection)
            raise
        finally:
            timer.cancel()

    def _give_up_place(self) -> None:
        """There is room for one more connection: whoever waits longest may make it."""
        next_in_line = self._next_in_line()
        if next_in_line is not None:
            next_in_line.set_result(None)
        else:
            self._made -= 1

    def _next_in_line(self) -> asyncio.Future[Any] | None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None


def _too_late(place: asyncio.Future[Any]) -> None:
    if not place.done():
        place.set_exception(TimeoutError("no connection to PostgreSQL was free in time"))
