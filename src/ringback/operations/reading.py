"""Looking operations up: by a back end, and by a phone. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.languages import choose
from ringback.operations import queries
from ringback.operations.model import FoundOperation, Operation, Status
from ringback.operations.rendering import ReadyTexts
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.clock import Clock
    from ringback.devices import Registration
    from ringback.operations.needs import AppAccess, Phones
    from ringback.operations.templates import TemplatesService
    from ringback.principal import Principal

LIST_LIMIT = 100
_encode = msgspec.json.Encoder().encode
Shown = tuple[Operation, ReadyTexts]
ABOVE_ALL_IDS = "ffffffff-ffff-ffff-ffff-ffffffffffff"


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


class PageWanted(msgspec.Struct, frozen=True):
    """Which of a user's operations, newest first: those after the one of id `before`, without the `skipped` first."""

    user_id: str
    status: Status | None
    limit: int
    skipped: int = 0
    before: str = ""


class Reading:
    """Finds operations for those who may see them."""

    def __init__(self, *, clock: Clock, access: AppAccess, devices: Phones, templates: TemplatesService) -> None:
        self._clock = clock
        self._access = access
        self._devices = devices
        self._templates = templates

    async def for_back_end(self, tx: Tx, principal: Principal, operation_id: str) -> Operation | None:
        """The operation, or None when there is none or it belongs to apps that the principal may not use."""
        found = await find(tx, operation_id)
        if found is None or not found.app_ids & await self._access.apps_of(tx, principal):
            return None
        return found.operation

    async def page(self, tx: Tx, principal: Principal, wanted: PageWanted) -> list[Operation]:
        """A user's operations that the principal may see."""
        app_ids = await self._access.apps_of(tx, principal)
        if not app_ids or "\0" in wanted.user_id or "\0" in wanted.before:
            return []
        known = _encode(sorted(app_ids)).decode()
        scope = (wanted.user_id, wanted.before or ABOVE_ALL_IDS, known)
        ids = await tx.all(queries.page_of_user[wanted.status], *scope, wanted.limit, wanted.skipped)
        if not ids:
            return []
        now = self._clock.now_ms()
        found = [one.as_of(now) for one in await tx.all(queries.operations_by_ids, _encode(ids).decode())]
        found.sort(key=lambda one: one.id, reverse=True)
        return [one for one in found if wanted.status in {None, one.status}]

    async def for_phone(self, tx: Tx, registration_id: str, operation_id: str) -> tuple[Operation, Registration] | None:
        """The operation and the phone, or None when this phone may not see it."""
        found = await find(tx, operation_id)
        phone = await self._devices.registration(tx, registration_id)
        return (found.operation, phone) if found is not None and phone is not None and is_for(found, phone) else None

    async def pending(self, tx: Tx, registration_id: str, languages: Sequence[str]) -> list[Shown]:
        """What a phone may approve now, newest first, each with its texts; without texts it cannot be shown."""
        phone = await self._devices.registration(tx, registration_id)
        if phone is None:
            return []
        now, flags = self._clock.now_ms(), _flags(phone)
        operations = await tx.all(
            queries.pending_of_phone, phone.user_id, now, phone.id, phone.app_id, flags, LIST_LIMIT
        )
        return await self._with_texts(tx, operations, languages)

    async def history(self, tx: Tx, phone: Registration, languages: Sequence[str]) -> list[Shown]:
        """What a phone may see of its user's operations, in every status, newest first."""
        now, flags = self._clock.now_ms(), _flags(phone)
        operations = await tx.all(queries.history_of_phone, phone.user_id, phone.id, phone.app_id, flags, LIST_LIMIT)
        return await self._with_texts(tx, [one.as_of(now) for one in operations], languages)

    async def texts(self, tx: Tx, operation_type: str, languages: Sequence[str]) -> ReadyTexts | None:
        """The texts of an operation type in the best of the languages; None when it has no texts at all."""
        return choose(await self._templates.ready_texts(tx, operation_type), languages)

    async def _with_texts(self, tx: Tx, operations: Sequence[Operation], languages: Sequence[str]) -> list[Shown]:
        texts: dict[str, ReadyTexts | None] = {}
        shown = []
        for one in operations:
            kind = one.operation_type
            if kind not in texts:
                texts[kind] = await self.texts(tx, kind, languages)
            if (found := texts[kind]) is not None:
                shown.append((one, found))
        return shown


def _flags(phone: Registration) -> str:
    return _encode(phone.flags).decode() if phone.flags else "[]"
