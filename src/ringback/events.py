"""What rooms publish. A subscriber writes into the same unit of work (for instance outbox rows): no event is lost.

Nobody imports the rooms that listen; `server.py` subscribes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from ringback.store import Tx


class RegistrationChanged(msgspec.Struct, frozen=True):
    """A registration has a new status."""

    registration_id: str
    app_id: str
    user_id: str
    status: str


class OperationChanged(msgspec.Struct, frozen=True):
    """An operation was created, claimed, has a new status, or an approval of it failed and it stays as it is."""

    operation_id: str
    user_id: str | None
    status: str
    change: Literal["CREATED", "CLAIMED", "ATTEMPT_FAILED", "FINISHED"]


class PushTokenDied(msgspec.Struct, frozen=True):
    """A provider said that nobody is at a push token any more; it is forgotten."""

    push_token_id: str
    app_id: str
    user_id: str
    registration_id: str | None
    device_pkid: str | None
    kind: str


class CallChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has to wake a phone has begun, or has ended; times in Unix milliseconds.

    `call_id`: SIP's Call-ID, or the name that the back end has for it. `app_ids`: whose back ends may know of it.
    `sip_status`: what the caller was answered at last, 0 = nothing by us.
    """

    call_record_id: str
    change: Literal["STARTED", "ENDED"]
    mode: str
    call_id: str
    caller: str
    caller_name: str | None
    callee: str
    domain: str
    user_id: str | None
    app_ids: tuple[str, ...]
    pushes: int
    outcome: str | None
    sip_status: int
    reason: str | None
    started_at: int
    pushed_at: int | None
    registered_at: int | None
    ended_at: int | None


Event = RegistrationChanged | OperationChanged | PushTokenDied | CallChanged
Subscriber = Callable[[Tx, Event], Awaitable[None]]


class Events:
    """The list of subscribers. Publishing awaits each of them inside the unit of work."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Called at start by whoever wires the rooms."""
        self._subscribers.append(subscriber)

    async def publish(self, tx: Tx, event: Event) -> None:
        """Tells every subscriber; an exception of one drops the whole unit."""
        for subscriber in self._subscribers:
            await subscriber(tx, event)
