"""A channel as it was plugged in; one that takes deliveries one by one is dressed as one that takes many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ringback.outbox.model import BulkChannel, Channel, Circuit, Delivery, Ending, Result, Settled
from ringback.store import Tx


class Plug(msgspec.Struct, frozen=True):
    """A channel and its limits: attempts at a time to one destination, and in all."""

    name: str
    channel: BulkChannel[Any]
    per_destination: int
    in_flight: int
    circuit: Circuit | None = None


class OneByOne:
    """A `Channel` behind the door of a `BulkChannel`."""

    def __init__(self, channel: Channel, on_end: Ending | None) -> None:
        self._channel = channel
        self._on_end = on_end

    async def load(self, tx: Tx, deliveries: Sequence[Delivery]) -> Sequence[None]:  # noqa: ARG002
        """Nothing: such a channel reads what it needs itself."""
        return [None] * len(deliveries)

    async def attempt(self, delivery: Delivery, work: None) -> Result:  # noqa: ARG002
        """One attempt."""
        return await self._channel.deliver(delivery)

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:
        """Tells of each delivery that ended."""
        if self._on_end is not None:
            for one in settled:
                if one.state != "READY":
                    await self._on_end(tx, one.delivery, one.state, one.reason)
