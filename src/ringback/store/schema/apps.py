"""Apps, their versions, their master keys and their configuration."""

from __future__ import annotations

from sqlalchemy import Index, Table

from ringback.store.schema.base import blob, flag, json, metadata, moment, number, text

apps = Table(
    "apps",
    metadata,
    text("id", key=True),
    json("roles", default="[]"),
    moment("created_at"),
    number("version"),
)

app_versions = Table(
    "app_versions",
    metadata,
    text("app_key", key=True),
    text("app_id", to="apps.id"),
    text("name"),
    blob("app_secret_sealed"),
    flag("supported"),
    moment("created_at"),
    Index("uq_app_versions_app_id_name", "app_id", "name", unique=True),
)

app_master_keys = Table(
    "app_master_keys",
    metadata,
    text("app_id", key=True, to="apps.id"),
    number("key_id", key=True),
    blob("public_key"),
    blob("private_key_sealed"),
)

app_configuration = Table(
    "app_configuration",
    metadata,
    text("app_id", key=True, to="apps.id"),
    text("key", key=True),
    blob("value_sealed"),
    moment("updated_at"),
    number("version"),
)
