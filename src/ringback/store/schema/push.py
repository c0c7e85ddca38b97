"""Pushes that were sent, and those waiting for the `local` provider to fetch them."""

from __future__ import annotations

from sqlalchemy import Index, Table

from ringback.store.schema.base import metadata, moment, text

pushes = Table(
    "pushes",
    metadata,
    text("id", key=True),
    text("app_id"),
    text("user_id"),
    text("registration_id"),
    text("kind"),
    text("payload"),
    text("operation_id", optional=True),
    moment("created_at"),
    text("status"),
    text("reason", optional=True),
    Index(None, "registration_id"),
)

local_pushes = Table(
    "local_pushes",
    metadata,
    text("id", key=True),
    text("registration_id"),
    text("payload"),
    moment("created_at"),
    Index(None, "registration_id", "id"),
)
