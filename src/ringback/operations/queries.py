"""Named SQL of operations."""

from __future__ import annotations

from typing import Any, get_args

from ringback.operations.model import Operation, Status, Template, Texts
from ringback.store import Command, Query, columns

_COLUMNS = columns(Operation)
_SILENT = Operation.__struct_fields__.index("silent")


def _operation(*values: Any) -> Operation:
    # SQLite has 0 and 1; the store converts only rows that are the Struct alone.
    fields = [*values[:_SILENT], bool(values[_SILENT]), *values[_SILENT + 1 :]]
    return Operation(*fields)


def _operation_and_app(*values: Any) -> tuple[Operation, str]:
    return _operation(*values[:-1]), values[-1]


operation_with_apps = Query(
    "operation_with_apps",
    "One operation, once for each app that it belongs to.",
    f"SELECT {columns(Operation, 'o')}, a.app_id FROM operations o JOIN operation_apps a ON a.operation_id = o.id"
    " WHERE o.id = $1",
    row=_operation_and_app,
    locks=True,
)

_PENDING_OF_PHONE = f"""SELECT {columns(Operation, "o")} FROM operations o
    WHERE o.user_id = $1 AND o.status = 'PENDING' AND o.expires_at > $2
    AND (o.registration_id IS NULL OR o.registration_id = $3)
    AND EXISTS (SELECT 1 FROM operation_apps a WHERE a.operation_id = o.id AND a.app_id = $4)
    AND (o.activation_flag IS NULL OR o.activation_flag IN (SELECT value FROM {{flags}}))
    ORDER BY o.id DESC LIMIT $6"""

pending_of_phone = Query(
    "pending_operations_of_phone",
    "What a phone may approve now, newest first.",
    _PENDING_OF_PHONE.format(flags="json_each($5)"),
    row=_operation,
    postgres=_PENDING_OF_PHONE.format(flags="json_array_elements_text($5::json)"),
)

_HISTORY_OF_PHONE = f"""SELECT {columns(Operation, "o")} FROM operations o
    WHERE o.user_id = $1 AND (o.registration_id IS NULL OR o.registration_id = $2)
    AND EXISTS (SELECT 1 FROM operation_apps a WHERE a.operation_id = o.id AND a.app_id = $3)
    AND (o.activation_flag IS NULL OR o.activation_flag IN (SELECT value FROM {{flags}}))
    ORDER BY o.id DESC LIMIT $5"""

history_of_phone = Query(
    "operation_history_of_phone",
    "What a phone may see of its user's operations, in every status, newest first.",
    _HISTORY_OF_PHONE.format(flags="json_each($4)"),
    row=_operation,
    postgres=_HISTORY_OF_PHONE.format(flags="json_array_elements_text($4::json)"),
)


def _page_of_user(name: str, condition: str) -> Query[str]:
    # Ids only: what is skipped is counted in the index, and none of its rows is read.
    known = "a.operation_id = o.id AND a.app_id"
    return Query(
        f"page_of_{name}_operations_of_user",
        "The ids of some of a user's operations in some apps, newest first.",
        f"SELECT o.id FROM operations o WHERE o.user_id = $1 AND o.id < $2{condition}"
        f" AND EXISTS (SELECT 1 FROM operation_apps a WHERE {known} IN (SELECT value FROM json_each($3)))"
        " ORDER BY o.id DESC LIMIT $4 OFFSET $5",
        row=str,
        # PostgreSQL, of a user with much of the table, would else walk the primary key; and EXISTS becomes a join,
        # before which it likes to read and sort all that the user has.
        postgres="SELECT o.id FROM operations o"
        f" WHERE (o.user_id, o.id) < ($1, $2) AND o.user_id >= $1{condition}"
        f" AND (SELECT min(a.app_id) FROM operation_apps a WHERE {known}"
        " = ANY (ARRAY(SELECT json_array_elements_text($3::json)))) IS NOT NULL"
        " ORDER BY o.user_id DESC, o.id DESC LIMIT $4 OFFSET $5",
    )


page_of_user: dict[Status | None, Query[str]] = {
    None: _page_of_user("all", ""),
    # A literal, so that the index of what is pending serves.
    **{status: _page_of_user(status.lower(), f" AND o.status = '{status}'") for status in get_args(Status)},
}

operations_by_ids = Query(
    "operations_by_ids",
    "Some operations; $1 is a JSON list.",
    f"SELECT {_COLUMNS} FROM operations WHERE id IN (SELECT value FROM json_each($1))",
    row=_operation,
    postgres=f"SELECT {_COLUMNS} FROM operations WHERE id IN (SELECT json_array_elements_text($1::json))",
)

insert_operation = Command(
    "insert_operation",
    "A new operation.",
    f"INSERT INTO operations({_COLUMNS}) VALUES ({', '.join(f'${n + 1}' for n in range(23))})",
)

insert_operation_apps = Command(
    "insert_operation_apps",
    "The apps of a new operation; $2 is a JSON list.",
    "INSERT INTO operation_apps(operation_id, app_id) SELECT $1, value FROM json_each($2)",
    postgres="INSERT INTO operation_apps(operation_id, app_id) SELECT $1::text, json_array_elements_text($2::json)",
)

save_operation = Command(
    "save_operation",
    "What changes about an operation; refuses when somebody else changed it.",
    "UPDATE operations SET status = $3, user_id = $4, failure_count = $5, additional_data = $6, status_reason = $7,"
    " finalized_at = $8, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)

_OVERDUE = "SELECT id FROM operations WHERE status = 'PENDING' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
_EXPIRE = "UPDATE operations SET status = 'EXPIRED', finalized_at = $1, version = version + 1"

expire_overdue = Query(
    "expire_overdue_operations",
    "Ends what was not answered in time.",
    f"{_EXPIRE} WHERE id IN ({_OVERDUE}) RETURNING id, user_id",
    writes=True,
    # MATERIALIZED: as a subselect, one that locks may be run once for each row, and LIMIT would not hold.
    postgres=f"WITH overdue AS MATERIALIZED ({_OVERDUE} FOR UPDATE SKIP LOCKED)"
    f" {_EXPIRE} FROM overdue WHERE operations.id = overdue.id RETURNING operations.id, operations.user_id",
)

template_for_creation = Query(
    "template_for_creation",
    "One template, which the unit only reads.",
    f"SELECT {columns(Template)} FROM operation_templates WHERE name = $1",
    row=Template,
)

texts_of_type = Query(
    "texts_of_operation_type",
    "The texts of an operation type, by language.",
    f"SELECT {columns(Texts)} FROM operation_texts WHERE operation_type = $1 ORDER BY language",
    row=Texts,
)

template_by_name = Query(
    "template_by_name",
    "One template.",
    f"SELECT {columns(Template)} FROM operation_templates WHERE name = $1",
    row=Template,
    locks=True,
)

templates_after = Query(
    "templates_after",
    "A page of templates, by name.",
    f"SELECT {columns(Template)} FROM operation_templates WHERE name > $1 ORDER BY name LIMIT $2",
    row=Template,
)

templates_of_type = Query(
    "templates_of_type",
    "The names of the templates that share an operation type, and with it the texts.",
    "SELECT name FROM operation_templates WHERE operation_type = $1 ORDER BY name",
)

insert_template = Command(
    "insert_template",
    "A new template.",
    f"INSERT INTO operation_templates({columns(Template)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)",
)

save_template = Command(
    "save_template",
    "A changed template; refuses when somebody else changed it.",
    "UPDATE operation_templates SET operation_type = $3, data_template = $4, signature_types = $5,"
    " max_failure_count = $6, expiration_s = $7, risk_flags = $8, proximity_check_enabled = $9, version = version + 1"
    " WHERE name = $1 AND version = $2",
    expect_one=True,
)

delete_template = Command(
    "delete_template",
    "Forgets a template; operations made from it stay.",
    "DELETE FROM operation_templates WHERE name = $1 AND version = $2",
    expect_one=True,
)

insert_texts = Command(
    "insert_texts",
    "The texts of an operation type in one language.",
    f"INSERT INTO operation_texts({columns(Texts)}) VALUES ($1, $2, $3, $4, $5, $6, $7)",
)

save_texts = Command(
    "save_texts",
    "The texts of an operation type in one language, in the place of those that there may be.",
    f"INSERT INTO operation_texts({columns(Texts)}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (operation_type, language) DO UPDATE SET title = excluded.title, message = excluded.message,"
    " attributes = excluded.attributes, ui = excluded.ui, result_texts = excluded.result_texts",
)

delete_texts_in = Command(
    "delete_texts_in_language",
    "Forgets the texts of an operation type in one language.",
    "DELETE FROM operation_texts WHERE operation_type = $1 AND language = $2",
)

delete_texts = Command(
    "delete_texts", "Forgets the texts of an operation type.", "DELETE FROM operation_texts WHERE operation_type = $1"
)
