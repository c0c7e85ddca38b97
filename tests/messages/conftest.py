"""What the tests of the room share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from tests.messages.bank import Bank
from tests.served import Served


@pytest.fixture
async def bank(database_url: str, tmp_path: Path) -> AsyncIterator[Bank]:
    """Without a worker: nothing is delivered until the test does it."""
    clock = ManualClock()
    async with Served.start(tmp_path, database_url, clock=clock, worker=False) as served:
        yield Bank(served, clock)


@pytest.fixture
async def bank_sqlite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Bank]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    clock = ManualClock()
    async with Served.start(tmp_path, sqlite_url, clock=clock, worker=False) as served:
        yield Bank(served, clock)
