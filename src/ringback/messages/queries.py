"""Named SQL of notices and of the pushes that belong to them."""

from __future__ import annotations

from ringback.messages.model import NoticeRow
from ringback.messages.model_tracing import TracedPush
from ringback.store import Command, Query, columns

_NOTICE = f"SELECT {columns(NoticeRow)} FROM notices"
_PUSH = f"SELECT {columns(TracedPush)} FROM pushes"

insert_notice = Command(
    "insert_notice",
    "What there was to tell, and which push tokens were considered.",
    f"INSERT INTO notices ({columns(NoticeRow)}) VALUES ($1, $2, $3, $4, $5, $6, $7)",
)
notice_by_id = Query("notice_by_id", "One notice.", f"{_NOTICE} WHERE id = $1", row=NoticeRow)
notices_by_ids = Query(
    "notices_by_ids",
    "Some notices; $1 is a JSON list.",
    f"{_NOTICE} WHERE id IN (SELECT value FROM json_each($1))",
    row=NoticeRow,
    postgres=f"{_NOTICE} WHERE id IN (SELECT json_array_elements_text($1::json))",
)
walked_notices_of_user = Query(
    "walked_notices_of_user",
    "The newest notices of a user that come before an id, and their apps.",
    "SELECT id, app_ids FROM notices WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    postgres="SELECT id, app_ids FROM notices WHERE (user_id, id) < ($1, $2) AND user_id >= $1"
    " ORDER BY user_id DESC, id DESC LIMIT $3",
)
# Few belong to one subject, so they may be sorted. But a campaign has one for each of its users: it is not asked for,
# and SQLite has to be told to look at that first.
_OF_SUBJECT = """FROM (SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM campaigns WHERE id = $1)) AS known
    CROSS JOIN notices WHERE subject_id = $1"""
walked_notices_of_subject = Query(
    "walked_notices_of_subject",
    "The newest notices about a subject that come before an id, and their apps.",
    f"SELECT id, app_ids {_OF_SUBJECT} AND id < $2 ORDER BY id DESC LIMIT $3",
)
message_notice = Query(
    "message_notice",
    "The notice of a message or of an inbox message.",
    f"SELECT {columns(NoticeRow)} {_OF_SUBJECT} AND subject_kind IN ('message', 'inbox') LIMIT 1",
    row=NoticeRow,
)
# Ids begin with their time, so the primary key finds the old ones.
purge_notices = Query(
    "purge_notices",
    "Forgets notices that were made before a time.",
    "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE id < $1 ORDER BY id LIMIT $2) RETURNING id",
    writes=True,
)
traced_push = Query("traced_push", "One push, without what it says.", f"{_PUSH} WHERE id = $1", row=TracedPush)
traced_pushes = Query(
    "traced_pushes",
    "The pushes of some notices, without what they say; $1 is a JSON list.",
    f"{_PUSH} WHERE notice_id IN (SELECT value FROM json_each($1))",
    row=TracedPush,
    postgres=f"{_PUSH} WHERE notice_id IN (SELECT json_array_elements_text($1::json))",
)
