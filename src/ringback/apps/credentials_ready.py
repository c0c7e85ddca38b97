"""Access tokens of FCM are there before a call needs one: at start, and when one ran out while nobody pushed.

To fetch one takes as long as the token endpoint likes, and some callers wait no longer than a second.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from ringback.apps.push_credentials import PushCredentials
from ringback.errors import RingbackError
from ringback.store import Store

_log = structlog.get_logger("ringback.apps")
EVERY_SECONDS = 60.0
MOST_APPS = 100
"""Those of further apps are fetched by their first push."""


class MakesReady(Protocol):
    """The provider; `FcmProvider` is."""

    async def make_ready(self, app_id: str) -> None:
        """Sees to it that the app has an access token, if it can have one. Raises StoreUnavailable."""
        ...


class CredentialsReady:
    """Looks after them in a process that pushes."""

    def __init__(self, *, store: Store, credentials: PushCredentials, fcm: MakesReady) -> None:
        self._store = store
        self._credentials = credentials
        self._fcm = fcm

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                for app_id in await self._store.read(self._credentials.with_credential, "fcm", (), MOST_APPS):
                    await self._fcm.make_ready(app_id)
            except RingbackError:
                pass  # the database is away, which others tell of
            except Exception as error:  # noqa: BLE001 - pushes fetch what is missing
                _log.exception("access tokens of FCM cannot be fetched beforehand", reason=str(error))
            await asyncio.sleep(EVERY_SECONDS)
