"""Outbound webhooks: where changes of registrations and operations are told. The deliveries are in the outbox."""

from __future__ import annotations

from sqlalchemy import Index, Table

from ringback.store.schema.base import blob, flag, json, metadata, moment, number, text

callbacks = Table(
    "callbacks",
    metadata,
    text("id", key=True),
    text("app_id", to="apps.id"),
    text("name"),
    text("type"),
    text("callback_url"),
    json("attributes"),
    blob("authentication_sealed", optional=True),
    flag("long_type_names"),
    number("max_attempts"),
    moment("initial_backoff_ms"),
    moment("retention_ms"),
    flag("enabled"),
    moment("created_at"),
    number("version"),
    Index(None, "app_id", "id"),
)
