"""What several tests of the room share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.softphone import Phone
from tests.calls.suspending import Proxy


@pytest.fixture
async def proxy(database_url: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    """A proxy that suspends calls itself; alice@example.org may be woken."""
    async with Proxy.begin(tmp_path, database_url) as one:
        yield one


@pytest.fixture
async def phone(proxy: Proxy) -> Phone:
    """Alice's, which is pushed through the stream of this server."""
    phone = await proxy.phone("alice")
    await phone.register_push()
    return phone
