"""How much work a unit's queries are for the database, counted instead of timed: the same on any machine.

SQLite counts the steps of its virtual machine, PostgreSQL the rows that its plan reads. Both say whether a whole table
was scanned or rows were sorted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import asyncpg  # type: ignore[import-untyped]

from ringback.store import Command, Query, Store, Tx

_FEW = 100


class Work(NamedTuple):
    """What some queries cost. `scans` and `sorts` name the queries that did so."""

    amount: int
    scans: tuple[str, ...]
    sorts: tuple[str, ...]


class _Recorder:
    """A unit's view of the database that writes down what it was asked."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.asked: list[tuple[Query[Any], tuple[Any, ...]]] = []

    async def one(self, query: Query[Any], *args: Any) -> Any:
        self.asked.append((query, args))
        return await self._tx.one(query, *args)

    async def all(self, query: Query[Any], *args: Any) -> list[Any]:
        self.asked.append((query, args))
        return await self._tx.all(query, *args)

    async def run(self, command: Command, *args: Any) -> None:
        await self._tx.run(command, *args)

    def notify(self, channel: str) -> None:
        self._tx.notify(channel)


class Plans:
    """A store of either kind and a connection of our own to the same database."""

    def __init__(self, store: Store, database_url: str, sqlite_path: Path) -> None:
        self._store = store
        self._url = database_url
        self._path = sqlite_path

    async def load(self, sqlite: str, postgres: str) -> None:
        """Runs the statement of this kind of database, and lets the database count what it has."""
        if self._url:
            connection = await asyncpg.connect(self._url)
            await connection.execute(postgres)
            await connection.execute("ANALYZE")
            await connection.close()
        else:
            file = apsw.Connection(str(self._path))
            file.execute(sqlite)
            file.close()

    async def read(self, unit: Any, *args: Any) -> tuple[Any, Work]:
        """The unit's result, and what its queries cost."""
        asked: list[tuple[Query[Any], tuple[Any, ...]]] = []

        async def recorded(tx: Tx) -> Any:
            recorder = _Recorder(tx)
            result = await unit(recorder, *args)
            asked[:] = recorder.asked
            return result

        result = await self._store.read(recorded)
        amounts, scans, sorts = [0], [], []
        for query, arguments in asked:
            amount, scanned, sorted_ = await self._measure(query, arguments)
            amounts.append(amount)
            scans += [query.name] * scanned
            sorts += [query.name] * sorted_
        return result, Work(sum(amounts), tuple(scans), tuple(sorts))

    async def run(self, query: Query[Any], *args: Any) -> Work:
        """What one query costs that writes; it is executed."""
        amount, scanned, sorted_ = await self._measure(query, args)
        return Work(amount, (query.name,) * scanned, (query.name,) * sorted_)

    async def _measure(self, query: Query[Any], args: tuple[Any, ...]) -> tuple[int, bool, bool]:
        return await self._on_postgres(query, args) if self._url else self._on_sqlite(query, args)

    def _on_sqlite(self, query: Query[Any], args: tuple[Any, ...]) -> tuple[int, bool, bool]:
        connection = apsw.Connection(str(self._path))
        spent: list[dict[str, Any]] = []
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, lambda event: spent.append(event["stmt_status"]))
        connection.execute(query.sqlite, args).fetchall()
        connection.trace_v2(0, None)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query.sqlite}", args).fetchall()
        connection.close()
        steps = [str(step[3]) for step in plan]
        scans = any(step.startswith("SCAN") and not _is_small(step) for step in steps)
        sorts = any("TEMP B-TREE FOR ORDER BY" in step for step in steps)
        return int(spent[-1]["SQLITE_STMTSTATUS_VM_STEP"]), scans, sorts

    async def _on_postgres(self, query: Query[Any], args: tuple[Any, ...]) -> tuple[int, bool, bool]:
        connection = await asyncpg.connect(self._url)
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.postgres}", *args)
        await connection.close()
        nodes = list(_nodes(json.loads(text)[0]["Plan"]))
        rows = sum(_rows(node) for node in nodes)
        kinds = {node["Node Type"] for node in nodes}
        # A table of a few rows it reads whole, whatever indexes there are.
        scans = any(node["Node Type"] == "Seq Scan" and _rows(node) > _FEW for node in nodes)
        return rows, scans, bool(kinds & {"Sort", "Incremental Sort"})


def _is_small(step: str) -> bool:
    """Values that the query itself brought along, or rows that it has found already."""
    return any(name in step for name in ("VIRTUAL TABLE", "walked", "known", "CONSTANT ROW", "(subquery"))


def _rows(node: dict[str, Any]) -> int:
    """How many rows a step of a plan looked at."""
    return int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
