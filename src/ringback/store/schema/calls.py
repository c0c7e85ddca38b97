"""Bindings of subscribers, calls and what was pushed for them."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from ringback.store.schema.base import counter, json, metadata, moment, number, text

UNDER_WAY = sql("status = 'WAITING'")
REFRESHABLE = sql("push_token_id IS NOT NULL AND refresh_pushed_at IS NULL")

# `contact`: the URI without the parameters of RFC 8599. `instance`: +sip.instance. `source`: transport:host:port that
# the REGISTER came from. `refresh_pushed_at`: when the phone was last woken to refresh it.
bindings = Table(
    "bindings",
    metadata,
    text("id", key=True),
    text("subscriber_id", to="subscribers.id"),
    text("contact"),
    text("instance", optional=True),
    number("reg_id"),
    text("q", optional=True),
    text("call_id"),
    counter("cseq"),
    text("user_agent", optional=True),
    text("source"),
    text("push_token_id", optional=True),
    moment("registered_at"),
    moment("expires_at"),
    moment("refresh_pushed_at", optional=True),
    number("version"),
    UniqueConstraint("subscriber_id", "contact"),
    Index(None, "expires_at"),
    Index("ix_bindings_refreshable_expires_at", "expires_at", sqlite_where=REFRESHABLE, postgresql_where=REFRESHABLE),
)

# `callee`: user@domain. `call_id`: SIP's, or the one that the back end of a push-only wake-up has. `considered`: each
# push token with what was decided. `trace`: what happened, in order, with milliseconds since the start.
calls = Table(
    "calls",
    metadata,
    text("id", key=True),
    text("mode"),
    text("call_id"),
    text("caller"),
    text("caller_name", optional=True),
    text("callee"),
    text("domain"),
    text("subscriber_id", optional=True),
    text("user_id", optional=True),
    json("app_ids"),
    text("status"),
    text("outcome", optional=True),
    number("sip_status"),
    text("reason", optional=True),
    number("pushes"),
    moment("started_at"),
    moment("deadline_at"),
    moment("pushed_at", optional=True),
    moment("registered_at", optional=True),
    moment("ended_at", optional=True),
    json("considered"),
    json("trace"),
    number("version"),
    Index(None, "callee", "id"),
    Index(None, "domain", "id"),
    Index(None, "user_id", "id"),
    Index(None, "call_id", "callee"),
    Index("ix_calls_waiting_deadline_at", "deadline_at", sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY),
)

# What a phone that was woken asks with: the push id leads to the call.
call_pushes = Table(
    "call_pushes",
    metadata,
    text("push_id", key=True),
    text("call_record_id"),
    text("push_token_id"),
    text("app_id"),
    text("user_id"),
    text("registration_id", optional=True),
    text("device_pkid", optional=True),
    text("subscriber_id", optional=True),
    moment("expires_at"),
    Index(None, "call_record_id"),
    Index(None, "expires_at"),
)
