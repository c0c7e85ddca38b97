"""Named SQL of the audit log."""

from __future__ import annotations

from ringback.store import Command

append_entry = Command(
    "append_entry",
    "Adds one row to the audit log.",
    "INSERT INTO audit_log (id, at, principal_kind, principal_name, action, subject_kind, subject_id, app_id, user_id,"
    " details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
)
