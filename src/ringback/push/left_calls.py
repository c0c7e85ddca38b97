"""What a server that stopped left behind: call pushes of which nobody knows whether they went out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback.outbox import Delivery, GiveUp, Outbox, Result, Settled
from ringback.push.service import CALL_CHANNEL
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.push.channel import PushChannel

_WHY = "the server that rang has stopped, and the call with it"


class LeftCalls:
    """Ends them without another attempt: to iOS each push is a call, and a phone must not ring twice for one."""

    def __init__(self, pushes: PushChannel) -> None:
        self._pushes = pushes

    def plug_into(self, outbox: Outbox) -> None:
        """Registers the channel; at start."""
        outbox.register_bulk_channel(CALL_CHANNEL, self, per_destination=1_000)

    async def load(self, tx: Tx, deliveries: Sequence[Delivery]) -> Sequence[None]:  # noqa: ARG002
        """Nothing is needed to give up."""
        return [None] * len(deliveries)

    async def attempt(self, delivery: Delivery, work: None) -> Result:  # noqa: ARG002
        """None is made."""
        return GiveUp(_WHY, destination_was_asked=False)

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:
        """The pushes end as others do."""
        await self._pushes.settled(tx, settled)
