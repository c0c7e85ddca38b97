"""What several tests of the room share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.calls import push_only
from ringback.clock import ManualClock
from ringback.softphone import Phone
from ringback.store import Store
from tests.calls.scene import Scene
from tests.calls.suspending import Proxy
from tests.calls.waking import Waking, process, with_apps


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


@pytest.fixture
async def one(store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Waking]:
    """The process that pushes; alice has a phone. However long its store takes, it does not go on without it."""
    monkeypatch.setattr(push_only, "_TIME_OUT_SECONDS", 60.0)
    made = await with_apps(process(store, clock))
    await made.subscriber()
    yield made
    await made.push_only.close()
    await made.room.calls.close()
    await made.wake_ups.close()


@pytest.fixture
async def two(one: Waking) -> AsyncIterator[Waking]:
    """The process that is told."""
    made = process(one.store, one.clock)
    yield made
    await made.room.calls.close()
    await made.wake_ups.close()
