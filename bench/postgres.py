"""A PostgreSQL cluster for benches: the one of the tests, but with fsync on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.peers.postgres import PostgresCluster


@contextlib.asynccontextmanager
async def durable_postgres(databases: int) -> AsyncIterator[list[str]]:
    """A fresh cluster that keeps what it acknowledged, and the URLs of so many empty databases.

    In a thread, since the cluster starts an event loop of its own to ask whether it answers.
    """
    cluster = await asyncio.to_thread(PostgresCluster, durable=True)
    try:
        await asyncio.to_thread(cluster.start)
        names = [await asyncio.to_thread(cluster.new_database) for _ in range(databases)]
        yield [cluster.socket_url(name) for name in names]
    finally:
        await asyncio.to_thread(cluster.remove)
