"""Servers as processes of their own, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.processes import kill_all
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers, not started yet; whatever still runs at the end is killed."""
    made: list[ServerProcess] = []

    def make(database_url: str = "", folder: str = "data", **settings: str) -> ServerProcess:
        server = ServerProcess(tmp_path / folder, database_url, settings)
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
