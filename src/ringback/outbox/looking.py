"""What became of some deliveries, by their ids: of pushes, whose ids are those of their deliveries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.outbox.history import Attempt, PastDelivery, attempts_of_deliveries
from ringback.store import Query, Tx, columns

_DELIVERIES = f"SELECT {columns(PastDelivery)} FROM deliveries"  # noqa: S608 - our own columns
deliveries_by_ids = Query(
    "deliveries_by_ids",
    "Some deliveries; $1 is a JSON list of ids.",
    f"{_DELIVERIES} WHERE id IN (SELECT value FROM json_each($1))",  # noqa: S608 - our own columns
    row=PastDelivery,
    postgres=f"{_DELIVERIES} WHERE id IN (SELECT json_array_elements_text($1::json))",
)


async def read_deliveries(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[PastDelivery, list[Attempt]]]:
    """A unit of work: deliveries by id, each with its attempts in order; what is not there any more is left out."""
    listed = msgspec.json.encode(list(ids)).decode()
    found = {one.id: (one, list[Attempt]()) for one in await tx.all(deliveries_by_ids, listed)}
    if found:
        for attempt in await tx.all(attempts_of_deliveries, listed):
            found[attempt.delivery_id][1].append(attempt)
    return found
