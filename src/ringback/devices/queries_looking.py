"""Named SQL of lists of registrations. Each walks one index from where the page begins, whatever the table's size.

PostgreSQL is told the order of that index, not only `ORDER BY id`: of a user who has much of the table it would believe
that walking the primary key meets a page soon. `x >= $1 AND x <= $1` and rows do it; a plain `x = $1` it would take out
of the order again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.devices.model import IN_PROGRESS, Status
from ringback.store import Query, columns


class ListedRegistration(msgspec.Struct, frozen=True):
    """What a list shows of a registration. Times are Unix milliseconds."""

    id: str
    app_id: str
    user_id: str
    status: Status
    blocked_reason: str | None
    flags: tuple[str, ...]
    name: str | None
    platform: str | None
    device_info: str | None
    created_at: int
    expires_at: int
    last_used_at: int

    def is_expired(self, now_ms: int) -> bool:
        """Whether it is in progress and its time is over."""
        return self.status in IN_PROGRESS and now_ms >= self.expires_at


# PostgreSQL filters by an array; a sub-query it would join, and walk another index for it.
_ANY = "= ANY (ARRAY(SELECT json_array_elements_text({}::json)))"
_LISTED = columns(ListedRegistration)
_FLAGS = ListedRegistration.__struct_fields__.index("flags")


def _listed(*values: Any) -> ListedRegistration:
    row: list[Any] = list(values)
    row[_FLAGS] = msgspec.json.decode(row[_FLAGS], type=tuple[str, ...])
    return ListedRegistration(*row)


def _ids(name: str, purpose: str, condition: str, order: str) -> Query[str]:
    # Ids only: of what lies before the page no row is handed over.
    return Query(
        name,
        purpose,
        f"SELECT id FROM registrations WHERE user_id = $1{condition} AND app_id IN (SELECT value FROM json_each($2))"
        f" ORDER BY id {order} LIMIT $3 OFFSET $4",
        row=str,
        postgres=f"SELECT id FROM registrations WHERE user_id >= $1 AND user_id <= $1{condition} AND"
        f" app_id {_ANY.format('$2')} ORDER BY user_id {order}, id {order} LIMIT $3 OFFSET $4",
    )


present_ids_of_user = _ids(
    "present_ids_of_user",
    "Some of a user's registrations in some apps, oldest first; removed ones are not even met.",
    " AND status <> 'REMOVED'",
    "ASC",
)
all_ids_of_user = _ids(
    "all_ids_of_user", "Some of a user's registrations in some apps, also removed ones, oldest first.", "", "ASC"
)
newest_ids_of_user = _ids(
    "newest_ids_of_user", "The newest of a user's registrations in some apps, also removed ones.", "", "DESC"
)
registrations_by_id = Query(
    "registrations_by_id",
    "These registrations, in any order.",
    f"SELECT {_LISTED} FROM registrations WHERE id IN (SELECT value FROM json_each($1))",
    row=_listed,
    postgres=f"SELECT {_LISTED} FROM registrations WHERE id {_ANY.format('$1')}",
)


def _window(column: str) -> Query[tuple[Any, ...]]:
    window = "SELECT max(id), count(*) FROM (SELECT id FROM registrations WHERE {} ORDER BY {} LIMIT $3) AS walked"
    return Query(
        f"window_by_{column}",
        "Where so many registrations after an id end, and how many there were.",
        window.format(f"{column} = $1 AND id > $2", "id"),
        postgres=window.format(f"({column}, id) > ($1, $2) AND {column} <= $1", f"{column}, id"),
    )


def _between(column: str) -> Query[ListedRegistration]:
    inside = f"SELECT {_LISTED} FROM registrations WHERE {{}} AND ($5 = '' OR status = $5) ORDER BY {{}} LIMIT $6"
    return Query(
        f"registrations_between_by_{column}",
        "Registrations between two ids in some apps and, unless it is empty, in one status; oldest first.",
        inside.format(f"{column} = $1 AND id > $2 AND id <= $3 AND app_id IN (SELECT value FROM json_each($4))", "id"),
        row=_listed,
        postgres=inside.format(
            f"({column}, id) > ($1, $2) AND ({column}, id) <= ($1, $3) AND app_id {_ANY.format('$4')}", f"{column}, id"
        ),
    )


window_of_user, registrations_of_user_between = _window("user_id"), _between("user_id")
window_of_app, registrations_of_app_between = _window("app_id"), _between("app_id")
