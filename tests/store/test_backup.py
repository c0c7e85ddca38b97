"""The lock on the data folder, backup and restore."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from ringback.clock import ManualClock
from ringback.errors import StartRefused
from ringback.store import SqliteLocation
from ringback.store.backup import backup, restore
from ringback.store.lockfile import DataLock
from tests.peers.postgres import binaries
from tests.store.conftest import Database
from tests.store.units import add, count


@pytest.fixture(autouse=True)
def _postgres_tools_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(binaries()), prepend=":")


def kept_aside(folder: Path) -> list[Path]:
    return list(folder.glob("*before-restore-1*"))


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_second_server_is_refused_in_one_line(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        code = (
            "import sys; from pathlib import Path; from ringback.store.lockfile import DataLock\n"
            "from ringback.errors import StartRefused\n"
            "try: DataLock(Path(sys.argv[1])).acquire()\n"
            "except StartRefused as refusal: print(refusal.message)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
        assert "in use by another ringback process (pid " in done.stdout
        assert done.stdout.count("\n") == 1
    with DataLock(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="cannot be used"):
        DataLock(tmp_path / "nowhere").acquire()


async def test_a_backup_of_a_running_server_is_restored(database: Database, tmp_path: Path) -> None:
    store = await database.open()
    target = tmp_path / "backup file"
    for n in range(20):
        await store.write(add, f"before {n}")
    making = asyncio.ensure_future(asyncio.to_thread(backup, database.location, target))
    n = 0
    while not making.done():
        n += 1
        await store.write(add, f"meanwhile {n}")
    await making
    assert mode_of(target) == 0o600
    with pytest.raises(StartRefused, match="exists already"):
        backup(database.location, target)
    if not database.is_sqlite:
        with pytest.raises(StartRefused, match="in use by a ringback process"):
            await asyncio.to_thread(restore, database.location, target, tmp_path, ManualClock())
    await store.close()

    warning = await asyncio.to_thread(restore, database.location, target, tmp_path, ManualClock(1))
    assert "before-restore-1" in warning
    assert "look-ahead" in warning
    again = await database.open()
    assert 20 <= await again.read(count) <= 20 + n
    assert kept_aside(tmp_path)


async def test_restoring_under_a_running_server_is_refused(database: Database, tmp_path: Path) -> None:
    if not database.is_sqlite:
        return  # seen above: there the server's connections are the lock
    target = tmp_path / "backup"
    backup(database.location, target)
    with DataLock(tmp_path), pytest.raises(StartRefused, match="in use by another"):
        restore(database.location, target, tmp_path, ManualClock())


async def test_what_is_no_backup_is_refused_and_the_database_stays(database: Database, tmp_path: Path) -> None:
    store = await database.open()
    await store.write(add, "a")
    await store.close()
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"no backup at all" * 1000)
    with pytest.raises(StartRefused):
        await asyncio.to_thread(restore, database.location, wrong, tmp_path, ManualClock())
    with pytest.raises(StartRefused, match="no backup file"):
        restore(database.location, tmp_path / "nothing", tmp_path, ManualClock())
    again = await database.open()
    assert await again.read(count) == 1


def test_another_sqlite_file_is_refused(sqlite_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE things (id)")
    connection.close()
    with pytest.raises(StartRefused, match="not a whole backup"):
        restore(SqliteLocation(sqlite_path), other, tmp_path, ManualClock())
