"""Named SQL of pushes."""

from __future__ import annotations

from ringback.push.model import LocalPush, Push, RungPush, WaitingPush
from ringback.store import Command, Query, columns, places

insert_push = Command(
    "insert_push",
    "A new push.",
    f"INSERT INTO pushes({columns(Push)}) VALUES ({places(len(Push.__struct_fields__))})",
)

insert_pushes = Command(
    "insert_pushes",
    "For each new push.",
    f"INSERT INTO pushes({columns(Push)}) VALUES ({places(len(Push.__struct_fields__))})",
    each=Push.__struct_fields__,
    postgres=f"INSERT INTO pushes({columns(Push)})"
    f" SELECT {columns(Push)} FROM json_populate_recordset(NULL::pushes, $1::json)",
)

push_by_id = Query("push_by_id", "One push.", f"SELECT {columns(Push)} FROM pushes WHERE id = $1", row=Push, locks=True)

_WAITING_COLUMNS = (
    "p.id, p.app_id, p.registration_id, p.push_token_id, p.kind, p.payload, p.status, t.id IS NOT NULL AS has_token,"
    " t.push_token, t.environment, t.encryption_key_sealed, t.suspended, t.registered_at"
)
# A UDS device that tells of another app or provider keeps the id of its push token: then what waits has none.
_WAITING = f"""SELECT {_WAITING_COLUMNS} FROM {{wanted}}
    LEFT JOIN push_tokens AS t ON t.id = p.push_token_id AND t.app_id = p.app_id AND t.kind = p.kind"""
waiting_pushes = Query(
    "waiting_pushes",
    "Pushes that are to be sent, with what their push tokens are now; $1 is a JSON list of ids.",
    _WAITING.format(wanted="json_each($1) AS wanted CROSS JOIN pushes AS p ON p.id = wanted.value"),
    row=WaitingPush,
    postgres=_WAITING.format(
        wanted="json_array_elements_text($1::json) AS wanted(id) JOIN pushes AS p ON p.id = wanted.id"
    ),
)

pushes_of_calls = Query(
    "pushes_of_calls",
    "How far some pushes are that are to be taken back; $1 is a JSON list of ids.",
    f"SELECT {columns(RungPush)} FROM pushes WHERE id IN (SELECT value FROM json_each($1))",
    row=RungPush,
    postgres=f"SELECT {columns(RungPush)} FROM pushes WHERE id IN (SELECT json_array_elements_text($1::json))",
)

end_pushes = Command(
    "end_pushes",
    "For each push that is delivered or has failed. What is not QUEUED stays as it is.",
    "UPDATE pushes SET status = $2, reason = $3, provider_id = $4 WHERE id = $1 AND status = 'QUEUED'",
    each=("id", "status", "reason", "provider_id"),
    postgres="UPDATE pushes SET status = e.status, reason = e.reason, provider_id = e.provider_id"
    " FROM json_to_recordset($1::json) AS e(id text, status text, reason text, provider_id text)"
    " WHERE pushes.id = e.id AND pushes.status = 'QUEUED'",
)

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
