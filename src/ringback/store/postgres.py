"""PostgreSQL: the same units of work over asyncpg, by any number of processes.

Units are optimistic. One that loses a race (a version that moved, a deadlock) runs again: at once with a little jitter,
then in a transaction that locks what it reads. When the server does not answer, units fail at once with
StoreUnavailable; when it answers again, they go on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]

from ringback.errors import Conflict, StartRefused, StoreUnavailable
from ringback.store.channels import Channels
from ringback.store.connections import Connections
from ringback.store.location import PostgresLocation
from ringback.store.postgres_notices import Notices
from ringback.store.postgres_tx import UNAVAILABLE, Composer, PostgresTx
from ringback.store.unit import Unit

T = TypeVar("T")

APPLICATION_NAME = "ringback"
ATTEMPTS = 60
_FIRST_PESSIMISTIC_ATTEMPT = 2
_JITTER_SECONDS = 0.002
_LONGEST_JITTER_SECONDS = 0.05
_CACHED_STATEMENTS = 512


class PostgresStore:
    """A Store over one PostgreSQL database.

    `pool_size`: connections of this process (one more listens).
    `connect_seconds`, `acquire_seconds`, `statement_seconds`: how long to wait for a new connection, for a free one and
    for one statement, before the unit fails with StoreUnavailable.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 16,
        connect_seconds: float = 3.0,
        acquire_seconds: float = 5.0,
        statement_seconds: float = 10.0,
    ) -> None:
        self._url = url
        self._connect_seconds = connect_seconds
        self._statement_seconds = statement_seconds
        self._composer = Composer()
        self._channels = Channels()
        self._connections = Connections(self._connect_worker, size=pool_size, wait_seconds=acquire_seconds)
        self._notices: Notices | None = None
        self._closing = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(cls, url: str, **options: Any) -> PostgresStore:
        """Connects. Raises StartRefused."""
        store = cls(url, **options)
        await store.start()
        return store

    async def start(self) -> None:
        """Makes a first connection and starts to listen for notices. Raises StartRefused."""
        try:
            await self._connections.execute("SELECT 1")
        except (asyncpg.PostgresError, ValueError, *UNAVAILABLE) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            server = PostgresLocation(self._url).server
            raise StartRefused(f"PostgreSQL at {server} cannot be reached: {reason}.", cause=error) from error
        self._notices = Notices(self._connect_listener, self._connections, self._channels)
        await self._notices.start()

    async def write(self, unit: Unit[T], *args: Any) -> T:
        """Runs a unit, again after each Conflict; returns after COMMIT."""
        self._enter()
        try:
            return await self._write(unit, args)
        finally:
            self._leave()

    async def read(self, unit: Unit[T], *args: Any) -> T:
        """Runs a reading unit; each query sees what is committed when it starts."""
        self._enter()
        try:
            return await self._attempt(unit, args, readonly=True, attempt=0)
        finally:
            self._leave()

    def subscribe(self, channel: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` after a unit of any process notified `channel`, and when notices may have been missed."""
        return self._channels.subscribe(channel, callback)

    async def ping(self) -> None:
        """Asks the server; raises StoreUnavailable when it does not answer within two seconds."""
        if self._closing:
            raise StoreUnavailable("The database is closed.")
        try:
            async with asyncio.timeout(2):
                await self._connections.execute("SELECT 1")
        except (asyncpg.PostgresError, *UNAVAILABLE) as error:
            raise StoreUnavailable(cause=error) from error

    async def close(self) -> None:
        """Lets running units end, then closes all connections."""
        if self._closing:
            return
        self._closing = True
        # Each running unit has its own time limits, so this ends.
        await self._idle.wait()
        if self._notices is not None:
            await self._notices.stop()
        await self._connections.close()

    async def _write(self, unit: Unit[T], args: tuple[Any, ...]) -> T:
        conflict: Conflict | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                longest = min(_JITTER_SECONDS * attempt, _LONGEST_JITTER_SECONDS)
                await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - spreads retries, guards nothing
            try:
                return await self._attempt(unit, args, readonly=False, attempt=attempt)
            except Conflict as error:
                conflict = error
        raise StoreUnavailable(cause=conflict)

    async def _attempt(self, unit: Unit[T], args: tuple[Any, ...], *, readonly: bool, attempt: int) -> T:
        try:
            connection = await self._connections.acquire()
        except (asyncpg.PostgresError, *UNAVAILABLE) as error:
            raise StoreUnavailable(cause=error) from error
        tx = PostgresTx(
            connection,
            self._composer,
            readonly=readonly,
            pessimistic=attempt >= _FIRST_PESSIMISTIC_ATTEMPT,
        )
        try:
            result = await tx.drive(unit, args)
        finally:
            self._connections.release(connection)
        if tx.channels and self._notices is not None:
            self._notices.send(tx.channels)
        return result

    def _enter(self) -> None:
        if self._closing:
            raise StoreUnavailable("The database is closed.")
        self._running += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def _connect_worker(self) -> Any:
        # A unit leaves its connection clean or terminates it, so nothing is reset between units.
        return await asyncpg.connect(
            self._url,
            timeout=self._connect_seconds,
            command_timeout=self._statement_seconds,
            statement_cache_size=_CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            server_settings={
                "application_name": APPLICATION_NAME,
                "jit": "off",
                "idle_in_transaction_session_timeout": f"{max(1, round(self._statement_seconds * 500))}ms",
            },
        )

    async def _connect_listener(self) -> Any:
        return await asyncpg.connect(
            self._url,
            timeout=self._connect_seconds,
            server_settings={"application_name": f"{APPLICATION_NAME} listener"},
        )
