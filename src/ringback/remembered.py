"""Values that are fetched from elsewhere, remembered, and fetched once however many ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ringback.clock import Clock
from ringback.errors import RingbackError

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

FRESH_MS = 60 * 60 * 1_000
USABLE_MS = 24 * 60 * 60 * 1_000
PAUSE_MS = 10_000
ENTRIES = 1_000


@dataclass
class _Entry(Generic[T]):
    value: T | None = None
    fetched_at: int = 0
    asked_at: int | None = None
    failure: RingbackError | None = None
    running: asyncio.Task[None] | None = None


class Remembered(Generic[K, T]):
    """One value for each key.

    A value is fresh for an hour. Where it cannot be fetched again, the old one is used for up to a day. Between two
    attempts for one key lie at least ten seconds, so that nobody makes us ask others at each request of his.
    """

    def __init__(self, clock: Clock, fetch: Callable[[K], Awaitable[T]]) -> None:
        self._clock = clock
        self._fetch = fetch
        self._entries: dict[K, _Entry[T]] = {}

    async def get(self, key: K, *, again: bool = False) -> T:
        """The value; `again`: the caller misses something in it. Raises what the fetching raised."""
        if key not in self._entries and len(self._entries) >= ENTRIES:
            self._entries.clear()
        entry = self._entries.setdefault(key, _Entry())
        age = self._clock.now_ms() - entry.fetched_at
        if entry.value is not None and not again and 0 <= age < FRESH_MS:
            return entry.value
        if entry.running is None and self._may_ask(entry):
            entry.asked_at = self._clock.now_ms()
            entry.running = asyncio.create_task(self._run(key, entry))
        if entry.running is not None:
            await asyncio.shield(entry.running)  # whoever waits may be gone before the others
            age = self._clock.now_ms() - entry.fetched_at
        if entry.value is not None and 0 <= age < USABLE_MS:
            return entry.value
        raise (entry.failure or RingbackError()).with_traceback(None)

    def _may_ask(self, entry: _Entry[T]) -> bool:
        return entry.asked_at is None or not 0 <= self._clock.now_ms() - entry.asked_at < PAUSE_MS

    async def _run(self, key: K, entry: _Entry[T]) -> None:
        try:
            entry.value = await self._fetch(key)
            entry.fetched_at = self._clock.now_ms()
        except RingbackError as error:
            entry.failure = error
        finally:
            entry.running = None
