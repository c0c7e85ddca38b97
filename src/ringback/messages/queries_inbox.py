"""Named SQL of the inbox."""

from __future__ import annotations

from ringback.messages.model_inbox import InboxMessage
from ringback.store import Command, Query, columns

_MESSAGE = f"SELECT {columns(InboxMessage)} FROM inbox_messages"
MOST_COUNTED = 10_000

insert_message = Command(
    "insert_inbox_message",
    "A new message of a user.",
    f"INSERT INTO inbox_messages ({columns(InboxMessage)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
)
insert_places = Command(
    "insert_inbox_places",
    "The apps that show a message; $3 is a JSON list.",
    "INSERT INTO inbox_places (user_id, app_id, message_id, is_read) SELECT $1, value, $2, FALSE FROM json_each($3)",
    postgres="INSERT INTO inbox_places (user_id, app_id, message_id, is_read)"
    " SELECT $1::text, json_array_elements_text($3::json), $2::text, FALSE",
)
message_by_id = Query("inbox_message_by_id", "One message.", f"{_MESSAGE} WHERE id = $1", row=InboxMessage)
message_to_delete = Query(
    "inbox_message_to_delete",
    "Whether a message is there; nobody else takes it out of an app until this unit is over.",
    "SELECT id FROM inbox_messages WHERE id = $1",
    row=str,
    writes=True,
    postgres="SELECT id FROM inbox_messages WHERE id = $1 FOR UPDATE",
)
messages_by_ids = Query(
    "inbox_messages_by_ids",
    "Some messages; $1 is a JSON list.",
    f"{_MESSAGE} WHERE id IN (SELECT value FROM json_each($1))",
    row=InboxMessage,
    postgres=f"{_MESSAGE} WHERE id IN (SELECT json_array_elements_text($1::json))",
)
apps_of_message = Query(
    "apps_of_inbox_message",
    "The apps that show a message.",
    "SELECT app_id FROM inbox_places WHERE message_id = $1",
    row=str,
)
place = Query(
    "inbox_place",
    "Whether an app shows this message to its user.",
    "SELECT 1 FROM inbox_places WHERE user_id = $1 AND app_id = $2 AND message_id = $3",
)
count_unread = Query(
    "count_unread_inbox_messages",
    "How many messages of a user in an app are unread, counted in the index up to a limit.",
    "SELECT count(*) FROM (SELECT 1 FROM inbox_places WHERE user_id = $1 AND app_id = $2 AND is_read = FALSE"
    f" LIMIT {MOST_COUNTED}) AS unread",
    row=int,
)
page_of_phone = Query(
    "inbox_page_of_phone",
    "The ids of a user's messages in an app, newest first.",
    "SELECT message_id FROM inbox_places WHERE user_id = $1 AND app_id = $2"
    " ORDER BY message_id DESC LIMIT $3 OFFSET $4",
    row=str,
)
unread_page_of_phone = Query(
    "unread_inbox_page_of_phone",
    "The ids of those that are unread, newest first.",
    "SELECT message_id FROM inbox_places WHERE user_id = $1 AND app_id = $2 AND is_read = FALSE"
    " ORDER BY message_id DESC LIMIT $3 OFFSET $4",
    row=str,
)
newest = Query(
    "newest_inbox_message",
    "The id of a user's newest message in an app.",
    "SELECT message_id FROM inbox_places WHERE user_id = $1 AND app_id = $2 ORDER BY message_id DESC LIMIT 1",
    row=str,
)
oldest_unread = Query(
    "oldest_unread_inbox_messages",
    "The ids of a user's unread messages in an app, up to an id.",
    "SELECT message_id FROM inbox_places WHERE user_id = $1 AND app_id = $2 AND is_read = FALSE AND message_id <= $3"
    " ORDER BY message_id LIMIT $4",
    row=str,
)


def _page_of_user(name: str, condition: str) -> Query[str]:
    shown = "p.user_id = m.user_id AND p.message_id = m.id"
    return Query(
        name,
        "The ids of a user's messages that are shown in some apps, newest first; $2 is a JSON list.",
        "SELECT m.id FROM inbox_messages m WHERE m.user_id = $1"
        f" AND EXISTS (SELECT 1 FROM inbox_places p WHERE {shown} AND p.app_id IN (SELECT value FROM json_each($2))"
        f"{condition}) ORDER BY m.id DESC LIMIT $3 OFFSET $4",
        row=str,
        # PostgreSQL makes a join of EXISTS, before which it likes to read and sort all that the user has.
        postgres="SELECT m.id FROM inbox_messages m WHERE m.user_id = $1"
        f" AND (SELECT min(p.app_id) FROM inbox_places p WHERE {shown}"
        f" AND p.app_id = ANY (ARRAY(SELECT json_array_elements_text($2::json))){condition}) IS NOT NULL"
        " ORDER BY m.user_id DESC, m.id DESC LIMIT $3 OFFSET $4",
    )


page_of_user = _page_of_user("inbox_page_of_user", "")
unread_page_of_user = _page_of_user("unread_inbox_page_of_user", " AND p.is_read = FALSE")

mark_messages_read = Command(
    "mark_inbox_messages_read",
    "The user has read them; $1 is a JSON list.",
    "UPDATE inbox_messages SET is_read = TRUE, read_at = $2"
    " WHERE id IN (SELECT value FROM json_each($1)) AND is_read = FALSE",
    postgres="UPDATE inbox_messages SET is_read = TRUE, read_at = $2"
    " WHERE id IN (SELECT json_array_elements_text($1::json)) AND is_read = FALSE",
)
mark_places_read = Command(
    "mark_inbox_places_read",
    "The same in every app that shows them.",
    "UPDATE inbox_places SET is_read = TRUE WHERE message_id IN (SELECT value FROM json_each($1)) AND is_read = FALSE",
    postgres="UPDATE inbox_places SET is_read = TRUE"
    " WHERE message_id IN (SELECT json_array_elements_text($1::json)) AND is_read = FALSE",
)
delete_places = Command(
    "delete_inbox_places",
    "Some apps do not show a message any more; $2 is a JSON list.",
    "DELETE FROM inbox_places WHERE message_id = $1 AND app_id IN (SELECT value FROM json_each($2))",
    postgres="DELETE FROM inbox_places WHERE message_id = $1 AND app_id IN (SELECT json_array_elements_text($2::json))",
)
delete_message = Command("delete_inbox_message", "Forgets a message.", "DELETE FROM inbox_messages WHERE id = $1")
