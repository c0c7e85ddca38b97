"""Push credentials as providers get them: remembered for a moment, and judged by what the providers answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ringback.apps.model_push_credentials import CredentialRow
from ringback.apps.push_credentials import PushCredentials
from ringback.clock import Clock
from ringback.push import HEALTH, CredentialKind, Health, StoredCredential
from ringback.store import Store

FRESH_MS = 1_500
ENTRIES = 2_000
_Key = tuple[str, CredentialKind]


@dataclass
class _Entry:
    """What was read, and when; `reading`: somebody reads it anew; `dropped`: it was changed since that began."""

    dropped: bool = False
    read_at: int | None = None
    credential: StoredCredential | None = None
    reading: asyncio.Task[None] | None = field(default=None, repr=False)

    def is_fresh(self, now: int, kept_ms: int) -> bool:
        return self.read_at is not None and 0 <= now - self.read_at < kept_ms

    def is_refused(self) -> bool:
        return self.credential is not None and self.credential.status == "REFUSED"


class LiveCredentials:
    """The CredentialSource of all providers.

    A credential is read again after 1.5 s, at once where it was changed in this process, and always while it is
    refused: a better one may be there already, and whoever is told of the refusal waits for a minute. However many ask
    at a time, it is read once. `cache_seconds` above 0 imitates a provider's portal that copies its credentials now and
    then: whatever was read, also that there is none, is kept for so long.
    """

    def __init__(self, *, store: Store, clock: Clock, credentials: PushCredentials, cache_seconds: int) -> None:
        self._store = store
        self._clock = clock
        self._credentials = credentials
        self._imitates = cache_seconds > 0
        self._kept_ms = cache_seconds * 1000 or FRESH_MS
        self._entries: dict[_Key, _Entry] = {}

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        """The credential that pushes of this kind go out with; None = none. Raises StoreUnavailable."""
        while True:
            entry = self._entry((app_id, kind))
            if entry.is_fresh(self._clock.now_ms(), self._kept_ms) and (self._imitates or not entry.is_refused()):
                return entry.credential
            if entry.reading is None:
                entry.reading = asyncio.create_task(self._read(app_id, kind, entry))
                # Where all who waited are gone by then, its failure is nobody's.
                entry.reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(entry.reading)  # whoever waits may be gone before the others
            if not entry.dropped:
                return entry.credential

    async def report(self, credential: StoredCredential, status: Health, reason: str) -> None:
        """What a provider's answer says of a credential. Raises StoreUnavailable."""
        await self.judge(credential, status, reason)

    async def judge(self, credential: StoredCredential, status: Health, reason: str) -> CredentialRow | None:
        """Like `report`; returns the row as it is now, or None when it was not changed."""
        if (credential.status, status) not in HEALTH:
            return None
        row = await self._store.write(self._credentials.judge, credential, status, reason)
        if row is None:
            return None
        entry = self._entries.get((row.app_id, row.kind))
        if entry is not None and entry.credential is not None and entry.credential.id == row.id:
            entry.credential = self._credentials.open(row, entry.credential.credential)
        return row

    def forget(self, app_id: str, kind: CredentialKind) -> None:
        """After COMMIT of a change: this process reads it again at once, the others within two seconds."""
        if not self._imitates and (entry := self._entries.pop((app_id, kind), None)) is not None:
            entry.dropped = True

    def _entry(self, key: _Key) -> _Entry:
        if key not in self._entries and len(self._entries) >= ENTRIES:
            del self._entries[next(iter(self._entries))]
        return self._entries.setdefault(key, _Entry())

    async def _read(self, app_id: str, kind: CredentialKind, entry: _Entry) -> None:
        began = self._clock.now_ms()
        try:
            row = await self._store.read(self._credentials.stored, app_id, kind)
            known = entry.credential
            if row is None:
                entry.credential = None
            elif known is not None and known.id == row.id:
                # The same key, perhaps with another status: what providers have parsed of it is kept.
                entry.credential = self._credentials.open(row, known.credential)
            else:
                entry.credential = self._credentials.open(row)
            entry.read_at = began
        finally:
            entry.reading = None
