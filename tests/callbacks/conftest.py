"""A room, a receiver, and a whole server that may call this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.store import Store
from tests.callbacks.receiver import Receiver, receiving
from tests.callbacks.rooms import Room
from tests.journeys.conftest import new_server, postgres_url
from tests.served import Served

__all__ = ["new_server", "postgres_url"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> AsyncIterator[Room]:
    """The callbacks room on each kind of database."""
    made = await Room(store, clock).start()
    yield made
    await made.egress.close()


@pytest.fixture
async def calling(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A whole server on each kind of database that may call web hooks on this machine."""
    async with Served.start(tmp_path, database_url, egress_allow="127.0.0.0/8") as running:
        yield running


@pytest.fixture
async def calling_sqlite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The same on SQLite alone."""
    async with Served.start(tmp_path, sqlite_url, egress_allow="127.0.0.0/8") as running:
        yield running
