"""Named SQL of the audit log. Ids begin with their time, so that the order of ids is the order of time.

PostgreSQL is told the order of the index that it has to walk, not only `ORDER BY id`: of a user who has much of the log
it would believe that walking the primary key meets a page soon.
"""

from __future__ import annotations

from ringback.audit.model import SIGNATURE_NOTES, AuditEntry
from ringback.store import Command, Query, columns

_ENTRY = columns(AuditEntry)
# PostgreSQL filters by an array; a sub-query it would join, and perhaps walk another index for it.
_ANY = "= ANY (ARRAY(SELECT json_array_elements_text({}::json)))"
_BEFORE_OF_SUBJECT = "(subject_id, id) < ($1, $2) AND subject_id >= $1"
_NOTES = ", ".join(f"'{note}'" for note in SIGNATURE_NOTES)

append_entry = Command(
    "append_entry",
    "Adds one row to the audit log.",
    "INSERT INTO audit_log (id, at, principal_kind, principal_name, action, subject_kind, subject_id, app_id, user_id,"
    " details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
)
signature_check_ids = Query(
    "signature_check_ids",
    "Ids of the checks of a user's signatures in one app and in a time, newest first.",
    "SELECT id FROM audit_log WHERE user_id = $1 AND app_id = $2 AND id >= $3 AND id < $4"
    f" AND action IN ({_NOTES}) ORDER BY id DESC LIMIT $5",
    row=str,
    postgres="SELECT id FROM audit_log WHERE user_id = $1 AND (app_id, id) >= ($2, $3) AND (app_id, id) < ($2, $4)"
    f" AND action IN ({_NOTES}) ORDER BY app_id DESC, id DESC LIMIT $5",
)
entries_by_id = Query(
    "entries_by_id",
    "These rows, in any order.",
    f"SELECT {_ENTRY} FROM audit_log WHERE id IN (SELECT value FROM json_each($1))",
    row=AuditEntry,
    postgres=f"SELECT {_ENTRY} FROM audit_log WHERE id {_ANY.format('$1')}",
)
entries_of_subject = Query(
    "entries_of_subject",
    "What happened to one thing before an id, newest first.",
    f"SELECT {_ENTRY} FROM audit_log WHERE subject_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    row=AuditEntry,
    postgres=f"SELECT {_ENTRY} FROM audit_log WHERE {_BEFORE_OF_SUBJECT} ORDER BY subject_id DESC, id DESC LIMIT $3",
)
entries_of_subject_in_apps = Query(
    "entries_of_subject_in_apps",
    "What happened to one thing in some apps before an id, newest first.",
    f"SELECT {_ENTRY} FROM audit_log WHERE subject_id = $1 AND id < $2"
    " AND app_id IN (SELECT value FROM json_each($4)) ORDER BY id DESC LIMIT $3",
    row=AuditEntry,
    postgres=f"SELECT {_ENTRY} FROM audit_log WHERE {_BEFORE_OF_SUBJECT} AND app_id {_ANY.format('$4')}"
    " ORDER BY subject_id DESC, id DESC LIMIT $3",
)
entries_of_user_in_app = Query(
    "entries_of_user_in_app",
    "What happened to one user in one app before an id, newest first.",
    f"SELECT {_ENTRY} FROM audit_log WHERE user_id = $1 AND app_id = $4 AND id < $2 ORDER BY id DESC LIMIT $3",
    row=AuditEntry,
    postgres=f"SELECT {_ENTRY} FROM audit_log WHERE user_id = $1 AND (app_id, id) < ($4, $2) AND app_id >= $4"
    " ORDER BY app_id DESC, id DESC LIMIT $3",
)
entries_of_user_in_no_app = Query(
    "entries_of_user_in_no_app",
    "What happened to one user in no single app before an id, newest first.",
    f"SELECT {_ENTRY} FROM audit_log WHERE user_id = $1 AND app_id IS NULL AND id < $2"
    " ORDER BY app_id DESC, id DESC LIMIT $3",
    row=AuditEntry,
)
apps_with_user = Query(
    "apps_with_user",
    "The apps in which something happened to a user: one step in the index for each, however many rows there are.",
    "WITH RECURSIVE known (app_id) AS ("
    " SELECT min(app_id) FROM audit_log WHERE user_id = $1"
    " UNION ALL"
    " SELECT (SELECT min(app_id) FROM audit_log WHERE user_id = $1 AND app_id > known.app_id)"
    " FROM known WHERE known.app_id IS NOT NULL"
    ") SELECT app_id FROM known WHERE app_id IS NOT NULL",
    row=str,
)
newest_entries = Query(
    "newest_entries",
    "What happened before an id, newest first.",
    f"SELECT {_ENTRY} FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT $2",
    row=AuditEntry,
)
