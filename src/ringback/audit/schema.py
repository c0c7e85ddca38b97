"""The audit log over the wire."""

from __future__ import annotations

import msgspec


class SignatureCheckItem(msgspec.Struct, frozen=True, rename="camel"):
    """One check of a signature. `eventData`: method, uriId and body on a line each; `timestamp`: Unix milliseconds."""

    activation_id: str
    event_type: str
    event_data: str
    timestamp: int


class SignatureCheckList(msgspec.Struct, frozen=True):
    """GET /powerauth-cloud/audit/log, newest first."""

    items: list[SignatureCheckItem]


class Entry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who did what to whom. `timestamp`: Unix milliseconds; `details`: an object whose fields depend on `action`."""

    id: str
    timestamp: int
    principal_kind: str
    principal_name: str
    action: str
    subject_kind: str
    subject_id: str
    details: msgspec.Raw
    app_id: str | None = None
    user_id: str | None = None


class EntryPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some entries, newest first; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[Entry]
    next_cursor: str | None
