"""Group commit when things go wrong: nobody holds an answer that is not on the disk, and the writer goes on living."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ringback.errors import StartRefused, StoreUnavailable
from ringback.store import SqliteStore, Store, Tx, UnitMisused
from tests.store.faulty_disk import FaultyDisk
from tests.store.units import add, add_entry, count


@contextlib.asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, **options)
    try:
        yield store
    finally:
        await store.close()


def in_file(path: Path) -> int:
    """How many entries another reader of the file sees."""
    connection = apsw.Connection(str(path))
    row = connection.execute("SELECT count(*) FROM entries").fetchone()
    connection.close()
    assert row is not None
    return int(row[0])


async def outcomes(store: Store, prefix: str, how_many: int, data: bytes | None = None) -> list[Any]:
    async def unit(tx: Tx, entry_id: str) -> str:
        return await add(tx, entry_id, data=data)

    return await asyncio.gather(
        *(store.write(unit, f"{prefix}{n}") for n in range(how_many)),
        return_exceptions=True,
    )


@pytest.mark.parametrize("failing", ["sync", "write"])
async def test_a_failed_commit_fails_every_unit_of_the_group(sqlite_path: Path, failing: str) -> None:
    disk = FaultyDisk()
    async with opened(sqlite_path, vfs=disk.name) as store:
        assert await outcomes(store, "before", 3) == ["before0", "before1", "before2"]
        disk.failing = failing
        failed = await outcomes(store, "lost", 5)
        assert [type(outcome) for outcome in failed] == [StoreUnavailable] * 5
        assert await store.read(count) == 3
        disk.failing = None
        assert await outcomes(store, "after", 3) == ["after0", "after1", "after2"]
        assert await store.read(count) == 6
    assert in_file(sqlite_path) == 6


async def test_a_commit_that_is_refused_fails_every_unit_of_the_group(sqlite_path: Path) -> None:
    async with opened(sqlite_path) as store:
        writer = store._writer
        assert writer is not None
        writer.set_commit_hook(lambda: True)
        failed = await outcomes(store, "lost", 5)
        assert [type(outcome) for outcome in failed] == [StoreUnavailable] * 5
        writer.set_commit_hook(None)
        assert await outcomes(store, "after", 2) == ["after0", "after1"]
    assert in_file(sqlite_path) == 2


async def test_nobody_is_notified_of_a_failed_commit(sqlite_path: Path) -> None:
    disk = FaultyDisk()
    woken: list[int] = []

    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        tx.notify("things")

    async with opened(sqlite_path, vfs=disk.name) as store:
        store.subscribe("things", lambda: woken.append(1))
        disk.failing = "sync"
        with pytest.raises(StoreUnavailable):
            await store.write(unit)
        assert woken == []


async def test_a_refusal_decided_upon_lost_writes_is_not_told(sqlite_path: Path) -> None:
    """A unit that refuses because of a row of the same group must not say so when that row was never stored."""
    disk = FaultyDisk()

    async def refuses_when_there(tx: Tx) -> None:
        if await count(tx):
            raise LookupError

    async with opened(sqlite_path, vfs=disk.name) as store:
        disk.failing = "sync"
        _, refused = await asyncio.gather(
            store.write(add, "a"), store.write(refuses_when_there), return_exceptions=True
        )
        assert isinstance(refused, StoreUnavailable)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    yield folder
    if mounted.returncode == 0:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill_if_small(ballast: Path) -> bool:
    """Takes room from the small file system; False when it could not be mounted."""
    if os.path.ismount(ballast.parent):
        ballast.write_bytes(bytes(200_000))
        return True
    return False


async def test_a_full_disk_fails_units_until_there_is_room(small_disk: Path, sqlite_template: Path) -> None:
    """On a real small file system where it can be mounted, otherwise by limiting the file's pages."""
    path = small_disk / "ringback.db"
    shutil.copyfile(sqlite_template, path)
    ballast = small_disk / "ballast"
    is_small = fill_if_small(ballast)
    async with opened(path, max_group_units=8) as store:
        writer = store._writer
        assert writer is not None
        if not is_small:
            limit = int(writer.pragma("page_count")) + 100
            writer.pragma("max_page_count", limit)
        answers = await outcomes(store, "big", 200, data=bytes(10_000))
        kept = [answer for answer in answers if isinstance(answer, str)]
        assert 0 < len(kept) < 200
        assert {type(answer) for answer in answers} == {str, StoreUnavailable}
        assert await store.read(count) == len(kept)
        if is_small:
            await asyncio.to_thread(ballast.unlink)
        else:
            writer.pragma("max_page_count", limit + 1000)
        assert await outcomes(store, "small", 3) == ["small0", "small1", "small2"]
        assert await store.read(count) == len(kept) + 3
    assert in_file(path) == len(kept) + 3


async def test_a_unit_cancelled_in_the_queue_does_not_run(sqlite_path: Path) -> None:
    ran = []

    async def unit(tx: Tx) -> None:
        ran.append(1)
        await tx.run(add_entry, "cancelled", None, None, None)

    async with opened(sqlite_path) as store:
        cancelled = asyncio.ensure_future(store.write(unit))
        kept = asyncio.ensure_future(store.write(add, "kept"))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await kept == "kept"
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not ran
        assert await store.read(count) == 1


async def test_a_unit_cancelled_while_it_commits_is_kept(sqlite_path: Path) -> None:
    ran = asyncio.Event()

    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        ran.set()

    async with opened(sqlite_path) as store:
        task = asyncio.ensure_future(store.write(unit))
        await ran.wait()
        task.cancel()
        await asyncio.wait([task])
        assert await store.write(add, "b") == "b"
        assert await store.read(count) == 2


async def test_a_unit_that_awaits_something_else_is_a_mistake(sqlite_path: Path) -> None:
    async def sleeps(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        await asyncio.sleep(0)

    async def clings(tx: Tx) -> None:
        await tx.run(add_entry, "b", None, None, None)
        with contextlib.suppress(GeneratorExit):
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async with opened(sqlite_path) as store:
        for unit in (sleeps, clings):
            with pytest.raises(UnitMisused, match=unit.__name__):
                await store.write(unit)
        with pytest.raises(UnitMisused):
            await store.read(sleeps)
        await store.write(add, "c")
        assert await store.read(count) == 1


async def test_a_long_queue_gives_the_loop_its_turns(sqlite_path: Path) -> None:
    turns = 0
    done = False

    async def ticks() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    async with opened(sqlite_path, max_group_seconds=0.001) as store:
        ticking = asyncio.ensure_future(ticks())
        await outcomes(store, "n", 2000)
        done = True
        await ticking
    assert turns > 8


async def test_a_foreign_lock_does_not_hold_up_the_loop(sqlite_path: Path) -> None:
    async with opened(sqlite_path, busy_seconds=0.2) as store:
        other = apsw.Connection(str(sqlite_path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.write(add, "a")
        store._busy_seconds = 60
        later = asyncio.ensure_future(store.write(add, "b"))
        await asyncio.sleep(0.05)
        assert not later.done()
        assert await store.read(count) == 0
        other.execute("ROLLBACK")
        assert await later == "b"
        other.close()


async def test_commit_runs_in_one_thread_and_units_on_the_loop(sqlite_path: Path) -> None:
    async with opened(sqlite_path) as store:

        async def unit(tx: Tx) -> str:
            await tx.run(add_entry, threading.current_thread().name, None, None, None)
            return threading.current_thread().name

        assert await store.write(unit) == threading.main_thread().name
        assert [t.name for t in threading.enumerate() if t.name.startswith("commit")] == ["commit_0"]


async def test_the_log_is_folded_into_the_file_at_the_end(sqlite_path: Path) -> None:
    async with opened(sqlite_path) as store:
        await store.write(add, "a")
        assert sqlite_path.with_name("ringback.db-wal").stat().st_size > 0
    assert not sqlite_path.with_name("ringback.db-wal").exists()
    assert in_file(sqlite_path) == 1


async def test_a_file_that_cannot_be_opened_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="cannot be opened"):
        await SqliteStore.open(tmp_path / "nowhere" / "ringback.db")
    (tmp_path / "text").write_bytes(b"this is no database" * 100)
    with pytest.raises(StartRefused, match="cannot be opened"):
        await SqliteStore.open(tmp_path / "text")
