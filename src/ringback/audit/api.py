"""The audit log: PowerAuth Cloud's list of signature checks, and everything in the native API."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar.params import QueryParameter

from ringback.audit.model import AuditEntry
from ringback.audit.reading import AuditReader, Period, Selection
from ringback.audit.schema import Entry, EntryPage, SignatureCheckItem, SignatureCheckList
from ringback.errors import AuditRangeRefused
from ringback.http import (
    DEFAULT_PAGE_SIZE,
    Cursor,
    Limit,
    PageNumber,
    PageSize,
    Req,
    Routes,
    cloud,
    cut_page,
    native,
    open_cursor,
    principal_of,
    rows_before,
)
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.clock import Clock

TAG = "Audit"
THIRTY_DAYS_MS = 30 * 86_400_000
_NAME: dict[str, Any] = {"min_length": 1, "max_length": 255, "pattern": r"^[^\x00]*$"}
_TIME: dict[str, Any] = {"ge": 0, "le": 2**53 - 1}


class _Signed(msgspec.Struct, frozen=True, rename="camel"):
    """Details of a signature check; `body` is the beginning of what was signed, in Base64."""

    method: str = ""
    uri_id: str = ""
    body: str = ""


def routes(store: Store, audit: AuditReader, clock: Clock) -> Routes:
    """The handlers."""

    @cloud.get(
        "/audit/log",
        tag=TAG,
        operation_id="getAuditLog",
        summary="Checks of a user's signatures, newest first; of the last 30 days unless asked otherwise.",
    )
    async def get_audit_log(
        request: Req,
        user_id: Annotated[str, QueryParameter(name="userId", **_NAME)],
        first: Annotated[int | None, QueryParameter(name="timestampFrom", **_TIME)] = None,
        last: Annotated[int | None, QueryParameter(name="timestampTo", **_TIME)] = None,
        page_number: PageNumber = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
    ) -> SignatureCheckList:
        last = clock.now_ms() if last is None else last
        period = Period(max(0, last - THIRTY_DAYS_MS) if first is None else first, last)
        if period.first > period.last:
            raise AuditRangeRefused
        skipped = rows_before(page_number, page_size, "Ask for a shorter time with timestampTo.")
        unit = audit.signature_checks
        found = await store.read(unit, principal_of(request), user_id, period, skipped, page_size)
        return SignatureCheckList([_signature_check(entry) for entry in found])

    @native.get(
        "/audit",
        tag=TAG,
        operation_id="listAuditEntries",
        summary="What happened to one thing or one user, newest first; an administrator may leave both out.",
        role="any",
    )
    async def list_entries(
        request: Req,
        subject_id: Annotated[str | None, QueryParameter(name="subjectId", **_NAME)] = None,
        user_id: Annotated[str | None, QueryParameter(name="userId", **_NAME)] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId", **_NAME)] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> EntryPage:
        selection = Selection(subject_id, user_id, app_id, open_cursor(cursor))
        found = await store.read(audit.entries, principal_of(request), selection, limit + 1)
        shown, next_cursor = cut_page(found, limit, lambda entry: entry.id)
        return EntryPage([_entry(one) for one in shown], next_cursor)

    return Routes(internal=[get_audit_log, list_entries])


def _signature_check(entry: AuditEntry) -> SignatureCheckItem:
    signed = msgspec.json.decode(entry.details, type=_Signed)
    body = base64.b64decode(signed.body).decode(errors="replace")
    return SignatureCheckItem(
        activation_id=entry.subject_id,
        event_type=entry.action,
        event_data=f"{signed.method}\n{signed.uri_id}\n{body}",
        timestamp=entry.at,
    )


def _entry(entry: AuditEntry) -> Entry:
    return Entry(
        id=entry.id,
        timestamp=entry.at,
        principal_kind=entry.principal_kind,
        principal_name=entry.principal_name,
        action=entry.action,
        subject_kind=entry.subject_kind,
        subject_id=entry.subject_id,
        details=msgspec.Raw(entry.details.encode()),
        app_id=entry.app_id,
        user_id=entry.user_id,
    )
