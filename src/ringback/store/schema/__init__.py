"""The tables of all rooms, as SQLAlchemy Core sees them: the source that migrations are checked against.

One file per room. Ids are text, times are Unix milliseconds (`…_at`), flags are booleans, JSON is text that the room
encodes, blobs are bytes. Only migrations and tests import this package; SQLAlchemy never enters a serving process.
"""

from __future__ import annotations

from ringback.store.schema import (
    access,
    apps,
    audit,
    callbacks,
    calls,
    devices,
    directory,
    idempotency,
    messages,
    operations,
    outbox,
    push,
    secrets,
)
from ringback.store.schema.base import metadata

__all__ = [
    "access",
    "apps",
    "audit",
    "callbacks",
    "calls",
    "devices",
    "directory",
    "idempotency",
    "messages",
    "metadata",
    "operations",
    "outbox",
    "push",
    "secrets",
]
