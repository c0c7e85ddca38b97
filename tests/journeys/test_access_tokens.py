"""A server fetches the access tokens of its apps by itself, so that the first call need not wait for one."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from ringback.testing import Providers, silence
from tests.journeys.test_start import until
from tests.peers.server import ServerProcess


async def with_service_account(server: ServerProcess, providers: Providers) -> None:
    """A server with an app that has one, stopped before anybody has pushed."""
    server.settings |= {name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()}
    await asyncio.to_thread(server.start)
    furnished = await asyncio.to_thread(server.furnish)
    content = base64.b64encode(providers.fcm.account.file.read_bytes()).decode()
    path = "/api/v1/apps/bank/push-credentials/fcm"
    await asyncio.to_thread(server.call, "PUT", path, {"serviceAccount": content}, furnished.admin)
    assert await asyncio.to_thread(server.stop) == 0
    assert providers.fcm.token_requests == []


@pytest.mark.parametrize("silent", [False, True])
async def test_before_the_first_push(tmp_path: Path, sqlite_server: ServerProcess, silent: bool) -> None:
    async with Providers(tmp_path / "providers") as providers:
        await with_service_account(sqlite_server, providers)
        if silent:
            providers.fcm.next_token(silence())
        await asyncio.to_thread(sqlite_server.start)
        await until(lambda: len(providers.fcm.token_requests) == 1)
        assert await asyncio.to_thread(sqlite_server.stop) == 0
        assert "Traceback" not in sqlite_server.log()
        assert providers.fcm.received == []
