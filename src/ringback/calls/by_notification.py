"""From a push id to the Call-ID: what a phone that was woken asks first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.calls import queries
from ringback.errors import PushedCallNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.model import CallPush, PushedCall
    from ringback.calls.wakeups import WakeUps
    from ringback.clock import Clock
    from ringback.store import Store, Tx

LOOK_AGAIN_SECONDS = 0.2
"""The row of a push is written beside the push, so a quick phone may ask another process a moment too early."""


class ByNotification:
    """Unknown ids, those whose time is over, and those that were pushed to somebody else are answered alike."""

    def __init__(self, *, store: Store, clock: Clock, wake_ups: WakeUps) -> None:
        self._store = store
        self._clock = clock
        self._wake_ups = wake_ups

    async def for_registration(self, push_id: str, registration_id: str) -> str:
        """The Call-ID, for the phone that was pushed. Raises PushedCallNotFound."""
        return await self._call_id(push_id, lambda push: push.registration_id == registration_id)

    async def for_user(self, push_id: str, user_id: str) -> str:
        """The Call-ID, for the user whose phone was pushed. Raises PushedCallNotFound."""
        return await self._call_id(push_id, lambda push: push.user_id == user_id)

    async def _call_id(self, push_id: str, may_ask: Callable[[CallPush | PushedCall], bool]) -> str:
        for is_last in (False, True):
            found = self._here(push_id) or await self._store.read(_stored, push_id)
            if found is not None:
                push, call_id = found
                if push.expires_at >= self._clock.now_ms() and may_ask(push):
                    return call_id
            if not is_last:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise PushedCallNotFound

    def _here(self, push_id: str) -> tuple[CallPush | PushedCall, str] | None:
        """What the store does not know yet."""
        live = self._wake_ups.pushed_with(push_id)
        if live is None:
            return None
        return next((row, live.new.sip_call_id) for row in live.push_rows() if row.push_id == push_id)


async def _stored(tx: Tx, push_id: str) -> tuple[CallPush | PushedCall, str] | None:
    found = None
    if "\0" not in push_id:
        found = await tx.one(queries.call_of_push, push_id)
    return None if found is None else (found, found.call_id)
