"""The server is killed while callbacks wait and while one is under way: all arrive, and what comes twice says so."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from aiohttp import web

from tests.callbacks.receiver import Receiver, Told
from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank
from tests.journeys.processes import kill_all
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess

HALF_A_MINUTE_LATER = "UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE state = 'LEASED'"
"""With several processes nobody can know that the one that held a lease is dead before the lease runs out."""


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, new_server: NewServer) -> ServerProcess:
    """One process on SQLite, several on PostgreSQL; not started yet."""
    if request.param == "sqlite":
        return new_server("", egress_allow="127.0.0.0/8")
    return new_server(request.getfixturevalue("postgres_url"), egress_allow="127.0.0.0/8", workers="2")


async def test_kill_9_with_callbacks_waiting(
    server: ServerProcess, cluster: PostgresCluster, receiver: Receiver
) -> None:
    # A thread: the receiver goes on while processes start and end.
    await asyncio.to_thread(server.start)
    furnished = await asyncio.to_thread(server.furnish)

    is_killed = asyncio.Event()

    async def only_the_first(_: Told) -> web.Response:
        if len(receiver.told) > 5:
            await is_killed.wait()
        return web.Response()

    receiver.answer = only_the_first
    async with Bank.of(server, furnished) as bank:
        content = {"name": "hook", "type": "OPERATION_STATUS_CHANGE", "callbackUrl": receiver.url}
        made = await bank.call("POST", "/v2/admin/applications/bank/callbacks", content)
        assert made.status == 200, made
        await asyncio.sleep(1.6)  # until the other process has heard of it
        operations = {(await bank.ask(f"user-{number}"))["operationId"] for number in range(60)}
        await receiver.wait_for(3)
        await asyncio.to_thread(kill_all, server)
        is_killed.set()
        before = len(receiver.told)
        assert before < len(operations)
        if server.database_url:
            await asyncio.to_thread(cluster.run, HALF_A_MINUTE_LATER, server.database_url.rpartition("/")[2])
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(60):
            while {one.body["operationId"] for one in receiver.told} != operations:  # noqa: ASYNC110 - a set, no count
                await asyncio.sleep(0.05)
        keys = defaultdict(set)
        for one in receiver.told:
            keys[one.body["operationId"]].add(one.key)
        assert {len(one) for one in keys.values()} == {1}
