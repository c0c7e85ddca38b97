"""A delivery, its states, and what a channel may answer about an attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from ringback.store import Tx

State = Literal["READY", "LEASED", "DONE", "DEAD"]
Event = Literal["CLAIM", "DELIVERED", "GIVE_UP", "RETRY", "RELEASE"]

# Claiming a row whose lease ran out is RELEASE and CLAIM in one statement.
TRANSITIONS: dict[tuple[State, Event], State] = {
    ("READY", "CLAIM"): "LEASED",
    ("LEASED", "DELIVERED"): "DONE",
    ("LEASED", "GIVE_UP"): "DEAD",
    ("LEASED", "RETRY"): "READY",
    ("LEASED", "RELEASE"): "READY",
}


def next_state(state: State, event: Event) -> State:
    """The state after `event`; raises ValueError where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        msg = f"a delivery that is {state} knows no {event}"
        raise ValueError(msg) from None


class NewDelivery(msgspec.Struct, frozen=True):
    """What to deliver. `destination` is the bulkhead's key; `payload` is JSON text; no deadline = the outbox's own."""

    channel: str
    destination: str
    payload: bytes
    deadline_ms: int | None = None


class Delivery(msgspec.Struct, frozen=True):
    """A claimed delivery. `id` stays the same over all attempts; `attempts` counts this one, from 1."""

    id: str
    channel: str
    destination: str
    payload: str
    attempts: int
    deadline_at: int | None
    created_at: int


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """It arrived."""

    detail: str | None = None


class RetryLater(msgspec.Struct, frozen=True, tag=True):
    """It did not arrive, and may later.

    `after_seconds`: the earliest time that the destination asked for; `pause_seconds`: the pause that the channel
    chose, in place of the outbox's growing ones; `most_attempts`: with so many the delivery is DEAD.
    """

    reason: str
    after_seconds: float | None = None
    pause_seconds: float | None = None
    most_attempts: int | None = None


class GiveUp(msgspec.Struct, frozen=True, tag=True):
    """It did not arrive and never will."""

    reason: str


Result = Delivered | RetryLater | GiveUp


class Channel(Protocol):
    """One way of delivering."""

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt. May be repeated for the same id. An exception counts as RetryLater."""
        ...


Ending = Callable[[Tx, Delivery, State, str | None], Awaitable[None]]
"""Told in the unit of work that ends a delivery: DONE, or DEAD with the reason."""


class Circuit(msgspec.Struct, frozen=True):
    """After `failures` in a row a destination is left alone, but for one attempt every `pause_seconds`."""

    failures: int = 200
    pause_seconds: float = 60


class OutboxLimits(msgspec.Struct, frozen=True):
    """The outbox's figures; durations in seconds."""

    lease_seconds: float = 30
    attempt_seconds: float = 20
    poll_seconds: float = 1
    drain_seconds: float = 10
    in_flight: int = 512
    first_pause_seconds: float = 2
    longest_pause_seconds: float = 300
    deadline_seconds: float = 86_400
    kept_seconds: float = 604_800


class LeaseLost(Exception):
    """The lease ran out and somebody else has the delivery now; this attempt's result no longer counts."""
