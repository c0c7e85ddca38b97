"""Doubles on a clock that the test moves, and a client with a connection to each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.testing import ApnsDouble
from tests.testing.client import Pusher


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def apns(tmp_path: Path, clock: ManualClock) -> AsyncIterator[ApnsDouble]:
    async with ApnsDouble(tmp_path, clock=clock) as double:
        yield double


@pytest.fixture
async def pusher(apns: ApnsDouble) -> AsyncIterator[Pusher]:
    pusher = await Pusher.open(apns)
    yield pusher
    pusher.client.close()
