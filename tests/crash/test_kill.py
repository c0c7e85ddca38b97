"""The server ends under load, in every way that it can end; what it acknowledged is there when it is back."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.crash.bank_day import Staff, audit, work
from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank
from tests.journeys.processes import kill_all
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess

SETTINGS = {"activation_validity_seconds": "3600"}
LOAD_SECONDS = 1.2
HALF_A_MINUTE_LATER = "UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE state = 'LEASED'"
"""With several processes nobody can know that the one that held a lease is dead before the lease runs out."""


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, new_server: NewServer) -> ServerProcess:
    """One process on SQLite, several on PostgreSQL; not started yet."""
    if request.param == "sqlite":
        return new_server("", **SETTINGS)
    return new_server(request.getfixturevalue("postgres_url"), **SETTINGS, workers="2")


async def test_kill_9(server: ServerProcess, cluster: PostgresCluster) -> None:
    server.start()
    furnished = server.furnish()
    async with Bank.of(server, furnished) as bank:
        staff = await Staff.enrol(bank)
        ledger = await work(bank, staff, LOAD_SECONDS, lambda: asyncio.to_thread(kill_all, server))
        if server.database_url:
            database = server.database_url.rpartition("/")[2]
            await asyncio.to_thread(cluster.run, HALF_A_MINUTE_LATER, database)
        await asyncio.to_thread(server.start)
        await audit(bank, ledger, staff.listener)


async def test_sigterm_with_requests_under_way(server: ServerProcess) -> None:
    server.start()
    furnished = server.furnish()
    took: list[float] = []

    async def stop() -> None:
        began = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        took.append(time.monotonic() - began)

    async with Bank.of(server, furnished) as bank:
        staff = await Staff.enrol(bank)
        async with staff.listener.open_push_stream():
            ledger = await work(bank, staff, LOAD_SECONDS, stop)
        assert took[0] < 25
        assert "Traceback" not in server.log()
        await asyncio.to_thread(server.start)
        await audit(bank, ledger, staff.listener)
