"""Operations, the templates they are made from, and the texts that phones show."""

from __future__ import annotations

from sqlalchemy import Index, Table
from sqlalchemy import text as sql

from ringback.store.schema.base import blob, flag, json, metadata, moment, number, text

PENDING = sql("status = 'PENDING'")

operation_templates = Table(
    "operation_templates",
    metadata,
    text("name", key=True),
    text("operation_type"),
    text("data_template"),
    json("signature_types"),
    number("max_failure_count"),
    number("expiration_s"),
    text("risk_flags"),
    flag("proximity_check_enabled"),
    number("version"),
)

operation_texts = Table(
    "operation_texts",
    metadata,
    text("operation_type", key=True),
    text("language", key=True),
    text("title"),
    text("message"),
    json("attributes"),
    json("ui", optional=True),
    json("result_texts", optional=True),
)

operations = Table(
    "operations",
    metadata,
    text("id", key=True),
    text("user_id", optional=True),
    text("status"),
    text("template"),
    text("operation_type"),
    text("data"),
    json("parameters"),
    json("additional_data"),
    text("external_id", optional=True),
    text("activation_flag", optional=True),
    text("risk_flags"),
    text("language", optional=True),
    text("registration_id", optional=True),
    json("signature_types"),
    number("failure_count"),
    number("max_failure_count"),
    blob("proximity_seed_sealed", optional=True),
    text("status_reason", optional=True),
    flag("silent"),
    moment("created_at"),
    moment("expires_at"),
    moment("finalized_at", optional=True),
    number("version"),
    # Pages of a user's operations in the order of their ids: all, and those that a phone may answer.
    Index(None, "user_id", "id"),
    Index("ix_operations_pending_user_id_id", "user_id", "id", sqlite_where=PENDING, postgresql_where=PENDING),
    Index("ix_operations_pending_expires_at", "expires_at", sqlite_where=PENDING, postgresql_where=PENDING),
)

operation_apps = Table(
    "operation_apps",
    metadata,
    text("operation_id", key=True, to="operations.id"),
    text("app_id", key=True, to="apps.id"),
    Index(None, "app_id"),
    sqlite_with_rowid=False,
)
