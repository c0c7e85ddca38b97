"""Requests of the native API that were answered under an Idempotency-Key."""

from __future__ import annotations

from sqlalchemy import Index, Table

from ringback.store.schema.base import blob, metadata, moment, text

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    text("id", key=True),
    blob("request_digest"),
    text("answer"),
    moment("created_at"),
    Index(None, "created_at"),
)
