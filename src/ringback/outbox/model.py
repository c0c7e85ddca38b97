"""A delivery, its states, and what a channel may answer about an attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from ringback.store import Tx

State = Literal["READY", "LEASED", "DONE", "DEAD"]
Event = Literal["CLAIM", "DELIVERED", "GIVE_UP", "RETRY", "RELEASE"]

BROKEN = "an error in the server; its log says which"
"""Tenants read what became of deliveries, so what is inside an exception is for the log alone."""

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
    """What to deliver. `destination` is the bulkhead's key; `payload` is JSON text; no deadline = the outbox's own.

    `id`: one made by `new_id`, where the caller has a use for it; else the outbox makes it.
    """

    channel: str
    destination: str
    payload: bytes
    deadline_ms: int | None = None
    id: str | None = None


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A claimed delivery. `id` stays the same over all attempts; `attempts` counts this one, from 1."""

    id: str
    channel: str
    destination: str
    payload: str
    attempts: int
    deadline_at: int | None
    created_at: int


class DeliveryRow(msgspec.Struct, frozen=True, gc=False):
    """A delivery as it is added: ready (`READY`), or held already (`LEASED`) until `lease_until`."""

    id: str
    channel: str
    destination: str
    state: State
    payload: str
    attempts: int
    next_attempt_at: int
    lease_until: int | None
    deadline_at: int | None
    created_at: int


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """It arrived. `note`, here and below: what the channel wants to know again when the result is recorded."""

    detail: str | None = None
    note: Any = None


class RetryLater(msgspec.Struct, frozen=True, tag=True):
    """It did not arrive, and may later.

    `after_seconds`: the earliest time that the destination asked for; `pause_seconds`: the pause that the channel
    chose, in place of the outbox's growing ones; `most_attempts`: with so many the delivery is DEAD.
    `destination_is_well`: only this delivery has to wait. `leave_alone_seconds`: the whole destination has to, but for
    one attempt in so long.
    """

    reason: str
    after_seconds: float | None = None
    pause_seconds: float | None = None
    most_attempts: int | None = None
    destination_is_well: bool = False
    leave_alone_seconds: float | None = None
    note: Any = None


class GiveUp(msgspec.Struct, frozen=True, tag=True):
    """It did not arrive and never will. `destination_was_asked`: whether it says anything of the destination."""

    reason: str
    destination_was_asked: bool = True
    note: Any = None


Result = Delivered | RetryLater | GiveUp


class Channel(Protocol):
    """One way of delivering."""

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt. May be repeated for the same id. An exception counts as RetryLater."""
        ...


class Earlier(msgspec.Struct, frozen=True):
    """An attempt that failed and was followed by another at once."""

    at: int
    reason: str
    duration_ms: int


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """An attempt that is over, at `at`. `earlier`: attempts of the same claim that are not on record yet."""

    delivery: Delivery
    result: Result
    at: int
    duration_ms: int
    earlier: tuple[Earlier, ...] = ()


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What an attempt has made of a delivery: DONE, DEAD with the reason, or READY again at `retry_at`."""

    delivery: Delivery
    result: Result
    state: State
    reason: str | None
    retry_at: int | None = None


Work = TypeVar("Work")


class BulkChannel(Protocol[Work]):
    """A channel that reads at once what many deliveries need, and writes at once what became of them."""

    async def load(self, tx: Tx, deliveries: Sequence[Delivery]) -> Sequence[Work]:
        """What each delivery needs, in their order; part of the unit that claims them."""
        ...

    async def attempt(self, delivery: Delivery, work: Work) -> Result:
        """One attempt. May be repeated for the same id. An exception counts as RetryLater."""
        ...

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:
        """Part of the unit that records attempts."""
        ...


Ending = Callable[[Tx, Delivery, State, str | None], Awaitable[None]]
"""Told in the unit of work that ends a delivery: DONE, or DEAD with the reason."""


class Circuit(msgspec.Struct, frozen=True):
    """After `failures` in a row a destination is left alone, but for one attempt every `pause_seconds`."""

    failures: int = 200
    pause_seconds: float = 60


class OutboxLimits(msgspec.Struct, frozen=True):
    """The outbox's figures; durations in seconds.

    `in_flight`: attempts under way at a time, of each channel that does not say otherwise. `batch`: how many deliveries
    one unit of work claims or settles; a unit holds the event loop for as long as it takes.
    """

    lease_seconds: float = 30
    attempt_seconds: float = 20
    poll_seconds: float = 1
    drain_seconds: float = 10
    in_flight: int = 512
    batch: int = 128
    first_pause_seconds: float = 2
    longest_pause_seconds: float = 300
    deadline_seconds: float = 86_400
    kept_seconds: float = 604_800
