"""What is known of users: the claims that an app shows its own user."""

from __future__ import annotations

from sqlalchemy import Table

from ringback.store.schema.base import json, metadata, moment, number, text

user_claims = Table(
    "user_claims",
    metadata,
    text("app_id", key=True, to="apps.id"),
    text("user_id", key=True),
    json("claims"),
    moment("updated_at"),
    number("version"),
)
