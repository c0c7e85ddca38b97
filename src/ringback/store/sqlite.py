"""SQLite with group commit: one writer, many units of work between one BEGIN and one COMMIT.

The units run on the event loop, each in its savepoint, and only COMMIT, which waits for the disk, runs in a thread;
`synchronous=FULL`, so an answer that a caller holds is on the disk. Reads run inline on a connection of their own.
Exactly one process opens the file (`lockfile.py`), and only the writer's connection checkpoints.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ringback.errors import Conflict, StartRefused, StoreUnavailable
from ringback.store.channels import Channels
from ringback.store.sqlite_tx import SqliteTx, drive
from ringback.store.unit import Unit

T = TypeVar("T")
logger = logging.getLogger(__name__)

CACHED_STATEMENTS = 512
ATTEMPTS = 4
_BUSY_PAUSE_SECONDS = 0.02
_WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=0",
    "PRAGMA journal_size_limit=67108864",
)
_READER_PRAGMAS = ("PRAGMA cache_size=-32768", "PRAGMA temp_store=MEMORY", "PRAGMA mmap_size=0")
_READER_BUSY_MS = 250


class _Waiting:
    """A unit in the queue, and what became of it."""

    __slots__ = ("args", "channels", "error", "future", "result", "unit")

    def __init__(self, future: asyncio.Future[Any], unit: Unit[Any], args: tuple[Any, ...]) -> None:
        self.future = future
        self.unit = unit
        self.args = args
        self.result: Any = None
        self.error: BaseException | None = None
        self.channels: set[str] | None = None

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class SqliteStore:
    """A Store over one SQLite file, for one process.

    `max_group_seconds`: how long a group may hold the event loop before it commits and lets others run.
    `busy_seconds`: how long to wait for somebody else's write lock before units fail with StoreUnavailable.
    `vfs`: the name of another SQLite file layer; tests inject failures with it.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_group_seconds: float = 0.005,
        max_group_units: int = 256,
        busy_seconds: float = 5.0,
        vfs: str | None = None,
    ) -> None:
        self._path = path
        self._max_group_seconds = max_group_seconds
        self._max_group_units = max_group_units
        self._busy_seconds = busy_seconds
        self._vfs = vfs
        self._channels = Channels()
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: apsw.Connection | None = None
        self._writer_cursor: apsw.Cursor | None = None
        self._reader: apsw.Connection | None = None
        self._reader_cursor: apsw.Cursor | None = None
        self._commit_thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, **options: Any) -> SqliteStore:
        """Opens the file, making it when there is none, and starts the writer. Raises StartRefused."""
        store = cls(path, **options)
        store.start()
        return store

    def start(self) -> None:
        """Opens the connections and starts the writer on the running event loop. Raises StartRefused."""
        try:
            self._connect_writer()
            self._reader = self._connect(apsw.SQLITE_OPEN_READONLY, _READER_PRAGMAS)
            self._reader.set_busy_timeout(_READER_BUSY_MS)
            self._reader_cursor = self._reader.cursor()
        except apsw.Error as error:
            raise StartRefused(f"The database file {self._path} cannot be opened: {error}.", cause=error) from error
        self._task = asyncio.get_running_loop().create_task(self._write_groups(), name="sqlite writer")

    async def write(self, unit: Unit[T], *args: Any) -> T:
        """Runs a unit in the next group; returns after its COMMIT."""
        if self._closing or self._task is None:
            raise StoreUnavailable("The database is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(future, unit, args))
        self._wake.set()
        return await future

    async def read(self, unit: Unit[T], *args: Any) -> T:
        """Runs a reading unit at once, without suspending."""
        if self._closing or self._reader is None or self._reader_cursor is None:
            raise StoreUnavailable("The database is closed.")
        return drive(unit, SqliteTx(self._reader, self._reader_cursor, readonly=True), args)

    def subscribe(self, channel: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` after a unit that notified `channel` was committed."""
        return self._channels.subscribe(channel, callback)

    async def ping(self) -> None:
        """Reads from the file, and looks whether the writer lives."""
        if self._closing or self._reader_cursor is None or self._task is None or self._task.done():
            raise StoreUnavailable("The database is closed.")
        try:
            self._reader_cursor.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except apsw.Error as error:
            raise StoreUnavailable(cause=error) from error

    async def close(self) -> None:
        """Runs what is waiting, folds the write-ahead log into the file and closes it."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._reader is not None:
            self._reader.close()
            self._reader = self._reader_cursor = None
        writer, self._writer, self._writer_cursor = self._writer, None, None
        if writer is not None:
            try:
                await self._in_thread(_close_writer, writer)
            except apsw.Error:
                logger.exception("closing the database file failed; nothing is lost, its log is read at the next start")
        self._commit_thread.shutdown(wait=False)

    # the writer -------------------------------------------------------------------------------------------------------

    async def _write_groups(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            group: list[_Waiting] = []
            try:
                await self._write_group(group)
            except Exception as error:  # the writer must outlive whatever happens to a group
                logger.exception("a group of units failed")
                self._abandon()
                for waiting in group:
                    waiting.error = StoreUnavailable(cause=error)
            for waiting in group:
                waiting.deliver()

    async def _write_group(self, group: list[_Waiting]) -> None:
        """Takes units from the queue into `group` and leaves in each what became of it."""
        try:
            writer, cursor = await self._begin()
        except apsw.Error as error:
            self._abandon()
            while self._waiting:
                waiting = self._waiting.popleft()
                waiting.error = StoreUnavailable(cause=error)
                group.append(waiting)
            return
        failure = self._run_units(writer, cursor, group)
        if failure is None:
            try:
                await self._in_thread(cursor.execute, "COMMIT")
            except apsw.Error as error:
                failure = error
        if failure is not None:
            logger.error("a group of %d units was not committed: %s", len(group), failure)
            self._abandon()
            for waiting in group:
                waiting.error = StoreUnavailable(cause=failure)
            # Gives the loop a turn, so that a full disk does not make this spin.
            await asyncio.sleep(0)
            return
        woken = {channel for waiting in group if waiting.error is None for channel in waiting.channels or ()}
        self._channels.wake(woken)

    def _run_units(self, writer: apsw.Connection, cursor: apsw.Cursor, group: list[_Waiting]) -> BaseException | None:
        """Runs waiting units until the group is full or its time is over; what it returns has undone the group."""
        ends_at = time.perf_counter() + self._max_group_seconds
        while self._waiting and len(group) < self._max_group_units:
            waiting = self._waiting.popleft()
            if waiting.future.cancelled():
                continue
            group.append(waiting)
            self._run_unit(writer, cursor, waiting)
            if writer.getautocommit():
                # SQLite undid the whole group by itself: disk full, I/O error.
                return waiting.error or StoreUnavailable()
            if time.perf_counter() > ends_at:
                break
        return None

    def _run_unit(self, writer: apsw.Connection, cursor: apsw.Cursor, waiting: _Waiting) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            tx = SqliteTx(writer, cursor, readonly=False)
            try:
                cursor.execute("SAVEPOINT unit")
                waiting.result = drive(waiting.unit, tx, waiting.args)
                cursor.execute("RELEASE unit")
            except BaseException as error:  # noqa: BLE001 - whatever it is, it goes to whoever waits for the unit
                waiting.error = error
                if writer.getautocommit():
                    return
                cursor.execute("ROLLBACK TO unit")
                cursor.execute("RELEASE unit")
                if not isinstance(error, Conflict):
                    return
                if attempt == ATTEMPTS:
                    waiting.error = StoreUnavailable(cause=error)
            else:
                waiting.error = None
                waiting.channels = tx.channels
                return

    async def _begin(self) -> tuple[apsw.Connection, apsw.Cursor]:
        """Begins a group. Waits for a foreign lock without holding up the event loop."""
        gives_up_at = time.monotonic() + self._busy_seconds
        while True:
            writer, cursor = self._connect_writer()
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                if time.monotonic() > gives_up_at:
                    raise
                await asyncio.sleep(_BUSY_PAUSE_SECONDS)
            else:
                return writer, cursor

    def _abandon(self) -> None:
        """Gets back to a connection without a transaction; a connection that cannot is thrown away."""
        writer, cursor = self._writer, self._writer_cursor
        if writer is None or cursor is None:
            return
        try:
            if not writer.getautocommit():
                cursor.execute("ROLLBACK")
        except apsw.Error as error:
            logger.warning("ROLLBACK failed, the database file is opened anew: %s", error)
            self._writer = self._writer_cursor = None
            writer.close(force=True)

    def _connect_writer(self) -> tuple[apsw.Connection, apsw.Cursor]:
        if self._writer is None or self._writer_cursor is None:
            self._writer = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, _WRITER_PRAGMAS)
            self._writer_cursor = self._writer.cursor()
        return self._writer, self._writer_cursor

    def _connect(self, flags: int, pragmas: tuple[str, ...]) -> apsw.Connection:
        connection = apsw.Connection(
            str(self._path),
            flags=flags,
            vfs=self._vfs,
            statementcachesize=CACHED_STATEMENTS,
        )
        # Without this, SQLite plans every join anew at each execution, to look at the values (20 times slower).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma in pragmas:
            connection.execute(pragma).fetchall()
        return connection

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._commit_thread, function, *args)


def _close_writer(writer: apsw.Connection) -> None:
    try:
        writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        writer.close()
