"""A phone and the double of a server, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from ringback.clock import ManualClock
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS
from ringback.softphone import Phone, StateFile
from tests.softphone.server_double import ServerDouble

PIN = "1357"


@pytest.fixture
async def double() -> AsyncIterator[ServerDouble]:
    double = ServerDouble(ManualClock())
    server = TestServer(double.application())
    await server.start_server()
    double.url = str(server.make_url("/")).rstrip("/")
    yield double
    await server.close()


@pytest.fixture
def state_file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "phone.json")


@pytest.fixture(params=list(PROTOCOL_VERSIONS))
def version(request: pytest.FixtureRequest) -> str:
    """Every protocol version."""
    return str(request.param)


@pytest.fixture
async def phone(double: ServerDouble, state_file: StateFile, version: str) -> AsyncIterator[Phone]:
    """Activated and committed, in every protocol version."""
    # The phone's own clock is wrong by an hour: it has to go by the server's.
    async with Phone(state_file, clock=ManualClock(double.clock.now_ms() - 3_600_000)) as phone:
        await phone.activate(double.url, double.sdk_config, double.qr, name="Test phone", pin=PIN, version=version)
        double.status = "ACTIVE"
        yield phone
