"""Servers as processes of their own, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.processes import kill_all
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess

NewServer = Callable[..., ServerProcess]


@pytest.fixture
def new_server(tmp_path: Path, upgraded_sqlite: Path) -> Iterator[NewServer]:
    """Makes servers, not started yet; whatever still runs at the end is killed.

    On SQLite they find an upgraded database, which saves a second, unless they are to be `fresh`.
    """
    made: list[ServerProcess] = []

    def make(database_url: str = "", folder: str = "data", *, fresh: bool = False, **settings: str) -> ServerProcess:
        server = ServerProcess(tmp_path / folder, database_url, settings)
        if not fresh and not database_url and not server.folder.exists():
            server.folder.mkdir(mode=0o700)
            (server.folder / "ringback.db").write_bytes(upgraded_sqlite.read_bytes())
        made.append(server)
        return server

    yield make
    for server in made:
        kill_all(server)


@pytest.fixture
def postgres_url(cluster: PostgresCluster, upgraded_postgres: str) -> Iterator[str]:
    """A fresh upgraded PostgreSQL database."""
    name = cluster.new_database(upgraded_postgres)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, new_server: NewServer) -> ServerProcess:
    """A server whose database has its schema; not started yet."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return new_server(url, activation_validity_seconds="3600")


@pytest.fixture
def sqlite_server(new_server: NewServer) -> ServerProcess:
    """The same on SQLite, for what has nothing to do with the database."""
    return new_server(activation_validity_seconds="3600")
