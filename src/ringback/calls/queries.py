"""Named SQL of calls."""

from __future__ import annotations

from ringback.calls.model import CallPush, CallRow, ChangedCall, EarlierPush, PushedCall, WalkedCall
from ringback.store import Command, Query, columns, places

_GROWS = ("pushes", "pushed_at", "registered_at", "considered", "trace")
_ENDS = ("status", "outcome", "sip_status", "reason", "ended_at")


def _set(*fields: str, first: int = 0) -> str:
    """Each from a column of `c`, or from placeholders that begin with `first`.

    What a process told of a registration stays, whatever another one that holds the call knows.
    """
    said = {field: f"${first + at}" if first else f"c.{field}" for at, field in enumerate(fields)}
    return ", ".join(
        f"{field} = coalesce(calls.{field}, {new})" if field == "registered_at" else f"{field} = {new}"
        for field, new in said.items()
    )


_ROW = f"SELECT {columns(CallRow)} FROM calls"
_POSTGRES_ROWS = "json_populate_recordset(NULL::calls, $1::json) AS c"

_INSERT = f"INSERT INTO calls({columns(CallRow)})"
insert_calls = Query(
    "insert_calls",
    "For each call that is not stored yet. Returns the ids of those that were not.",
    f"{_INSERT} VALUES ({places(len(CallRow.__struct_fields__))}) ON CONFLICT DO NOTHING RETURNING id",
    row=str,
    writes=True,
    each=CallRow.__struct_fields__,
    postgres=f"{_INSERT} SELECT {columns(CallRow)} FROM json_populate_recordset(NULL::calls, $1::json)"
    " ON CONFLICT DO NOTHING RETURNING id",
)
_NEXT = "version = calls.version + 1"
end_calls = Query(
    "end_calls",
    "For each call that ends, if it has not ended elsewhere. Returns the ids of those.",
    f"UPDATE calls SET {_set(*_ENDS, *_GROWS, first=2)}, {_NEXT} WHERE id = $1 AND status = 'WAITING' RETURNING id",
    row=str,
    writes=True,
    each=("id", *_ENDS, *_GROWS),
    postgres=f"UPDATE calls SET {_set(*_ENDS, *_GROWS)}, {_NEXT} FROM {_POSTGRES_ROWS}"
    " WHERE calls.id = c.id AND calls.status = 'WAITING' RETURNING calls.id",
)
grow_calls = Query(
    "grow_calls",
    "For each call: what has happened to it, whether it has ended or not. Returns what others may have done to them.",
    f"UPDATE calls SET {_set(*_GROWS, first=2)}, {_NEXT} WHERE id = $1 RETURNING {columns(ChangedCall)}",
    row=ChangedCall,
    writes=True,
    each=("id", *_GROWS),
    postgres=f"UPDATE calls SET {_set(*_GROWS)}, {_NEXT} FROM {_POSTGRES_ROWS} WHERE calls.id = c.id"
    f" RETURNING {columns(ChangedCall, 'calls')}",
)
_INSERT_PUSHES = f"INSERT INTO call_pushes({columns(CallPush)})"
insert_call_pushes = Command(
    "insert_call_pushes",
    "For each push of a call. What is there already stays.",
    f"{_INSERT_PUSHES} VALUES ({places(len(CallPush.__struct_fields__))}) ON CONFLICT DO NOTHING",
    each=CallPush.__struct_fields__,
    postgres=f"{_INSERT_PUSHES} SELECT {columns(CallPush)} FROM json_populate_recordset(NULL::call_pushes, $1::json)"
    " ON CONFLICT DO NOTHING",
)
call_by_id = Query("call_by_id", "One call.", f"{_ROW} WHERE id = $1", row=CallRow, locks=True)
end_call = Command(
    "end_call",
    "A call ends, which somebody else held or nobody; refuses when it has changed since.",
    "UPDATE calls SET status = 'ENDED', outcome = $3, reason = $4, ended_at = $5, version = version + 1"
    " WHERE id = $1 AND version = $2 AND status = 'WAITING'",
    expect_one=True,
)
mark_registered = Command(
    "mark_call_registered",
    "A phone of the callee has registered; refuses when the call has changed since.",
    "UPDATE calls SET registered_at = $3, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
lock_wakeup = Query(
    "lock_wakeup",
    "Whether it is this unit's turn at one call of a proxy, without waiting for it; SQLite has one writer anyway.",
    "SELECT $1",
    row=bool,
    writes=True,
    postgres="SELECT pg_try_advisory_xact_lock(hashtextextended('wakeup:' || $1::text, 0))",
)
same_wakeup = Query(
    "same_wakeup",
    "The wake-up that a proxy has asked for before.",
    f"{_ROW} WHERE call_id = $1 AND callee = $2 AND mode = 'push-only' LIMIT 1",
    row=CallRow,
)
pushes_of_call = Query(
    "pushes_of_call",
    "What a call was pushed with.",
    f"SELECT {columns(CallPush)} FROM call_pushes WHERE call_record_id = $1",
    row=CallPush,
)
earlier_pushes = Query(
    "earlier_pushes",
    "What the same call was pushed with before, where the phones may still ring.",
    f"SELECT {columns(EarlierPush)} FROM (SELECT id, deadline_at FROM calls"
    " WHERE call_id = $1 AND callee = $2 AND deadline_at > $3 AND pushes > 0 LIMIT 20) AS c"
    " JOIN call_pushes AS p ON p.call_record_id = c.id",
    row=EarlierPush,
)
overdue_calls = Query(
    "overdue_calls",
    "Calls whose time is over, and nobody has ended them.",
    f"{_ROW} WHERE status = 'WAITING' AND deadline_at < $1 ORDER BY deadline_at LIMIT $2",
    row=CallRow,
)
call_of_push = Query(
    "call_of_push",
    "Which call a push was for, and who may ask.",
    f"SELECT {columns(CallPush, 'p')}, c.call_id FROM call_pushes AS p JOIN calls AS c ON c.id = p.call_record_id"
    " WHERE p.push_id = $1",
    row=PushedCall,
)
purge_calls = Query(
    "purge_calls",
    "Forgets calls that began before a time; ids begin with their time.",
    "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE id < $1 AND started_at < $2 ORDER BY id LIMIT $3)"
    " RETURNING id",
    writes=True,
)
purge_call_pushes = Query(
    "purge_call_pushes",
    "Forgets whom calls were pushed to, when they may not ask any more.",
    "DELETE FROM call_pushes WHERE push_id IN"
    " (SELECT push_id FROM call_pushes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) RETURNING push_id",
    writes=True,
)
calls_by_ids = Query(
    "calls_by_ids",
    "Some calls; $1 is a JSON list.",
    f"{_ROW} WHERE id IN (SELECT value FROM json_each($1))",
    row=CallRow,
    postgres=f"{_ROW} WHERE id IN (SELECT json_array_elements_text($1::json))",
)
_WALKED = f"SELECT {columns(WalkedCall)} FROM calls"
walked_calls = Query(
    "walked_calls",
    "The newest calls that come before an id and not before another one.",
    f"{_WALKED} WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3",
    row=WalkedCall,
)


def _walked_of(column: str) -> Query[WalkedCall]:
    # On PostgreSQL in words that leave the planner no way but the index of both columns.
    return Query(
        f"walked_calls_of_{column}",
        f"The same of one {column}.",
        f"{_WALKED} WHERE {column} = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4",
        row=WalkedCall,
        postgres=f"{_WALKED} WHERE ({column}, id) < ($1, $2) AND ({column}, id) >= ($1, $3)"
        f" ORDER BY {column} DESC, id DESC LIMIT $4",
    )


walked_calls_of_call_id = Query(
    "walked_calls_of_call_id",
    "The same of one Call-ID; they are few, so they may be sorted.",
    f"{_WALKED} WHERE call_id = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4",
    row=WalkedCall,
)
walked_calls_of_callee = _walked_of("callee")
walked_calls_of_user = _walked_of("user_id")
walked_calls_of_domain = _walked_of("domain")
_CHANGED = f"""SELECT {columns(ChangedCall)} FROM calls WHERE id IN ({{ids}})
    AND (status = 'ENDED' OR registered_at IS NOT NULL)"""
changed_calls = Query(
    "changed_calls",
    "Which of some calls have ended, or had a phone register; $1 is a JSON list.",
    _CHANGED.format(ids="SELECT value FROM json_each($1)"),
    row=ChangedCall,
    postgres=_CHANGED.format(ids="SELECT json_array_elements_text($1::json)"),
)
