"""What the tests of the providers share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.push import apns, fcm
from ringback.store import SqliteStore, Store


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand pushes at once may take a busy machine longer than an attempt has where somebody waits for it."""
    for provider in (apns, fcm):
        monkeypatch.setattr(provider, "ATTEMPT_SECONDS", 600)


@pytest.fixture
async def sqlite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store on SQLite, for what has nothing to do with the database."""
    assert not sqlite_url
    opened = await SqliteStore.open(tmp_path / "ringback.db")
    yield opened
    await opened.close()
