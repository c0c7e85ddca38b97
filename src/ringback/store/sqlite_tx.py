"""A unit's view of SQLite. Its coroutines never suspend, so that one writer can run many units in a row."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

import apsw

from ringback.errors import StoreUnavailable, UniqueViolation
from ringback.store.query import Command, Query
from ringback.store.unit import Unit, UnitMisused

T = TypeVar("T")

_UNIQUE = {
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_ROWID,
}
# What a disk or another process does to us, as opposed to a mistake in the SQL.
UNAVAILABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.NoMemError,
    apsw.InterruptError,
    apsw.ConnectionClosedError,
)


def translate(error: apsw.Error) -> Exception:
    """The error in the words of `ringback.errors`, where there is one."""
    # `extendedresult` is set by apsw when it raises; its type stubs do not say so.
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", None) in _UNIQUE:
        return UniqueViolation(cause=error)
    if isinstance(error, UNAVAILABLE):
        return StoreUnavailable(cause=error)
    return error


class SqliteTx:
    """One unit's transaction: a savepoint of the group's."""

    __slots__ = ("_connection", "_execute", "_over", "_readonly", "channels")

    def __init__(self, connection: apsw.Connection, cursor: apsw.Cursor, *, readonly: bool) -> None:
        self._connection = connection
        self._execute = cursor.execute
        self._readonly = readonly
        self._over: BaseException | None = None
        self.channels: set[str] | None = None

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the unit, also when the unit has swallowed it."""
        return self._over

    def end(self) -> None:
        """From now on nothing goes through this object."""
        self._over = UnitMisused("a unit's tx was used after the unit had ended")

    async def one(self, query: Query[T], *args: Any) -> T | None:
        """The first row, or None."""
        # All rows are fetched, so that no statement stays open and holds an old snapshot.
        rows = self._rows(query, args)
        return query.from_sqlite(rows[0]) if rows else None

    async def all(self, query: Query[T], *args: Any) -> list[T]:
        """All rows."""
        return [query.from_sqlite(row) for row in self._rows(query, args)]

    async def all_for(self, query: Query[T], rows: Sequence[Any]) -> list[T]:
        """One after the other."""
        return [query.from_sqlite(found) for row in rows for found in self._rows(query, query.arguments(row))]

    async def run(self, command: Command, *args: Any) -> None:
        """Changes rows, at once."""
        if self._over is not None:
            raise self._over
        if self._readonly:
            raise self._fail(UnitMisused(f"{command!r} writes, and the unit was started by Store.read"))
        try:
            self._execute(command.sqlite, args)
        except apsw.Error as error:
            raise self._fail(translate(error)) from error
        if command.expect_one and self._connection.changes() != 1:
            raise self._fail(command.refusal())

    async def run_for(self, command: Command, rows: Sequence[Any]) -> None:
        """One after the other."""
        for row in rows:
            await self.run(command, *command.arguments(row))

    def notify(self, channel: str) -> None:
        """Wakes the subscribers of `channel` after COMMIT."""
        if self.channels is None:
            self.channels = set()
        self.channels.add(channel)

    def _rows(self, query: Query[Any], args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._over is not None:
            raise self._over
        if self._readonly and query.writes:
            raise self._fail(UnitMisused(f"{query!r} writes, and the unit was started by Store.read"))
        try:
            return self._execute(query.sqlite, args).fetchall()
        except apsw.Error as error:
            raise self._fail(translate(error)) from error

    def _fail(self, error: Exception) -> Exception:
        self._over = error
        return error


def drive(unit: Unit[T], tx: SqliteTx, args: tuple[Any, ...]) -> T:
    """Runs a unit to its end without an event loop; one that suspends is a mistake in the program."""
    coroutine = cast("Coroutine[Any, Any, T]", unit(tx, *args))
    try:
        coroutine.send(None)
    except StopIteration as done:
        if tx.failure is not None:
            # The unit caught an error of its tx; what it goes on to claim is not what the database holds.
            raise tx.failure from None
        return cast("T", done.value)
    finally:
        tx.end()
    try:
        coroutine.close()
    except RuntimeError as error:
        raise UnitMisused(f"{_name(unit)} awaited something outside its tx, and refused to stop") from error
    raise UnitMisused(f"{_name(unit)} awaited something outside its tx")


def _name(unit: Any) -> str:
    return getattr(unit, "__qualname__", None) or repr(unit)
