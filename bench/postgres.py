"""A PostgreSQL cluster for benches: the one of the tests, but with fsync on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.peers.postgres import PostgresCluster


@contextlib.contextmanager
def durable_postgres() -> Iterator[PostgresCluster]:
    """A fresh cluster that keeps what it acknowledged."""
    cluster = PostgresCluster(durable=True)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
