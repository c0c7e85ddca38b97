"""What several tests of the room share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.softphone import Phone
from tests.calls.scene import Scene
from tests.calls.suspending import Proxy


@pytest.fixture
async def scene(tmp_path: Path, sqlite_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """An application server with nobody in it; `parametrize("scene", [settings], indirect=True)` gives it settings."""
    settings: dict[str, Any] = getattr(request, "param", {})
    async with Scene.start(tmp_path, sqlite_url, **settings) as scene:
        yield scene


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
