"""Which push tokens were considered for a call, for whoever asks about one of its pushes. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls import queries
from ringback.messages import Considered

if TYPE_CHECKING:
    from ringback.store import Tx

# A call's list says what a notice's says, and of SIP phones a little more.
_considered = msgspec.json.Decoder(list[Considered]).decode


class ConsideredPushTokens:
    """Units of work that only read; the room `messages` needs them for its traces."""

    async def considered_for(self, tx: Tx, call_record_id: str) -> list[Considered] | None:
        """Each push token, used or not, and why; None when there is no such call."""
        row = await tx.one(queries.call_by_id, call_record_id)
        return None if row is None else _considered(row.considered)
