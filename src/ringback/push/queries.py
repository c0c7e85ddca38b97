"""Named SQL of pushes."""

from __future__ import annotations

from ringback.push.model import LocalPush, Push
from ringback.store import Command, Query, columns

insert_push = Command(
    "insert_push",
    "A new push.",
    f"INSERT INTO pushes({columns(Push)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
)

push_by_id = Query("push_by_id", "One push.", f"SELECT {columns(Push)} FROM pushes WHERE id = $1", row=Push, locks=True)

# No row is fine: the local provider has marked its push already.
end_push = Command(
    "end_push",
    "A push is delivered or has failed.",
    "UPDATE pushes SET status = $2, reason = $3 WHERE id = $1 AND status = 'QUEUED'",
)

purge_pushes = Query(
    "purge_pushes",
    "Forgets pushes that were made before a time; ids begin with their time.",
    "DELETE FROM pushes WHERE id IN (SELECT id FROM pushes WHERE id < $1 AND created_at < $2 ORDER BY id LIMIT $3)"
    " RETURNING id",
    writes=True,
)

# Held until after COMMIT is visible: two workers that fill one mailbox take turns, so ids rise in commit order.
lock_mailbox = Query(
    "lock_local_mailbox",
    "Takes turns at one registration's mailbox; SQLite has one writer anyway.",
    "SELECT $1",
    writes=True,
    postgres="SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('local_push:' || $1::text, 0))) AS held",
)

newest_local_push = Query(
    "newest_local_push",
    "The newest id of a mailbox.",
    "SELECT id FROM local_pushes WHERE registration_id = $1 ORDER BY id DESC LIMIT 1",
)

insert_local_push = Command(
    "insert_local_push",
    "Puts a push into a mailbox.",
    "INSERT INTO local_pushes(id, registration_id, payload, created_at) VALUES ($1, $2, $3, $4)",
)

local_pushes_after = Query(
    "local_pushes_after",
    "What came into a mailbox after an id, in order.",
    "SELECT id, payload FROM local_pushes WHERE registration_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    row=LocalPush,
)

purge_local_pushes = Query(
    "purge_local_pushes",
    "Empties mailboxes of what came in before a time; ids begin with their time.",
    "DELETE FROM local_pushes WHERE id IN (SELECT id FROM local_pushes WHERE id < $1 AND created_at < $2"
    " ORDER BY id LIMIT $3) RETURNING id",
    writes=True,
)
