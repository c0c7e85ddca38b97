"""The outbox's channel "push": gives each push to the provider of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ringback.outbox import Delivered, Delivery, GiveUp, Outbox, Result
from ringback.push import queries
from ringback.push.model import Push
from ringback.push.service import CHANNEL, Pushes, Ticket
from ringback.store import Store, Tx

_PLACES = 64


class Provider(Protocol):
    """Somebody who takes pushes to phones."""

    async def send(self, push: Push) -> Result:
        """One attempt; the same push may come again."""
        ...


class PushChannel:
    """Reads the push of a delivery and dispatches it."""

    def __init__(self, *, store: Store, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._providers = providers

    def plug_into(self, outbox: Outbox, pushes: Pushes) -> None:
        """Registers the channel; at start."""
        outbox.register_channel(CHANNEL, self, per_destination=_PLACES, on_end=pushes.ended)

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt."""
        ticket = msgspec.json.decode(delivery.payload, type=Ticket)
        push = await self._store.read(_push, ticket.push_id)
        if push is None:
            return GiveUp("the push is gone")
        if push.status != "QUEUED":
            return Delivered("was delivered before")
        provider = self._providers.get(push.kind)
        if provider is None:
            return GiveUp(f"no provider for {push.kind}")
        return await provider.send(push)


async def _push(tx: Tx, push_id: str) -> Push | None:
    return await tx.one(queries.push_by_id, push_id)
