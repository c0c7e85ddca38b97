"""From a change to the deliveries that tell of it, in the unit of the change."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ringback.callbacks import queries
from ringback.callbacks.model import CHANNEL, CallbackType, Subscription
from ringback.callbacks.payload import call_payload, operation_payload, registration_payload
from ringback.events import CallChanged, Event, OperationChanged, RegistrationChanged
from ringback.outbox import NewDelivery
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.callbacks.needs import Deliveries, Operations, Registrations
    from ringback.clock import Clock

CACHE_MS = 1_500


class Announcer:
    """Listens to the rooms' events.

    Which callbacks there are is a setting: kept for less than two seconds, and forgotten at once by the process that
    changed it (`forget`, after COMMIT). So a server without callbacks asks the database once in that time, and one
    with callbacks reads, for a change that somebody wants to hear of, the row that changed.
    """

    def __init__(
        self, *, clock: Clock, registrations: Registrations, operations: Operations, deliveries: Deliveries
    ) -> None:
        self._clock = clock
        self._registrations = registrations
        self._operations = operations
        self._deliveries = deliveries
        self._cached: tuple[int, list[Subscription]] | None = None

    def forget(self) -> None:
        """Drops what is cached: a callback was changed."""
        self._cached = None

    async def hear(self, tx: Tx, event: Event) -> None:
        """Part of the unit that changed something: writes a delivery for each callback that is to be told."""
        if isinstance(event, OperationChanged):
            await self._operation_changed(tx, event.operation_id)
        elif isinstance(event, RegistrationChanged):
            await self._registration_changed(tx, event.registration_id, event.app_id)
        elif isinstance(event, CallChanged):
            for one in _of(await self._listening(tx, "CALL_STATUS_CHANGE"), event.app_ids):
                await self._tell(tx, one, call_payload(event, one.attributes, long_type_names=one.long_type_names))

    async def _operation_changed(self, tx: Tx, operation_id: str) -> None:
        listening = await self._listening(tx, "OPERATION_STATUS_CHANGE")
        if not listening:
            return
        found = await self._operations.with_apps(tx, operation_id)
        if found is None:
            return
        for one in _of(listening, found.app_ids):
            payload = operation_payload(found, one.attributes, long_type_names=one.long_type_names)
            await self._tell(tx, one, payload)

    async def _registration_changed(self, tx: Tx, registration_id: str, app_id: str) -> None:
        listening = _of(await self._listening(tx, "REGISTRATION_STATUS_CHANGE"), {app_id})
        if not listening:
            return
        registration = await self._registrations.registration(tx, registration_id)
        if registration is None:
            return
        for one in listening:
            payload = registration_payload(registration, one.attributes, long_type_names=one.long_type_names)
            await self._tell(tx, one, payload)

    async def _tell(self, tx: Tx, subscription: Subscription, payload: bytes) -> None:
        deadline = self._clock.now_ms() + subscription.retention_ms
        await self._deliveries.enqueue(tx, NewDelivery(CHANNEL, subscription.id, payload, deadline))

    async def _listening(self, tx: Tx, kind: CallbackType) -> list[Subscription]:
        now = self._clock.now_ms()
        if self._cached is None or not 0 <= now - self._cached[0] < CACHE_MS:
            self._cached = (now, await tx.all(queries.enabled_callbacks))
        return [one for one in self._cached[1] if one.type == kind]


def _of(subscriptions: list[Subscription], app_ids: Collection[str]) -> list[Subscription]:
    return [one for one in subscriptions if one.app_id in app_ids]
