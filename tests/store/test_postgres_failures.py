"""PostgreSQL when things go wrong, and what only PostgreSQL has: several processes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.errors import StartRefused, StoreUnavailable
from ringback.store import PostgresLocation, PostgresStore, Tx
from ringback.store.migrate import upgrade
from tests.peers.postgres import PostgresCluster
from tests.store.conftest import TEST_TABLES
from tests.store.units import add, add_entry, count, increment, new_counter, value_of


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url, **options)
    try:
        yield store
    finally:
        await store.close()


async def until(condition: Callable[[], object]) -> None:
    """Waits for what nobody tells of."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[PostgresCluster]:
    """A server that a test may stop."""
    cluster = PostgresCluster()
    try:
        cluster.start()
        upgrade(PostgresLocation(cluster.url()))
        cluster.run(TEST_TABLES.format(blob="BYTEA"))
        yield cluster
    finally:
        cluster.remove()


@pytest.mark.parametrize("immediately", [False, True])
async def test_a_server_that_goes_down_and_comes_back(own_cluster: PostgresCluster, *, immediately: bool) -> None:
    async with opened(own_cluster.url(), connect_seconds=600, acquire_seconds=600, statement_seconds=600) as store:
        woken = asyncio.Event()
        store.subscribe("things", woken.set)
        before = await store.read(count)
        await store.write(add, f"before {immediately}")

        stopped = asyncio.Event()
        acknowledged: list[str] = []

        async def keeps_writing() -> None:
            n = 0
            while not stopped.is_set():
                n += 1
                with contextlib.suppress(StoreUnavailable):
                    acknowledged.append(await store.write(add, f"during {immediately} {n}"))
                await asyncio.sleep(0.001)

        writers = asyncio.ensure_future(keeps_writing())
        await until(lambda: acknowledged)
        await asyncio.to_thread(own_cluster.stop, immediately=immediately)
        with pytest.raises(StoreUnavailable):
            await store.write(add, "lost")
        with pytest.raises(StoreUnavailable):
            await store.read(count)
        with pytest.raises(StoreUnavailable):
            await store.ping()
        stopped.set()
        await writers

        await asyncio.to_thread(own_cluster.start)
        await store.ping()
        assert await store.write(add, f"after {immediately}") == f"after {immediately}"
        # A write whose COMMIT was cut off may have been kept without an answer, so at least:
        assert await store.read(count) >= before + 2 + len(acknowledged)
        # Whoever listens is woken after a time in which a notice may have been missed.
        await asyncio.wait_for(woken.wait(), 60)


async def test_connections_cut_by_the_server_are_replaced(postgres_url: str) -> None:
    async with opened(postgres_url, pool_size=2) as store:
        await store.write(add, "a")
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        await admin.close()
        await until(lambda: all(connection.is_closed() for connection in store._connections._free))
        assert await store.write(add, "b") == "b"
        assert await store.read(count) == 2


async def test_an_unreachable_server_refuses_the_start() -> None:
    with pytest.raises(StartRefused, match=r"PostgreSQL at .* cannot be reached"):
        await PostgresStore.open("postgresql://ringback@127.0.0.1:1/none")


async def test_no_free_connection_is_unavailable_in_time(postgres_url: str) -> None:
    entered, refused = asyncio.Event(), asyncio.Event()

    async def holds(tx: Tx) -> None:
        await count(tx)
        entered.set()
        await refused.wait()

    async with opened(postgres_url, pool_size=1, acquire_seconds=0.1) as store:
        holding = asyncio.ensure_future(store.read(holds))
        await entered.wait()
        with pytest.raises(StoreUnavailable):
            await store.write(add, "a")
        refused.set()
        await holding
        assert await store.write(add, "b") == "b"


async def test_a_statement_that_hangs_is_unavailable_in_time(postgres_url: str) -> None:
    async with opened(postgres_url, statement_seconds=3) as store:
        other = await asyncpg.connect(postgres_url)
        await other.execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable):
            await store.write(add, "a")
        with pytest.raises(StoreUnavailable):
            await store.read(count)
        await other.execute("ROLLBACK")
        await other.close()
        assert await store.write(add, "b") == "b"
        assert await store.read(count) == 1


async def test_a_cancelled_unit_leaves_no_transaction_behind(postgres_url: str) -> None:
    entered = asyncio.Event()

    async def writes_and_waits(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        await count(tx)
        entered.set()
        await asyncio.sleep(10)

    async with opened(postgres_url, pool_size=1) as store:
        task = asyncio.ensure_future(store.write(writes_and_waits))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.write(add, "a") == "a"
        assert await store.read(count) == 1


async def test_increments_by_two_processes_are_all_counted(postgres_url: str) -> None:
    async with opened(postgres_url) as first, opened(postgres_url) as second:
        await first.write(new_counter, "c")
        await asyncio.gather(*(store.write(increment, "c") for _ in range(25) for store in (first, second)))
        assert await first.read(value_of, "c") == 50


async def test_deadlocks_are_run_again(postgres_url: str) -> None:
    async def both(tx: Tx, first: str, second: str) -> None:
        await increment(tx, first)
        await increment(tx, second)

    async with opened(postgres_url) as store:
        await store.write(new_counter, "a")
        await store.write(new_counter, "b")
        pairs = [("a", "b"), ("b", "a")] * 8
        await asyncio.gather(*(store.write(both, *pair) for pair in pairs))
        assert await store.read(value_of, "a") == 16
        assert await store.read(value_of, "b") == 16


async def test_notices_reach_other_processes_coalesced(postgres_url: str) -> None:
    async def unit(tx: Tx) -> None:
        tx.notify("things")

    async with opened(postgres_url) as first, opened(postgres_url) as second:
        here: list[float] = []
        there: list[float] = []
        first.subscribe("things", lambda: here.append(time.monotonic()))
        second.subscribe("things", lambda: there.append(time.monotonic()))
        started = time.monotonic()
        await asyncio.gather(*(first.write(unit) for _ in range(200)))
        await until(lambda: there)
        await asyncio.sleep(0.1)
        took = time.monotonic() - started
        assert len(here) == 200
        assert 1 <= len(there) <= 2 + took / 0.02


async def test_two_commands_are_one_statement(postgres_url: str) -> None:
    """The promise behind the figures: reads, then all writes in one round trip without BEGIN and COMMIT."""
    async with opened(postgres_url, pool_size=1) as store:
        await store.write(new_counter, "c")
        statements: list[str] = []
        async with store._connections.lend() as connection:
            connection.add_query_logger(lambda record: statements.append(record.query))
        await store.write(increment, "c")
        await asyncio.sleep(0)  # asyncpg tells its loggers one turn of the loop later
        assert len(statements) == 2
        assert statements[0].startswith("SELECT")
        assert statements[1].startswith("WITH c0 AS (UPDATE counters")
        statements.clear()
        await store.write(add, "alone")
        await asyncio.sleep(0)
        assert len(statements) == 1
        assert statements[0].startswith("INSERT")
