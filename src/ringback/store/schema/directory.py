"""Users: who may log in, and the claims that an app shows its own user."""

from __future__ import annotations

from sqlalchemy import Table

from ringback.store.schema.base import flag, json, metadata, moment, number, text

users = Table(
    "users",
    metadata,
    text("id", key=True),
    text("display_name", optional=True),
    text("password_hash", optional=True),
    flag("disabled"),
    moment("created_at"),
    moment("password_at", optional=True),
    number("version"),
)

user_claims = Table(
    "user_claims",
    metadata,
    text("app_id", key=True, to="apps.id"),
    text("user_id", key=True),
    json("claims"),
    moment("updated_at"),
    number("version"),
)
