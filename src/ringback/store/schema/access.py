"""System users, and the apps that they may see."""

from __future__ import annotations

from sqlalchemy import Table

from ringback.store.schema.base import blob, flag, metadata, moment, number, text

system_users = Table(
    "system_users",
    metadata,
    text("username", key=True),
    text("role"),
    blob("password_fingerprint"),
    flag("enabled"),
    moment("created_at"),
    number("version"),
)

system_user_apps = Table(
    "system_user_apps",
    metadata,
    text("username", key=True, to="system_users.username"),
    text("app_id", key=True, to="apps.id"),
    sqlite_with_rowid=False,
)
