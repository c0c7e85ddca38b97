"""What users are told: notices with the reason for each push, campaigns, and the inbox."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from ringback.store.schema.base import flag, json, metadata, moment, number, text

RUNNING = sql("status = 'RUNNING'")

# `subject_kind`: operation, message, inbox, campaign, call, liveActivity. `considered`: every push token, and why it
# was used or not.
notices = Table(
    "notices",
    metadata,
    text("id", key=True),
    text("user_id"),
    json("app_ids"),
    text("subject_kind"),
    text("subject_id", optional=True),
    json("considered"),
    moment("created_at"),
    Index(None, "user_id", "id"),
    Index(None, "subject_id"),
)

campaigns = Table(
    "campaigns",
    metadata,
    text("id", key=True),
    text("app_id", to="apps.id"),
    text("name"),
    text("audience"),
    json("content"),
    text("status"),
    number("users"),
    number("position"),
    text("last_user_id", optional=True),
    number("users_done"),
    number("users_told"),
    number("pushes"),
    text("created_by"),
    moment("created_at"),
    moment("started_at", optional=True),
    moment("finished_at", optional=True),
    number("version"),
    Index(None, "app_id", "id"),
    Index("ix_campaigns_running_id", "id", sqlite_where=RUNNING, postgresql_where=RUNNING),
)

campaign_users = Table(
    "campaign_users",
    metadata,
    text("campaign_id", key=True, to="campaigns.id"),
    number("position", key=True),
    text("user_id"),
    UniqueConstraint("campaign_id", "user_id"),
)

inbox_messages = Table(
    "inbox_messages",
    metadata,
    text("id", key=True),
    text("user_id"),
    text("type"),
    text("subject"),
    text("summary"),
    text("body"),
    flag("is_read"),
    moment("read_at", optional=True),
    moment("created_at"),
    Index(None, "user_id", "id"),
)

# In which apps a message is shown; `is_read` is that of the message, so that unread ones are counted in one index.
inbox_places = Table(
    "inbox_places",
    metadata,
    text("user_id", key=True),
    text("app_id", key=True, to="apps.id"),
    text("message_id", key=True, to="inbox_messages.id"),
    flag("is_read"),
    Index(None, "user_id", "app_id", "is_read", "message_id"),
    Index(None, "message_id"),
    sqlite_with_rowid=False,
)
