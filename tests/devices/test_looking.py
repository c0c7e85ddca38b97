"""Lists of registrations: what they show, page by page, and that their cost does not grow with the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.devices import queries
from ringback.devices.looking import WALKED_AT_MOST, Page, Selection
from ringback.devices.schema import ChangeRegistration
from ringback.store import Tx
from tests.devices.conftest import BANK, OTHER, Room
from tests.plans import Plans
from tests.served import Served

_COLUMNS = (
    "id, app_id, user_id, status, suite, flags, activation_code, commit_phase, ctr, failed_attempts,"
    " max_failed_attempts, look_ahead, created_at, expires_at, last_used_at, version"
)
_REST = "'P256', '[]', 'code-' || i, 'ON_COMMIT', 0, 0, 5, 20, i, i, i, 1"


async def load(plans: Plans, many: int, first: int, user: str, status: str, app: str = "bank") -> None:
    """`many` registrations with the numbers from `first` on; `user` and `status` are SQL over the number `i`."""
    values = f"'{app}', {user}, {status}, {_REST}"
    await plans.load(
        f"WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first + many - 1})"
        f" INSERT INTO registrations ({_COLUMNS}) SELECT printf('01900000-%08d', i), {values} FROM n",
        f"INSERT INTO registrations ({_COLUMNS}) SELECT '01900000-' || lpad(i::text, 8, '0'), {values}"
        f" FROM generate_series({first}, {first + many - 1}) AS n (i)",
    )


def ids(found: list[Any]) -> list[str]:
    return [item.registration_id for item in found]


@pytest.fixture
def plans(room: Room, database_url: str, tmp_path: Path) -> Plans:
    return Plans(room.store, database_url, tmp_path / "ringback.db")


async def in_progress(tx: Tx, user_id: str) -> object:
    return await tx.one(queries.in_progress_of_user, user_id, "bank", 0)


async def remove(room: Room, registration_id: str) -> None:
    await room.store.write(room.devices.change_registration, BANK, registration_id, ChangeRegistration(change="REMOVE"))


async def test_pages_of_a_user_follow_each_other(room: Room) -> None:
    made = []
    for _ in range(5):
        room.clock.advance(0.001)
        made.append((await room.create()).registration_id)
        await room.create(user_id="eva")
        await room.create(app_id="other")
    await remove(room, made[1])

    async def page(number: int, size: int, *, removed: bool) -> list[str]:
        unit = room.devices.looking.page_of_user
        return ids(await room.devices.look(room.store, unit, BANK, "jan", removed, Page(number * size, size)))

    present = [made[0], *made[2:]]
    assert [await page(number, 3, removed=False) for number in range(3)] == [present[:3], present[3:], []]
    assert [await page(number, 2, removed=True) for number in range(4)] == [made[:2], made[2:4], made[4:], []]
    assert ids(await room.devices.look(room.store, room.devices.list_registrations, BANK, "jan", True)) == made


async def test_the_native_list_goes_on_from_where_it_was(room: Room) -> None:
    made = []
    for _ in range(5):
        room.clock.advance(0.001)
        made.append((await room.create()).registration_id)
    await remove(room, made[2])

    async def walked(limit: int, **selected: Any) -> list[list[str]]:
        pages, after = [], ""
        while True:
            selection = Selection(**{"user_id": None, "app_id": None, **selected, "after": after})
            found, last = await room.devices.look(room.store, room.devices.looking.walk, BANK, selection, limit)
            pages.append(ids(found))
            if last is None:
                return pages
            after = last

    assert await walked(2, user_id="jan") == [made[:2], made[2:4], made[4:]]
    assert await walked(5, app_id="bank") == [made]
    assert await walked(50, app_id="bank", status="REMOVED") == [[made[2]]]
    assert await walked(50, user_id="jan", app_id="bank", status="ACTIVE") == [[]]
    assert await walked(50, user_id="nobody") == [[]]


async def test_where_the_native_list_goes_on_does_not_name_a_phone_of_another_app(room: Room, plans: Plans) -> None:
    values = "'other', 'jan', 'ACTIVE', " + _REST
    insert = f"INSERT INTO registrations ({_COLUMNS}) SELECT"
    node = "'-0000-7000-8000-abcdefabcdef'"
    await plans.load(
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {WALKED_AT_MOST})"
        f" {insert} printf('%08d', i) || {node}, {values} FROM n",
        f"{insert} lpad(i::text, 8, '0') || {node}, {values} FROM generate_series(1, {WALKED_AT_MOST}) AS n (i)",
    )
    mine = (await room.create()).registration_id
    looking = room.devices.looking.walk
    found, after = await room.devices.look(room.store, looking, BANK, Selection("jan", None), 50)
    assert (found, after) == ([], "00001000-0000-7000-8000-000000000000")
    found, after = await room.devices.look(room.store, looking, BANK, Selection("jan", None, "", after), 50)
    assert (ids(found), after) == ([mine], None)


async def test_a_registration_whose_time_is_over_is_removed_before_it_is_shown(room: Room) -> None:
    created = await room.create()
    room.clock.advance(120)
    unit = room.devices.looking.page_of_user
    assert await room.devices.look(room.store, unit, BANK, "jan", False, Page(0, 10)) == []
    selection = Selection("jan", None)
    found, _ = await room.devices.look(room.store, room.devices.looking.walk, BANK, selection, 10)
    assert [(item.registration_id, item.registration_status) for item in found] == [
        (created.registration_id, "REMOVED")
    ]


async def test_lists_cost_the_same_in_a_table_of_200_000(room: Room, plans: Plans) -> None:
    looking = room.devices.looking
    await load(plans, 1_200, 0, "'jan'", "'ACTIVE'")
    await load(plans, 2_000, 2_000, "'u' || (i % 100)", "'ACTIVE'")
    await load(plans, 2_000, 5_000, "'o' || i", "'ACTIVE'", app="other")
    asked = {
        "first page": (looking.page_of_user, BANK, "jan", False, Page(0, 50)),
        "second page": (looking.page_of_user, BANK, "jan", False, Page(50, 50)),
        "first page, removed too": (looking.page_of_user, BANK, "jan", True, Page(0, 50)),
        "native, of the user": (looking.walk, BANK, Selection("jan", None), 50),
        "native, of the app": (looking.walk, BANK, Selection(None, "bank", "", "01900000-00000300"), 50),
        "native, a rare status": (looking.walk, BANK, Selection(None, "bank", "BLOCKED"), 50),
        "push targets": (room.devices.push_targets, "jan"),
        "in progress": (in_progress, "jan"),
        "another's": (looking.page_of_user, OTHER, "jan", False, Page(0, 50)),
    }
    before = {name: await plans.read(*one) for name, one in asked.items()}
    await load(plans, 50_000, 100_000, "'jan'", "'REMOVED'")
    await load(plans, 150_000, 200_000, "'v' || (i % 1000)", "'ACTIVE'")
    for name, one in asked.items():
        result, work = await plans.read(*one)
        assert result == before[name][0], name
        assert work.scans == (), name
        assert work.sorts == (), name
        assert work.amount <= before[name][1].amount * 1.2 + 50, (name, work, before[name][1])


async def test_a_far_page_is_refused_and_told_the_way_out(served: Served) -> None:
    path = "/powerauth-cloud/v2/registrations?userId=alice"
    created = await served.call("POST", "/powerauth-cloud/v2/registrations", {"userId": "alice", "appId": "bank"})
    whole = (await served.call("GET", path)).body["registrations"]
    assert [one["registrationId"] for one in whole] == [created.body["registrationId"]]
    for query, expected in (("&pageNumber=0", whole), ("&pageSize=1", whole), ("&pageNumber=20&pageSize=500", [])):
        assert (await served.call("GET", path + query)).body == {"registrations": expected}
    far = await served.call("GET", path + "&pageNumber=11&pageSize=1000&removed=true")
    assert (far.status, far.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")
    [violation] = far.body["responseObject"]["violations"]
    assert violation["fieldName"] == "pageNumber"
    assert "/api/v1/registrations" in violation["hint"]
    for query in ("&pageNumber=-1", "&pageSize=0", "&pageSize=1001", "&pageNumber=x"):
        refused = await served.call("GET", path + query)
        assert refused.body["responseObject"]["violations"][0]["fieldName"].startswith("page"), query


async def test_the_native_list_over_http(served: Served) -> None:
    made = []
    for user in ("alice", "bob", "alice"):
        body = {"userId": user, "appId": "bank", "flags": ["vip"]}
        made.append((await served.call("POST", "/powerauth-cloud/v2/registrations", body)).body["registrationId"])
    first = (await served.call("GET", "/api/v1/registrations?appId=bank&limit=2")).body
    assert len(first["items"]) == 2
    second = (await served.call("GET", f"/api/v1/registrations?appId=bank&cursor={first['nextCursor']}")).body
    assert {one["registrationId"] for one in (*first["items"], *second["items"])} == set(made)
    assert second["nextCursor"] is None
    of_bob = (await served.call("GET", "/api/v1/registrations?userId=bob&status=CREATED")).body["items"]
    assert [(one["userId"], one["flags"], one["registrationStatus"]) for one in of_bob] == [("bob", ["vip"], "CREATED")]
    for query in ("", "?appId=none", "?userId=bob&status=GONE", "?userId=bob&cursor=%25", "?userId=bob&limit=0"):
        refused = await served.call("GET", f"/api/v1/registrations{query}")
        assert refused.status == 400, query
    as_admin = await served.call("GET", "/api/v1/registrations?userId=alice", auth=served.admin)
    assert as_admin.body == {"items": [], "nextCursor": None}
