"""A unit's view of PostgreSQL.

Reads before the first write run on their own (READ COMMITTED); commands wait in a buffer and travel together at the end
as one statement. Whatever needs more than that — a read after a write, a write with RETURNING, a run in pessimistic
mode — begins a real transaction, and the unit goes on in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]
import msgspec

from ringback.errors import Conflict, StoreUnavailable, UniqueViolation
from ringback.store.compose import Composed, compose, refused_command
from ringback.store.query import Command, Query
from ringback.store.unit import Unit, UnitMisused

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Connection(Protocol):
    """What a unit needs of an asyncpg connection."""

    async def fetchrow(self, query: str, *args: Any) -> Sequence[Any] | None:
        """The first row, or None."""
        ...

    async def fetch(self, query: str, *args: Any) -> list[Sequence[Any]]:
        """All rows."""
        ...

    async def execute(self, query: str, *args: Any) -> str:
        """Runs a statement; returns the server's command tag, such as `UPDATE 1`."""
        ...

    async def executemany(self, command: str, args: Iterable[Sequence[Any]]) -> None:
        """Runs a statement once for each tuple of arguments."""
        ...

    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        ...

    def terminate(self) -> None:
        """Ends the connection without a word to the server."""
        ...


# What a server, a network or an operator does to us, as opposed to a mistake in the SQL.
UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
    TimeoutError,
    EOFError,
)
_RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
# More distinct tuples of commands than this means that buffers vary in length: start again.
_MAX_COMPOSED = 2048
_ROLLBACK_SECONDS = 2


def translate(error: Exception) -> Exception:
    """The error in the words of `ringback.errors`, where there is one."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return UniqueViolation(cause=error)
    if isinstance(error, _RACES):
        return Conflict(cause=error)
    # An argument of the wrong type is an InterfaceError as well, but it is a ValueError or a TypeError besides.
    if isinstance(error, UNAVAILABLE) and not isinstance(error, (ValueError, TypeError)):
        return StoreUnavailable(cause=error)
    return error


def _list_of(rows: Sequence[Any], text: Query[Any] | Command) -> str:
    text.arguments(rows[0])  # refuses a text that is not meant for this
    return _encode(rows).decode()


class Composer:
    """Remembers the composed statement of each tuple of commands."""

    def __init__(self) -> None:
        self._composed: dict[tuple[Command, ...], Composed | None] = {}

    def __call__(self, commands: tuple[Command, ...]) -> Composed | None:
        """The commands as one statement, or None when they must be sent one by one."""
        try:
            return self._composed[commands]
        except KeyError:
            if len(self._composed) >= _MAX_COMPOSED:
                self._composed.clear()
            composed = self._composed[commands] = compose(commands)
            return composed


class PostgresTx:
    """One unit on one connection."""

    __slots__ = ("_buffer", "_composer", "_connection", "_locking", "_over", "_readonly", "_transaction", "channels")

    def __init__(self, connection: Connection, composer: Composer, *, readonly: bool, pessimistic: bool) -> None:
        self._connection = connection
        self._composer = composer
        self._readonly = readonly
        self._locking = pessimistic
        self._transaction = False
        self._over: BaseException | None = None
        self._buffer: list[tuple[Command, tuple[Any, ...]]] = []
        self.channels: set[str] | None = None

    async def one(self, query: Query[T], *args: Any) -> T | None:
        """The first row, or None."""
        sql = await self._before_query(query)
        try:
            row = await self._connection.fetchrow(sql, *args)
        except Exception as error:
            raise self._fail(translate(error)) from error
        return None if row is None else query.from_postgres(row)

    async def all(self, query: Query[T], *args: Any) -> list[T]:
        """All rows."""
        sql = await self._before_query(query)
        try:
            rows = await self._connection.fetch(sql, *args)
        except Exception as error:
            raise self._fail(translate(error)) from error
        return [query.from_postgres(row) for row in rows]

    async def all_for(self, query: Query[T], rows: Sequence[Any]) -> list[T]:
        """All in one statement."""
        return await self.all(query, _list_of(rows, query)) if rows else []

    async def run(self, command: Command, *args: Any) -> None:
        """Changes rows, at the latest at the end of the unit."""
        if self._over is not None:
            raise self._over
        if self._readonly:
            raise self._fail(UnitMisused(f"{command!r} writes, and the unit was started by Store.read"))
        if len(args) != command.parameters:
            raise self._fail(UnitMisused(f"{command!r} was given {len(args)} arguments"))
        self._buffer.append((command, args))

    async def run_for(self, command: Command, rows: Sequence[Any]) -> None:
        """All in one statement."""
        if rows:
            await self.run(command, _list_of(rows, command))

    def notify(self, channel: str) -> None:
        """Wakes the subscribers of `channel` after COMMIT."""
        if self.channels is None:
            self.channels = set()
        self.channels.add(channel)

    # for the store ----------------------------------------------------------------------------------------------------

    async def drive(self, unit: Unit[T], args: tuple[Any, ...]) -> T:
        """Runs the unit and commits it; nothing of it is kept when this raises."""
        try:
            if self._locking:
                await self._begin()
            result = await unit(self, *args)
            if self._over is not None:
                # The unit caught an error of its tx; what it goes on to claim is not what the database holds.
                raise self._over
            if not self._transaction and self._must_be_ordered():
                await self._begin()
            await self._flush()
            if self._transaction:
                await self._execute("COMMIT")
                self._transaction = False
            return result
        finally:
            self._over = UnitMisused("a unit's tx was used after the unit had ended")
            if self._transaction:
                await self._rollback()

    async def _before_query(self, query: Query[Any]) -> str:
        """Makes ready for a query; returns the text to send."""
        if self._over is not None:
            raise self._over
        if query.writes and self._readonly:
            raise self._fail(UnitMisused(f"{query!r} writes, and the unit was started by Store.read"))
        if (query.writes or self._buffer) and not self._transaction:
            await self._begin()
        if self._buffer:
            await self._flush()
        return query.postgres_locking if self._locking else query.postgres

    async def _begin(self) -> None:
        await self._execute("BEGIN")
        self._transaction = True

    async def _rollback(self) -> None:
        self._transaction = False
        connection = self._connection
        try:
            if not connection.is_closed():
                async with asyncio.timeout(_ROLLBACK_SECONDS):
                    await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever it is, the connection is not used again
            # A connection in an unknown state must not go back to the pool; the server rolls back when it is gone.
            connection.terminate()

    def _must_be_ordered(self) -> bool:
        return len(self._buffer) > 1 and self._composer(tuple([command for command, _ in self._buffer])) is None

    async def _flush(self) -> None:
        """Sends the buffered commands: together where that is right, else one by one."""
        buffer, self._buffer = self._buffer, []
        if not buffer:
            return
        commands = tuple([command for command, _ in buffer])
        # Outside a transaction a guard must be part of its statement: afterwards it would come too late.
        together = len(buffer) > 1 or (commands[0].expect_one and not self._transaction)
        composed = self._composer(commands) if together else None
        if composed is None:
            await self._run_in_order(buffer)
            return
        try:
            await self._connection.execute(composed.sql, *[arg for _, args in buffer for arg in args])
        except asyncpg.InvalidTextRepresentationError as error:
            refused = refused_command(str(error))
            raise self._fail(error if refused is None else commands[refused].refusal()) from error
        except Exception as error:
            raise self._fail(translate(error)) from error

    async def _run_in_order(self, buffer: list[tuple[Command, tuple[Any, ...]]]) -> None:
        n = 0
        while n < len(buffer):
            command, args = buffer[n]
            same = n + 1
            while not command.expect_one and same < len(buffer) and buffer[same][0] is command:
                same += 1
            status = ""
            try:
                if same - n > 1:
                    await self._connection.executemany(command.postgres, [each for _, each in buffer[n:same]])
                else:
                    status = await self._connection.execute(command.postgres, *args)
            except Exception as error:
                raise self._fail(translate(error)) from error
            # The server's answer ends with the number of rows: "UPDATE 1", "INSERT 0 1".
            if command.expect_one and status.rpartition(" ")[2] != "1":
                raise self._fail(command.refusal())
            n = same

    async def _execute(self, sql: str) -> None:
        try:
            await self._connection.execute(sql)
        except Exception as error:
            raise self._fail(translate(error)) from error

    def _fail(self, error: Exception) -> Exception:
        self._over = error
        return error
