"""What became of the deliveries to one callback. Of other channels nobody asks, so they pay no index for it."""

from __future__ import annotations

import msgspec

from ringback.clock import first_id_at
from ringback.outbox.model import State
from ringback.outbox.queries import delete_attempts, delete_delivery
from ringback.store import Query, Tx, columns


class PastDelivery(msgspec.Struct, frozen=True):
    """A delivery, whatever its state. `payload`: JSON text; `next_attempt_at`: of one that is READY."""

    id: str
    state: State
    payload: str
    attempts: int
    next_attempt_at: int
    created_at: int
    finished_at: int | None
    last_error: str | None


class Attempt(msgspec.Struct, frozen=True):
    """One attempt. `outcome`: DELIVERED, FAILED or REFUSED."""

    delivery_id: str
    attempt: int
    at: int
    outcome: str
    detail: str | None
    duration_ms: int


# `channel = 'callback'` is written out: only then SQLite takes the partial index.
callback_deliveries = Query(
    "callback_deliveries",
    "The deliveries to a callback that come before an id, newest first.",
    f"SELECT {columns(PastDelivery)} FROM deliveries"  # noqa: S608 - our own columns
    " WHERE channel = 'callback' AND destination = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    row=PastDelivery,
)
_ATTEMPTS = f"""SELECT {columns(Attempt)} FROM delivery_attempts
    WHERE delivery_id IN (SELECT value FROM {{ids}}) ORDER BY delivery_id, attempt"""  # noqa: S608 - our own columns
attempts_of_deliveries = Query(
    "attempts_of_deliveries",
    "The attempts of some deliveries; $1 is a JSON list of ids.",
    _ATTEMPTS.format(ids="json_each($1)"),
    row=Attempt,
    postgres=_ATTEMPTS.format(ids="json_array_elements_text($1::json)"),
)
finished_callback_deliveries = Query(
    "finished_callback_deliveries",
    "Finished deliveries to a callback that come before an id, oldest first.",
    "SELECT id FROM deliveries WHERE channel = 'callback' AND destination = $1 AND id < $2"
    " AND state IN ('DONE', 'DEAD') ORDER BY id LIMIT $3",
)

_AFTER_ALL_IDS = "g"


async def read_history(
    tx: Tx, destination: str, before_id: str | None, limit: int
) -> list[tuple[PastDelivery, list[Attempt]]]:
    """A unit of work: deliveries of the channel `callback` to a destination with their attempts, newest first."""
    found = await tx.all(callback_deliveries, destination, before_id or _AFTER_ALL_IDS, limit)
    if not found:
        return []
    ids = msgspec.json.encode([one.id for one in found]).decode()
    attempts: dict[str, list[Attempt]] = {one.id: [] for one in found}
    for attempt in await tx.all(attempts_of_deliveries, ids):
        attempts[attempt.delivery_id].append(attempt)
    return [(one, attempts[one.id]) for one in found]


async def forget_history(tx: Tx, destination: str, before_ms: int, limit: int) -> int:
    """A unit of work: forgets up to `limit` finished ones that were made before a time; returns how many."""
    finished = await tx.all(finished_callback_deliveries, destination, first_id_at(before_ms), limit)
    for (delivery_id,) in finished:
        await tx.run(delete_attempts, delivery_id)
    for (delivery_id,) in finished:
        await tx.run(delete_delivery, delivery_id)
    return len(finished)
