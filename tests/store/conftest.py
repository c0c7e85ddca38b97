"""One suite, both databases: `store` is a SqliteStore, then a PostgresStore, over the same tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ringback.store import PostgresLocation, PostgresStore, SqliteLocation, SqliteStore, Store
from ringback.store.migrate import upgrade
from tests.peers.postgres import PostgresCluster

TEST_TABLES = """
CREATE TABLE counters (id TEXT PRIMARY KEY, value INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE entries (id TEXT PRIMARY KEY, counter_id TEXT REFERENCES counters(id), flag BOOLEAN, data {blob});
"""


class Database:
    """An upgraded database with the tables of this suite, which any number of stores may open."""

    def __init__(self, location: SqliteLocation | PostgresLocation) -> None:
        self.location = location
        self._stores: list[Store] = []

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self.location, SqliteLocation)

    async def open(self, **options: Any) -> Store:
        """One more store; closed at the end of the test."""
        store: Store
        if isinstance(self.location, SqliteLocation):
            store = await SqliteStore.open(self.location.path, **options)
        else:
            store = await PostgresStore.open(self.location.url, **options)
        self._stores.append(store)
        return store

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@pytest.fixture(scope="session")
def postgres_template(cluster: PostgresCluster) -> str:
    """An upgraded database to copy."""
    name = cluster.new_database()
    upgrade(PostgresLocation(cluster.url(name)))
    cluster.run(TEST_TABLES.format(blob="BYTEA"), name)
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(SqliteLocation(path))
    connection = apsw.Connection(str(path))
    connection.execute(TEST_TABLES.format(blob="BLOB"))
    connection.close()
    return path


@pytest.fixture
def sqlite_path(sqlite_template: Path, tmp_path: Path) -> Path:
    """A fresh file."""
    path = tmp_path / "ringback.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database."""
    template: str = request.getfixturevalue("postgres_template")
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    name = cluster.new_database(template)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest) -> SqliteLocation | PostgresLocation:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        return SqliteLocation(request.getfixturevalue("sqlite_path"))
    return PostgresLocation(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(location: SqliteLocation | PostgresLocation) -> AsyncIterator[Database]:
    """A fresh database to open stores on."""
    database = Database(location)
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database) -> Store:
    """A store on a fresh database."""
    return await database.open()
