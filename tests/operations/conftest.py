"""A room on each kind of database, and a whole server with a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.store import Store
from tests.operations.journey import Journey
from tests.operations.rooms import Room


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    """The operations room with stand-ins around it."""
    return await Room(store, clock).start()


@pytest.fixture
async def journey(database_url: str, tmp_path: Path) -> AsyncIterator[Journey]:
    """A server on each kind of database, with a clock that the test moves."""
    async with Journey.start(tmp_path, database_url) as running:
        yield running
