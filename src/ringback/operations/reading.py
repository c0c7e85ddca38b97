"""Looking operations up: by a back end, and by a phone. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.operations import queries
from ringback.operations.model import FoundOperation, Operation, Texts
from ringback.operations.phone_view import choose_texts
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.clock import Clock
    from ringback.devices import Registration
    from ringback.operations.needs import AppAccess, Phones
    from ringback.principal import Principal

LIST_LIMIT = 100
_encode = msgspec.json.Encoder().encode
Shown = tuple[Operation, Texts]


async def find(tx: Tx, operation_id: str) -> FoundOperation | None:
    """An operation and its apps."""
    rows = await tx.all(queries.operation_with_apps, operation_id)
    return FoundOperation(rows[0][0], frozenset(app_id for _, app_id in rows)) if rows else None


def is_for(found: FoundOperation, phone: Registration) -> bool:
    """Whether a phone may see the operation: its user's or nobody's, its app's, and for no other phone."""
    operation = found.operation
    return (
        operation.user_id in {None, phone.user_id}
        and phone.app_id in found.app_ids
        and operation.registration_id in {None, phone.id}
    )


class Reading:
    """Finds operations for those who may see them."""

    def __init__(self, *, clock: Clock, access: AppAccess, devices: Phones) -> None:
        self._clock = clock
        self._access = access
        self._devices = devices

    async def for_back_end(self, tx: Tx, principal: Principal, operation_id: str) -> Operation | None:
        """The operation, or None when there is none or it belongs to apps that the principal may not use."""
        found = await find(tx, operation_id)
        if found is None or not found.app_ids & await self._access.apps_of(tx, principal):
            return None
        return found.operation

    async def for_phone(self, tx: Tx, registration_id: str, operation_id: str) -> Operation | None:
        """The operation, or None when this phone may not see it."""
        found = await find(tx, operation_id)
        phone = await self._devices.registration(tx, registration_id)
        return found.operation if found is not None and phone is not None and is_for(found, phone) else None

    async def pending(self, tx: Tx, registration_id: str, languages: Sequence[str]) -> list[Shown]:
        """What a phone may approve now, newest first, each with its texts; without texts it cannot be shown."""
        phone = await self._devices.registration(tx, registration_id)
        if phone is None:
            return []
        flags = _encode(phone.flags).decode()
        operations = await tx.all(
            queries.pending_of_phone, phone.user_id, self._clock.now_ms(), phone.id, phone.app_id, flags, LIST_LIMIT
        )
        texts = {kind: await self.texts(tx, kind, languages) for kind in {one.operation_type for one in operations}}
        return [(one, found) for one in operations if (found := texts[one.operation_type]) is not None]

    async def texts(self, tx: Tx, operation_type: str, languages: Sequence[str]) -> Texts | None:
        """The texts of an operation type in the best of the languages."""
        return choose_texts(await tx.all(queries.texts_of_type, operation_type), languages)
