"""Reading the audit log. Every query walks one index from where the page begins, whatever the size of the log."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from ringback.audit import queries
from ringback.audit.model import AFTER_EVERY_ID, AuditEntry
from ringback.clock import first_id_at
from ringback.errors import AppNotFound, invalid_field

if TYPE_CHECKING:
    from ringback.audit.needs import AppAccess
    from ringback.principal import Principal
    from ringback.store import Tx

_encode = msgspec.json.Encoder().encode


class Period(msgspec.Struct, frozen=True):
    """From one Unix millisecond to another, both included."""

    first: int
    last: int


class Selection(msgspec.Struct, frozen=True):
    """Which entries: of one subject, of one user, or (an administrator) all; `before` is an id, or empty."""

    subject_id: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    before: str = ""


class AuditReader:
    """What is in the audit log, for those who may see it. The methods are units of work that only read."""

    def __init__(self, *, access: AppAccess) -> None:
        self._access = access

    async def signature_checks(
        self, tx: Tx, principal: Principal, user_id: str, period: Period, skipped: int, limit: int
    ) -> list[AuditEntry]:
        """Checks of the user's signatures in the principal's apps, newest first."""
        bounds = first_id_at(period.first), first_id_at(period.last + 1)
        apps = sorted(await self._access.apps_of(tx, principal))
        query, most = queries.signature_check_ids, skipped + limit
        ids = [await tx.all(query, user_id, app_id, *bounds, most) for app_id in apps]
        shown = list(islice(heapq.merge(*ids, reverse=True), skipped, most))
        if not shown:
            return []
        found = {entry.id: entry for entry in await tx.all(queries.entries_by_id, _encode(shown).decode())}
        return [found[one] for one in shown]

    async def entries(self, tx: Tx, principal: Principal, selection: Selection, limit: int) -> list[AuditEntry]:
        """What happened, newest first. Raises AppNotFound, InvalidRequest.

        Entries of no app, or of several, are for administrators.
        """
        reach = await self._access.reach_of(tx, principal)
        before = selection.before or AFTER_EVERY_ID
        if selection.app_id is not None:
            if reach is not None and selection.app_id not in reach:
                raise AppNotFound
            reach = frozenset({selection.app_id})
        if selection.subject_id is not None:
            return await self._of_subject(tx, selection.subject_id, reach, before, limit)
        if selection.user_id is not None:
            return await self._of_user(tx, selection.user_id, reach, before, limit)
        if reach is not None:
            raise invalid_field("userId", "Say whose entries you want: userId or subjectId.")
        return await tx.all(queries.newest_entries, before, limit)

    async def _of_subject(
        self, tx: Tx, subject_id: str, reach: frozenset[str] | None, before: str, limit: int
    ) -> list[AuditEntry]:
        if reach is None:
            return await tx.all(queries.entries_of_subject, subject_id, before, limit)
        apps = _encode(sorted(reach)).decode()
        return await tx.all(queries.entries_of_subject_in_apps, subject_id, before, limit, apps)

    async def _of_user(
        self, tx: Tx, user_id: str, reach: frozenset[str] | None, before: str, limit: int
    ) -> list[AuditEntry]:
        apps = sorted(reach) if reach is not None else await tx.all(queries.apps_with_user, user_id)
        found = [await tx.all(queries.entries_of_user_in_app, user_id, before, limit, app_id) for app_id in apps]
        if reach is None:
            found.append(await tx.all(queries.entries_of_user_in_no_app, user_id, before, limit))
        return list(islice(heapq.merge(*found, key=_by_id, reverse=True), limit))


def _by_id(entry: AuditEntry) -> str:
    return entry.id
