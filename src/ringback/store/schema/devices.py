"""Registrations and what belongs to a phone: MAC tokens, temporary keys, spent nonces, recovery codes."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from ringback.store.schema.base import blob, counter, json, metadata, moment, number, text

IN_PROGRESS = sql("status IN ('CREATED', 'PENDING_COMMIT')")
PRESENT = sql("status <> 'REMOVED'")

registrations = Table(
    "registrations",
    metadata,
    text("id", key=True),
    text("app_id", to="apps.id"),
    text("user_id"),
    text("status"),
    text("blocked_reason", optional=True),
    text("protocol_version", optional=True),
    text("suite"),
    json("flags"),
    text("name", optional=True),
    text("platform", optional=True),
    text("device_info", optional=True),
    text("extras", optional=True),
    text("external_id", optional=True),
    text("external_user_id", optional=True),
    text("activation_code"),
    text("commit_phase"),
    blob("device_public_key", optional=True),
    blob("server_public_key", optional=True),
    blob("server_private_key_sealed", optional=True),
    blob("master_secret_sealed", optional=True),
    counter("ctr"),
    blob("ctr_data", optional=True),
    number("failed_attempts"),
    number("max_failed_attempts"),
    number("look_ahead"),
    moment("created_at"),
    moment("expires_at"),
    moment("last_used_at"),
    number("version"),
    text("activation_type", default="CODE"),
    blob("activation_otp_fingerprint", optional=True),
    # Pages of a user's and of an app's registrations, in the order of their ids.
    Index(None, "user_id", "id"),
    Index(None, "app_id", "id"),
    Index("ix_registrations_present_user_id_id", "user_id", "id", sqlite_where=PRESENT, postgresql_where=PRESENT),
    # A code leads to one registration while it can be used; later it may come again.
    Index(
        "uq_registrations_in_progress_app_id_activation_code",
        "app_id",
        "activation_code",
        unique=True,
        sqlite_where=IN_PROGRESS,
        postgresql_where=IN_PROGRESS,
    ),
    Index(
        "ix_registrations_in_progress_expires_at",
        "expires_at",
        sqlite_where=IN_PROGRESS,
        postgresql_where=IN_PROGRESS,
    ),
)

mac_tokens = Table(
    "mac_tokens",
    metadata,
    text("id", key=True),
    text("registration_id"),
    blob("secret_sealed"),
    text("signature_type"),
    moment("created_at"),
    Index(None, "registration_id"),
)

temporary_keys = Table(
    "temporary_keys",
    metadata,
    text("id", key=True),
    text("app_key"),
    text("registration_id", optional=True),
    blob("private_key_sealed"),
    moment("expires_at"),
    Index(None, "expires_at"),
)

replay_values = Table(
    "replay_values",
    metadata,
    blob("value", key=True),
    moment("expires_at"),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    text("id", key=True),
    text("app_id", to="apps.id"),
    text("user_id"),
    text("registration_id", optional=True),
    text("status"),
    blob("code_fingerprint"),
    text("code_masked"),
    number("failed_attempts"),
    number("max_failed_attempts"),
    moment("created_at"),
    moment("updated_at"),
    number("version"),
    UniqueConstraint("app_id", "code_fingerprint"),
    Index(None, "user_id", "id"),
    Index(None, "registration_id"),
)

recovery_puks = Table(
    "recovery_puks",
    metadata,
    text("recovery_code_id", key=True, to="recovery_codes.id"),
    number("puk_index", key=True),
    text("status"),
    blob("puk_fingerprint"),
    moment("used_at", optional=True),
)
