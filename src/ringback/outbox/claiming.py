"""One look at what is due in a channel: who waits, who gets how much of the look, and the leases.

The look goes from destination to destination, each by one search of an index, and takes of those that are due and have
places. So it never sees how much waits behind a destination that is left alone or has no place. Every destination that
is due gets the same share of a look, its oldest deliveries; where there are more of them than one look serves, the next
look begins with the one whose turn it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from ringback.outbox import queries
from ringback.outbox.model import Delivery
from ringback.store import Tx

MOST_DESTINATIONS = 512
"""A look goes past no more of them: a unit of work must be short, also where thousands of destinations wait."""


class Claim(msgspec.Struct, frozen=True):
    """What a look has leased.

    `filled`: destinations that took all that the look offered them, so that there may be more. `go_on_at`: where the
    next look begins, the first destination that this one did not come to; empty when it came to the last one.
    """

    deliveries: list[Delivery]
    filled: tuple[str, ...]
    go_on_at: str


async def claim(
    tx: Tx,
    channel: str,
    *,
    now: int,
    lease_until: int,
    count: int,
    places_left: Mapping[str, int],
    places: int,
    start: str,
) -> Claim:
    """A unit of work: leases up to `count` due deliveries, beginning with the destination `start`.

    `places_left`: how many more each busy destination takes; every other one takes `places`.
    """
    waiting = await tx.all(queries.waiting_destinations, channel, start, MOST_DESTINATIONS + 1)
    go_on_at = waiting.pop()[0] if len(waiting) > MOST_DESTINATIONS else ""
    served: dict[str, int] = {}
    for destination, due_at in waiting:
        left = places_left.get(destination, places)
        if due_at > now or left <= 0:
            continue
        if len(served) == count:
            go_on_at = destination
            break
        served[destination] = left
    if not served:
        return Claim([], (), go_on_at)
    share = min(count // len(served), queries.MOST_OF_ONE)
    listed = msgspec.json.encode(served).decode()
    claimed = await tx.all(queries.claim_deliveries, channel, lease_until, now, listed, share)
    taken = Counter([one.destination for one in claimed])
    filled = tuple([destination for destination, left in served.items() if taken[destination] == min(left, share)])
    return Claim(claimed, filled, go_on_at)
