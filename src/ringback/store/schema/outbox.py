"""What is to be delivered, and each attempt to do so."""

from __future__ import annotations

from sqlalchemy import Index, Table
from sqlalchemy import text as sql

from ringback.store.schema.base import metadata, moment, number, text

UNFINISHED = sql("state IN ('READY', 'LEASED')")
OF_CALLBACKS = sql("channel = 'callback'")

deliveries = Table(
    "deliveries",
    metadata,
    text("id", key=True),
    text("channel"),
    text("destination"),
    text("state"),
    text("payload"),
    number("attempts"),
    moment("next_attempt_at"),
    moment("lease_until", optional=True),
    moment("deadline_at", optional=True),
    moment("created_at"),
    moment("finished_at", optional=True),
    text("last_error", optional=True),
    # By destination first: a claim searches what is due for each, and never reads what waits for one that is closed.
    Index(
        "ix_deliveries_unfinished_channel_destination_next_attempt_at",
        "channel",
        "destination",
        "next_attempt_at",
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    ),
    # What was told to one callback; the deliveries of other channels pay nothing for it.
    Index(
        "ix_deliveries_callback_destination_id",
        "destination",
        "id",
        sqlite_where=OF_CALLBACKS,
        postgresql_where=OF_CALLBACKS,
    ),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    text("delivery_id", key=True, to="deliveries.id"),
    number("attempt", key=True),
    moment("at"),
    text("outcome"),
    text("detail", optional=True),
    number("duration_ms"),
)
