"""Named SQL of operations."""

from __future__ import annotations

from typing import Any

from ringback.operations.model import Operation, Template, Texts
from ringback.store import Command, Query, columns

_COLUMNS = columns(Operation)
_SILENT = Operation.__struct_fields__.index("silent")


def _operation(*values: Any) -> Operation:
    # SQLite has 0 and 1; the store converts only rows that are the Struct alone.
    fields = [*values[:_SILENT], bool(values[_SILENT]), *values[_SILENT + 1 :]]
    return Operation(*fields)


def _operation_and_app(*values: Any) -> tuple[Operation, str]:
    return _operation(*values[:-1]), values[-1]


TemplateForCreation = tuple[Template, str | None, str | None]


def _template_and_texts(*values: Any) -> TemplateForCreation:
    size = len(Template.__struct_fields__)
    fields = [*values[: size - 2], bool(values[size - 2]), values[size - 1]]
    return Template(*fields), values[size], values[size + 1]


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

insert_operation = Command(
    "insert_operation",
    "A new operation.",
    f"INSERT INTO operations({_COLUMNS}) VALUES ({', '.join(f'${n + 1}' for n in range(22))})",
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
    "A template with title and message in the language asked for, or else in English.",
    f"SELECT {columns(Template, 't')}, x.title, x.message FROM operation_templates t"
    " LEFT JOIN operation_texts x ON x.operation_type = t.operation_type AND x.language IN ($2, 'en')"
    " WHERE t.name = $1 ORDER BY CASE WHEN x.language = $2 THEN 0 ELSE 1 END LIMIT 1",
    row=_template_and_texts,
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
    f"INSERT INTO operation_texts({columns(Texts)}) VALUES ($1, $2, $3, $4, $5, $6)",
)

delete_texts = Command(
    "delete_texts", "Forgets the texts of an operation type.", "DELETE FROM operation_texts WHERE operation_type = $1"
)
