"""A user's operations for back ends, in pages whose time does not grow with the table."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from ringback.operations import queries
from ringback.operations.reading import ABOVE_ALL_IDS, PageWanted
from ringback.store import Command, PostgresStore, Query, Store, Tx
from tests.operations.journey import OPERATIONS, Journey
from tests.operations.rooms import BANK, NOBODY, SHOP, Room

_IDS = "00000000-0000-7000-8000-"
_COLUMNS = (
    "id, user_id, status, template, operation_type, data, parameters, additional_data, risk_flags, signature_types,"
    " failure_count, max_failure_count, silent, created_at, expires_at, version"
)
_VALUES = "'PENDING', 'login', 'login', 'A2', '{}', '{}', '', '[]', 0, 5, FALSE, 0, 9999999999999, 1"
# Every $2nd is alice's, and every tenth is another app's.
many = Command(
    "test_many",
    "Operations.",
    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) INSERT INTO operations({_COLUMNS})"
    f" SELECT '{_IDS}' || printf('%012d', i), CASE i % $2 WHEN 0 THEN 'alice' ELSE 'user ' || i END, {_VALUES} FROM n",
    postgres=f"INSERT INTO operations({_COLUMNS}) SELECT '{_IDS}' || lpad(i::text, 12, '0'),"
    f" CASE i % $2::int WHEN 0 THEN 'alice' ELSE 'user ' || i END, {_VALUES} FROM generate_series(1, $1::int) AS i",
)
many_apps = Command(
    "test_many_apps",
    "Their apps.",
    "INSERT INTO operation_apps(operation_id, app_id) SELECT id, CASE WHEN id LIKE '%0' THEN 'shop' ELSE 'bank' END"
    " FROM operations",
)
SCAN = re.compile(r"\bSCAN (?!json_each)|Seq Scan")
SORT = re.compile(r"TEMP B-TREE|\bSort\b")


async def fill(store: Store, count: int, hers: int) -> None:
    async def write(tx: Tx, command: Command, *args: Any) -> None:
        await tx.run(command, *args)

    await store.write(write, many, count, hers)
    await store.write(write, many_apps)


async def plan(store: Store, query: Query[Any], *args: Any) -> str:
    explain: Query[Any] = Query(
        "test_explain", "A plan.", "EXPLAIN QUERY PLAN " + re.sub(r"\?(\d+)", r"$\1", query.sqlite),
        postgres=f"EXPLAIN {query.postgres}",
    )  # fmt: skip

    async def read(tx: Tx) -> list[Any]:
        return await tx.all(explain, *args)

    return "\n".join(str(row[-1]) for row in await store.read(read))


async def analyze(store: Store) -> None:
    if isinstance(store, PostgresStore):
        statement: Query[Any] = Query("test_analyze", "Statistics.", "ANALYZE", writes=True)

        async def write(tx: Tx) -> None:
            await tx.all(statement)

        await store.write(write)


@pytest.mark.parametrize("hers", [20, 1], ids=["some are hers", "all are hers"])
async def test_pages_follow_the_index(room: Room, hers: int) -> None:
    await fill(room.store, 30_000, hers)
    await analyze(room.store)
    arguments = ("alice", ABOVE_ALL_IDS, '["bank"]', 500, 0)
    for status, query in queries.page_of_user.items():
        shown = await plan(room.store, query, *arguments)
        assert not SCAN.search(shown), (status, shown)
        # Of a status that none of them has PostgreSQL expects a row or two, which it sorts.
        assert not SORT.search(shown) or status not in {None, "PENDING"}, (status, shown)
        index = "ix_operations_pending_user_id_id" if status == "PENDING" else "ix_operations_user_id_id"
        assert index in shown, (status, shown)
    shown = await plan(room.store, queries.operations_by_ids, '["a", "b"]')
    assert not SCAN.search(shown), shown


async def test_pages_of_many_rows(room: Room) -> None:
    await fill(room.store, 30_000, 2)
    await analyze(room.store)
    numbers = [n for n in range(30_000, 0, -1) if n % 2 == 0 and n % 10]
    for skipped, before in ((0, ""), (500, ""), (10_000, ""), (0, f"{_IDS}000000020000")):
        async with asyncio.timeout(30):
            wanted_page = PageWanted("alice", None, 500, skipped, before)
            found = await room.store.read(room.operations.page, BANK, wanted_page)
        wanted = [n for n in numbers if not before or n < 20_000][skipped : skipped + 500]
        assert [one.id for one in found] == [f"{_IDS}{n:012d}" for n in wanted]
    # Ids that end with 0 belong to the shop.
    found = await room.store.read(room.operations.page, SHOP, PageWanted("alice", "PENDING", 3))
    assert [one.id[-5:] for one in found] == ["30000", "29990", "29980"]
    assert await room.store.read(room.operations.page, NOBODY, PageWanted("alice", None, 10)) == []
    for nul in (PageWanted("a\0", None, 10), PageWanted("alice", None, 10, 0, "\0")):
        assert await room.store.read(room.operations.page, BANK, nul) == []


async def test_what_is_overdue_is_expired(room: Room) -> None:
    overdue = await room.create()
    room.clock.advance(300)
    pending = await room.create()
    for status, ids in ((None, [pending.id, overdue.id]), ("PENDING", [pending.id]), ("APPROVED", [])):
        found = await room.store.read(room.operations.page, BANK, PageWanted("alice", status, 10))  # type: ignore[arg-type]
        assert [one.id for one in found] == ids
    found = await room.store.read(room.operations.page, BANK, PageWanted("alice", None, 10))
    assert [(one.status, one.finalized_at) for one in found] == [("PENDING", None), ("EXPIRED", overdue.expires_at)]


async def test_the_list_over_http(journey: Journey) -> None:
    made = [await journey.ask(userId="alice", externalId=str(n)) for n in range(5)]
    await journey.ask(userId="bob")
    await journey.served.call("DELETE", f"{OPERATIONS}/{made[0]['operationId']}")
    ids = [one["operationId"] for one in reversed(made)]

    async def listed(query: str, **options: Any) -> list[str]:
        answer = await journey.served.call("GET", f"{OPERATIONS}?{query}", **options)
        assert answer.status == 200, answer
        assert set(answer.body) == {"operations"}
        return [one["operationId"] for one in answer.body["operations"]]

    assert await listed("userId=alice") == ids
    assert await listed("userId=alice&pageSize=2") == ids[:2]
    assert await listed("userId=alice&pageNumber=1&pageSize=2") == ids[2:4]
    assert await listed("userId=alice&pageNumber=3&pageSize=2") == []
    assert await listed(f"userId=alice&before={ids[1]}&pageSize=2") == ids[2:4]
    assert await listed("userId=alice&status=CANCELED") == ids[-1:]
    assert await listed("userId=alice&status=PENDING") == ids[:-1]
    assert await listed("userId=carol") == []
    _, shop = await journey.served.new_tenant("shop")
    assert await listed("userId=alice", auth=shop) == []
    first = (await journey.served.call("GET", f"{OPERATIONS}?userId=alice&pageSize=1")).body["operations"][0]
    assert first == await journey.look(ids[0])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "userId"),
        ("userId=", "userId"),
        ("userId=alice&pageNumber=-1", "pageNumber"),
        ("userId=alice&pageNumber=21", "pageNumber"),
        ("userId=alice&pageNumber=99999999999999999999", "pageNumber"),
        ("userId=alice&pageNumber=x", "pageNumber"),
        ("userId=alice&pageSize=0", "pageSize"),
        ("userId=alice&pageSize=1001", "pageSize"),
        ("userId=alice&status=DONE", "status"),
        ("userId=" + "a" * 256, "userId"),
    ],
)
async def test_bad_pages_are_refused_by_name(journey: Journey, query: str, field: str) -> None:
    refused = await journey.served.call("GET", f"{OPERATIONS}?{query}")
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")
    violation = refused.body["responseObject"]["violations"][0]
    assert violation["fieldName"] == field
    if query.endswith("=21"):
        assert "before" in violation["hint"]
