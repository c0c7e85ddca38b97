"""What the tests of the room share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.testing import Providers
from tests.apps.push_files import base64_of
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


@pytest.fixture
async def providers(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Providers]:
    """The doubles, on the clock of the test."""
    async with Providers(tmp_path / "providers", clock=clock) as doubles:
        yield doubles


@pytest.fixture
async def sending_bank(
    database_url: str, tmp_path: Path, providers: Providers, clock: ManualClock
) -> AsyncIterator[Bank]:
    """With a worker, which sends to the doubles of Apple and Google."""
    settings: dict[str, Any] = {
        name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()
    }
    async with Served.start(tmp_path, database_url, clock=clock, **settings) as served:
        key, credentials = providers.key, "/api/v1/apps/bank/push-credentials"
        apns = {"keyId": key.key_id, "teamId": key.team_id, "bundleId": providers.bundle_id}
        apns["keyFile"] = base64_of(key.file.read_bytes())
        fcm = {"serviceAccount": base64_of(providers.fcm.account.file.read_bytes())}
        for kind, content in (("apns", apns), ("fcm", fcm)):
            assert (await served.call("PUT", f"{credentials}/{kind}", content, auth=served.admin)).status == 200
        yield Bank(served, clock)
