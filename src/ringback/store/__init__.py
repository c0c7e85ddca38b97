"""The store: units of work over SQLite or PostgreSQL.

A room writes its SQL as named `Query` and `Command` objects and its decisions as units of work: `async def` functions
over a `Tx`. `await store.write(unit, ...)` runs one and returns after COMMIT; `await store.read(unit, ...)` runs one
that only reads. On SQLite (`SqliteStore`, one process) all waiting units share one COMMIT; on PostgreSQL
(`PostgresStore`, any number of processes) a unit's writes travel as one statement. The rooms' tables are SQLAlchemy
Core `Table`s in `schema/`, used by the migrations only and never imported by a serving process.
"""

from __future__ import annotations

from pathlib import Path

from ringback.errors import UniqueViolation
from ringback.store.location import Location, PostgresLocation, SqliteLocation, locate
from ringback.store.postgres import PostgresStore
from ringback.store.query import Command, Query, columns, places
from ringback.store.sqlite import SqliteStore
from ringback.store.unit import Store, Tx, Unit, UnitMisused

__all__ = [
    "Command",
    "Location",
    "PostgresLocation",
    "PostgresStore",
    "Query",
    "SqliteLocation",
    "SqliteStore",
    "Store",
    "Tx",
    "UniqueViolation",
    "Unit",
    "UnitMisused",
    "columns",
    "locate",
    "open_store",
    "places",
]


async def open_store(
    *,
    database_url: str | None,
    data_dir: Path,
    max_group_seconds: float = 0.005,
    pool_size: int = 16,
) -> Store:
    """Opens the database that the settings mean. Raises StartRefused when it cannot be opened."""
    location = locate(database_url, data_dir)
    if isinstance(location, SqliteLocation):
        return await SqliteStore.open(location.path, max_group_seconds=max_group_seconds)
    return await PostgresStore.open(location.url, pool_size=pool_size)
