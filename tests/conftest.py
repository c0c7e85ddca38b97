"""What every room's tests share: databases of both kinds, a clock that is moved by hand, a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from ringback.clock import ManualClock
from ringback.store import PostgresLocation, PostgresStore, SqliteLocation, SqliteStore, Store
from ringback.store.migrate import upgrade
from tests.peers.postgres import PostgresCluster
from tests.served import Served

# A machine that is busy makes no property false.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """One PostgreSQL server for this test process (each process of pytest-xdist has its own)."""
    cluster = PostgresCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="session")
def upgraded_postgres(cluster: PostgresCluster) -> str:
    """The name of an upgraded database to copy."""
    name = cluster.new_database()
    upgrade(PostgresLocation(cluster.url(name)))
    return name


@pytest.fixture(scope="session")
def upgraded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded file to copy."""
    path = tmp_path_factory.mktemp("upgraded") / "template.db"
    upgrade(SqliteLocation(path))
    return path


@pytest.fixture
def sqlite_url(upgraded_sqlite: Path, tmp_path: Path) -> str:
    """RINGBACK_DATABASE_URL of SQLite, which is empty. A server in `tmp_path` finds an upgraded file: saves seconds."""
    (tmp_path / "ringback.db").write_bytes(upgraded_sqlite.read_bytes())
    return ""


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """RINGBACK_DATABASE_URL of a fresh upgraded database of each kind; empty for SQLite in `tmp_path`."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    name = cluster.new_database(request.getfixturevalue("upgraded_postgres"))
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store on a fresh database of each kind."""
    opened: Store
    if database_url:
        opened = await PostgresStore.open(database_url)
    else:
        opened = await SqliteStore.open(tmp_path / "ringback.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves only when told to."""
    return ManualClock()


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A whole server on each kind of database, in this process, with an admin, an integration user and an app."""
    async with Served.start(tmp_path, database_url) as running:
        yield running


@pytest.fixture
async def served_without_worker(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A server that delivers nothing and runs no jobs: the test does what it wants done."""
    async with Served.start(tmp_path, database_url, worker=False) as running:
        yield running


@pytest.fixture
async def served_sqlite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    async with Served.start(tmp_path, sqlite_url) as running:
        yield running
