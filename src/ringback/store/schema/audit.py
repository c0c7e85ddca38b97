"""Who did what. Append-only."""

from __future__ import annotations

from sqlalchemy import Index, Table

from ringback.store.schema.base import json, metadata, moment, text

audit_log = Table(
    "audit_log",
    metadata,
    text("id", key=True),
    moment("at"),
    text("principal_kind"),
    text("principal_name"),
    text("action"),
    text("subject_kind"),
    text("subject_id"),
    text("app_id", optional=True),
    text("user_id", optional=True),
    json("details"),
    Index(None, "subject_id", "id"),
    Index(None, "user_id", "app_id", "id"),
)
