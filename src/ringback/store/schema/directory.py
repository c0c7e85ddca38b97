"""Users: who may log in, and the claims that an app shows its own user. SIP: domains, subscribers, credentials."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint

from ringback.store.schema.base import blob, flag, json, metadata, moment, number, text

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

# `app_ids`: whose push tokens a call may use; an empty list = every app of the user. `preferences`: of this level.
domains = Table(
    "domains",
    metadata,
    text("name", key=True),
    json("app_ids"),
    json("preferences"),
    moment("created_at"),
    number("version"),
)

subscribers = Table(
    "subscribers",
    metadata,
    text("id", key=True),
    text("domain", to="domains.name"),
    text("username"),
    text("user_id"),
    text("display_name", optional=True),
    flag("disabled"),
    json("preferences"),
    moment("created_at"),
    number("version"),
    UniqueConstraint("domain", "username"),
    Index(None, "user_id"),
)

# HA1 of RFC 7616 for each realm; the password is nowhere.
sip_credentials = Table(
    "sip_credentials",
    metadata,
    text("subscriber_id", key=True, to="subscribers.id"),
    text("realm", key=True),
    blob("ha1_md5_sealed", optional=True),
    blob("ha1_sha256_sealed", optional=True),
    moment("changed_at"),
    number("version"),
)
