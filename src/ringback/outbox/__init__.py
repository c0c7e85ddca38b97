"""The outbox: what must be delivered to somebody else, kept until it was, or until it is too late.

`Outbox.enqueue` writes a row in the caller's unit of work, so that a delivery exists exactly when its cause does.
`Outbox.run` claims rows under a lease, hands each to its `Channel`, records the attempt, and tries again later with
growing pauses until the delivery's deadline. At least once: a process that dies in the middle leaves leases that run
out, and the delivery goes out again with the same id. Each destination has only so many places (a bulkhead), so a dead
one blocks nobody, and one that fails again and again may be left alone for a while (a circuit). Channels plug in by
name: push, campaign and callback now; mail and SMS later. `read_history` tells what became of the deliveries to a
callback.
"""

from __future__ import annotations

from ringback.outbox.history import Attempt, PastDelivery, forget_history, read_history
from ringback.outbox.looking import read_deliveries
from ringback.outbox.model import (
    BROKEN,
    BulkChannel,
    Channel,
    Circuit,
    Delivered,
    Delivery,
    Earlier,
    Ending,
    GiveUp,
    NewDelivery,
    OutboxLimits,
    Outcome,
    Result,
    RetryLater,
    Settled,
    State,
)
from ringback.outbox.service import Outbox

__all__ = [
    "BROKEN",
    "Attempt",
    "BulkChannel",
    "Channel",
    "Circuit",
    "Delivered",
    "Delivery",
    "Earlier",
    "Ending",
    "GiveUp",
    "NewDelivery",
    "Outbox",
    "OutboxLimits",
    "Outcome",
    "PastDelivery",
    "Result",
    "RetryLater",
    "Settled",
    "State",
    "forget_history",
    "read_deliveries",
    "read_history",
]
