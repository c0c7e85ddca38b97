"""A room on each kind of database."""

from __future__ import annotations

import pytest

from ringback.clock import ManualClock
from ringback.store import Store
from tests.operations.rooms import Room


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    """The operations room with stand-ins around it."""
    return await Room(store, clock).start()
