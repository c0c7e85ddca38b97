"""A row of the audit log."""

from __future__ import annotations

import msgspec

SIGNATURE_NOTES = (
    "signature_ok",
    "signature_does_not_match",
    "activation_invalid_state",
    "activation_invalid_application",
)
"""The actions that are checks of signatures: what PowerAuth Cloud calls the audit log."""

AFTER_EVERY_ID = "g"
"""Sorts after every id, in any collation: ids are hexadecimal."""


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what to whom. `at`: Unix milliseconds. `details`: a JSON object without secrets.

    `app_id` is None for what belongs to no app, or to several.
    """

    id: str
    at: int
    principal_kind: str
    principal_name: str
    action: str
    subject_kind: str
    subject_id: str
    app_id: str | None
    user_id: str | None
    details: str
