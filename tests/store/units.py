"""Units of work over the two tables of this suite."""

from __future__ import annotations

import msgspec

from ringback.store import Command, Query, Tx, columns


class Counter(msgspec.Struct, frozen=True):
    id: str
    value: int
    version: int


class Entry(msgspec.Struct, frozen=True):
    id: str
    counter_id: str | None
    flag: bool | None
    data: bytes | None


class AlreadySpent(Exception):
    """What `spend` raises for a value it has seen."""


counter_by_id = Query(
    "counter_by_id",
    "One counter.",
    f"SELECT {columns(Counter)} FROM counters WHERE id = $1",
    row=Counter,
    locks=True,
)
entry_by_id = Query("entry_by_id", "One entry.", f"SELECT {columns(Entry)} FROM entries WHERE id = $1", row=Entry)
all_entries = Query("all_entries", "All entries.", f"SELECT {columns(Entry)} FROM entries ORDER BY id", row=Entry)
entry_count = Query("entry_count", "How many entries there are.", "SELECT count(*) FROM entries")
take_entry = Query(
    "take_entry",
    "Deletes an entry and returns it.",
    f"DELETE FROM entries WHERE id = $1 RETURNING {columns(Entry)}",
    row=Entry,
    writes=True,
)
add_counter = Command("add_counter", "A new counter.", "INSERT INTO counters(id, value, version) VALUES ($1, $2, 1)")
_LISTED = "json_to_recordset($1::json) AS c(id text, value integer)"
add_counters = Command(
    "add_counters",
    "For each new counter.",
    "INSERT INTO counters(id, value, version) VALUES ($1, $2, 1)",
    each=("id", "value"),
    postgres=f"INSERT INTO counters(id, value, version) SELECT id, value, 1 FROM {_LISTED}",
)
double_counters = Query(
    "double_counters",
    "For each counter that has this value still: twice as much. Returns the ids.",
    "UPDATE counters SET value = 2 * value WHERE id = $1 AND value = $2 RETURNING id",
    row=str,
    writes=True,
    each=("id", "value"),
    postgres=f"UPDATE counters SET value = 2 * counters.value FROM {_LISTED}"
    " WHERE counters.id = c.id AND counters.value = c.value RETURNING counters.id",
)
save_counter = Command(
    "save_counter",
    "Stores a counter's value when nobody has moved it.",
    "UPDATE counters SET value = $3, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
add_entry = Command(
    "add_entry",
    "A new entry.",
    "INSERT INTO entries(id, counter_id, flag, data) VALUES ($1, $2, $3, $4)",
)
spend = Command(
    "spend",
    "Remembers a value; refuses one that was seen.",
    "INSERT INTO replay_values(value, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    expect_one=True,
    otherwise=AlreadySpent,
)


async def add(tx: Tx, entry_id: str, *, flag: bool | None = None, data: bytes | None = None) -> str:
    await tx.run(add_entry, entry_id, None, flag, data)
    return entry_id


async def new_counter(tx: Tx, counter_id: str) -> None:
    await tx.run(add_counter, counter_id, 0)


async def increment(tx: Tx, counter_id: str) -> int:
    """Reads, adds one, writes, and leaves an entry."""
    counter = await tx.one(counter_by_id, counter_id)
    assert counter is not None
    await tx.run(save_counter, counter_id, counter.version, counter.value + 1)
    await tx.run(add_entry, f"{counter_id}-{counter.value + 1}", counter_id, True, None)
    return counter.value + 1


async def count(tx: Tx) -> int:
    row = await tx.one(entry_count)
    assert row is not None
    return int(row[0])


async def value_of(tx: Tx, counter_id: str) -> int:
    counter = await tx.one(counter_by_id, counter_id)
    assert counter is not None
    return counter.value
