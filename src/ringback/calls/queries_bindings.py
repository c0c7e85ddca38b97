"""Named SQL of bindings."""

from __future__ import annotations

from ringback.calls.model_bindings import Binding, Refreshable
from ringback.store import Command, Query, columns

_SELECT = f"SELECT {columns(Binding)} FROM bindings"

# There are a handful of each, so they are put in order by who reads them.
bindings_of_subscriber = Query(
    "bindings_of_subscriber",
    "The bindings of a subscriber, those that are over too.",
    f"{_SELECT} WHERE subscriber_id = $1",
    row=Binding,
)
bindings_to_change = Query(
    "bindings_of_subscriber_to_change",
    "The bindings of a subscriber; nobody else changes them until this unit is over.",
    f"{_SELECT} WHERE subscriber_id = $1",
    row=Binding,
    locks=True,
)
insert_binding = Command(
    "insert_binding",
    "A new binding.",
    f"INSERT INTO bindings ({columns(Binding)})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
)
save_binding = Command(
    "save_binding",
    "A binding that was registered again.",
    "UPDATE bindings SET contact = $3, instance = $4, reg_id = $5, q = $6, call_id = $7, cseq = $8, user_agent = $9,"
    " source = $10, push_token_id = $11, registered_at = $12, expires_at = $13, refresh_pushed_at = NULL,"
    " version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
delete_binding = Command(
    "delete_binding",
    "A binding that is over, or that its phone gave up.",
    "DELETE FROM bindings WHERE id = $1 AND version = $2",
    expect_one=True,
)
# The index has those that were not woken yet; the last condition says "the last quarter of its life".
refreshable_bindings = Query(
    "refreshable_bindings",
    "Bindings that end soon, whose phones can be woken to renew them and were not yet.",
    f"SELECT {columns(Refreshable)} FROM bindings WHERE expires_at > $1 AND expires_at <= $2"
    " AND push_token_id IS NOT NULL AND refresh_pushed_at IS NULL"
    " AND (expires_at - $1) * 4 <= expires_at - registered_at LIMIT $3",
    row=Refreshable,
)
mark_refresh_pushed = Command(
    "mark_binding_refresh_pushed",
    "The phone of a binding was woken to renew it; once for each binding and expiry.",
    "UPDATE bindings SET refresh_pushed_at = $3, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
purge_bindings = Query(
    "purge_bindings",
    "Forgets bindings that are over.",
    "DELETE FROM bindings WHERE id IN (SELECT id FROM bindings WHERE expires_at < $1 LIMIT $2) RETURNING id",
    writes=True,
    postgres="DELETE FROM bindings WHERE id IN"
    " (SELECT id FROM bindings WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id",
)
