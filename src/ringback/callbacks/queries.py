"""Named SQL of callbacks."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.callbacks.model import Callback, Subscription
from ringback.store import Command, Query, columns


def _subscription(*values: Any) -> Subscription:
    callback_id, app_id, kind, attributes, long_type_names, retention_ms = values
    names = msgspec.json.decode(attributes, type=tuple[str, ...])
    return Subscription(callback_id, app_id, kind, names, bool(long_type_names), retention_ms)


callback_by_id = Query(
    "callback_by_id",
    "One callback.",
    f"SELECT {columns(Callback)} FROM callbacks WHERE id = $1",
    row=Callback,
    locks=True,
)
callbacks_of_app = Query(
    "callbacks_of_app",
    "The callbacks of an app, oldest first.",
    f"SELECT {columns(Callback)} FROM callbacks WHERE app_id = $1 ORDER BY id",
    row=Callback,
)
enabled_callbacks = Query(
    "enabled_callbacks",
    "All that is told to anybody.",
    f"SELECT {columns(Subscription)} FROM callbacks WHERE enabled ORDER BY id",
    row=_subscription,
)
short_retentions = Query(
    "callbacks_with_short_retention",
    "Callbacks whose history is kept for less than a time, with that time.",
    "SELECT id, retention_ms FROM callbacks WHERE retention_ms < $1 ORDER BY id",
)
insert_callback = Command(
    "insert_callback",
    "A new callback.",
    f"INSERT INTO callbacks({columns(Callback)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
)
save_callback = Command(
    "save_callback",
    "A changed callback; refuses when somebody else changed it.",
    "UPDATE callbacks SET name = $3, type = $4, callback_url = $5, attributes = $6, authentication_sealed = $7,"
    " long_type_names = $8, max_attempts = $9, initial_backoff_ms = $10, retention_ms = $11, enabled = $12,"
    " version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
delete_callback = Command(
    "delete_callback",
    "Forgets a callback; what was not delivered yet never will be.",
    "DELETE FROM callbacks WHERE id = $1 AND version = $2",
    expect_one=True,
)
