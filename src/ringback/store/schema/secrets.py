"""The data keys, sealed by the instance key (which is in no database)."""

from __future__ import annotations

from sqlalchemy import Table

from ringback.store.schema.base import blob, metadata, moment, text

data_keys = Table(
    "data_keys",
    metadata,
    text("purpose", key=True),
    blob("sealed_key"),
    text("instance_key_id"),
    moment("updated_at"),
)
