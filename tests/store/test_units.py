"""What units of work may rely on, the same on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import Conflict, StoreUnavailable, UniqueViolation
from ringback.store import Command, Query, Store, Tx, UnitMisused
from tests.store.conftest import Database
from tests.store.units import (
    AlreadySpent,
    Counter,
    Entry,
    add,
    add_counter,
    add_counters,
    add_entry,
    all_entries,
    count,
    counter_by_id,
    double_counters,
    entry_by_id,
    increment,
    new_counter,
    save_counter,
    spend,
    take_entry,
    value_of,
)


async def test_a_committed_unit_is_visible(store: Store, database: Database) -> None:
    assert await store.write(add, "a") == "a"
    assert await store.read(count) == 1
    other = await database.open() if not database.is_sqlite else store
    assert await other.read(count) == 1


async def test_rows_come_as_structs_with_booleans_and_bytes(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, True, b"\x00\xff")
        await tx.run(add_entry, "b", None, False, None)
        await tx.run(add_entry, "c", None, None, b"")

    async def look(tx: Tx) -> list[Entry]:
        return await tx.all(all_entries)

    await store.write(unit)
    entries = await store.read(look)
    assert entries == [
        Entry("a", None, flag=True, data=b"\x00\xff"),
        Entry("b", None, flag=False, data=None),
        Entry("c", None, flag=None, data=b""),
    ]
    assert [type(entry.flag) for entry in entries] == [bool, bool, type(None)]


async def test_an_exception_undoes_only_its_own_unit(store: Store) -> None:
    async def fails(tx: Tx) -> None:
        await tx.run(add_entry, "bad", None, None, None)
        assert await tx.one(entry_by_id, "bad") is not None
        raise LookupError

    results = await asyncio.gather(
        store.write(add, "a"),
        store.write(fails),
        store.write(add, "b"),
        return_exceptions=True,
    )
    assert results[0] == "a"
    assert isinstance(results[1], LookupError)
    assert results[2] == "b"

    async def look(tx: Tx) -> list[str]:
        return [entry.id for entry in await tx.all(all_entries)]

    assert await store.read(look) == ["a", "b"]


async def test_a_returned_outcome_is_kept(store: Store) -> None:
    async def refuses(tx: Tx) -> str:
        await tx.run(add_entry, "failed attempt", None, None, None)
        return "REFUSED"

    assert await store.write(refuses) == "REFUSED"
    assert await store.read(count) == 1


async def test_a_unit_reads_what_it_wrote(store: Store) -> None:
    async def unit(tx: Tx) -> tuple[int, int, Entry | None]:
        await tx.run(add_counter, "c", 5)
        counter = await tx.one(counter_by_id, "c")
        assert counter is not None
        await tx.run(save_counter, "c", counter.version, 6)
        await tx.run(add_entry, "e", "c", None, None)
        after = await tx.one(counter_by_id, "c")
        assert after is not None
        return counter.value, after.value, await tx.one(entry_by_id, "e")

    assert await store.write(unit) == (5, 6, Entry("e", "c", None, None))


async def test_a_query_may_write(store: Store) -> None:
    await store.write(add, "a")

    async def take(tx: Tx) -> Entry | None:
        return await tx.one(take_entry, "a")

    async def take_and_fail(tx: Tx) -> None:
        assert await tx.one(take_entry, "a") is not None
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(take_and_fail)
    assert await store.write(take) == Entry("a", None, None, None)
    assert await store.write(take) is None
    assert await store.read(count) == 0


async def test_a_text_is_run_for_each_of_some_rows(store: Store) -> None:
    made = [Counter(name, value, 1) for value, name in enumerate("abcd")]

    async def unit(tx: Tx) -> list[str]:
        await tx.run_for(add_counters, made)
        await tx.run_for(add_counters, [])
        changed = [*made[2:], Counter("b", 7, 1), Counter("nobody", 1, 1)]
        return sorted([*await tx.all_for(double_counters, changed), *await tx.all_for(double_counters, [])])

    assert await store.write(unit) == ["c", "d"]

    async def look(tx: Tx) -> list[Counter | None]:
        return [await tx.one(counter_by_id, one.id) for one in made]

    assert [one and one.value for one in await store.read(look)] == [0, 1, 4, 6]


async def test_a_text_that_says_no_fields_is_not_run_for_rows(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.run_for(add_counter, [Counter("a", 1, 1)])

    with pytest.raises(ValueError, match="each="):
        await store.write(unit)


async def test_commands_that_build_on_each_other_keep_their_order(store: Store) -> None:
    remove = Command("remove_entry", "Deletes an entry.", "DELETE FROM entries WHERE id = $1", expect_one=True)
    flag = Command("flag_entry", "Marks an entry.", "UPDATE entries SET flag = TRUE WHERE id = $1", expect_one=True)

    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        await tx.run(flag, "a")
        await tx.run(remove, "a")
        await tx.run(add_entry, "a", None, False, None)
        await tx.run(flag, "a")

    await store.write(unit)

    async def look(tx: Tx) -> Entry | None:
        return await tx.one(entry_by_id, "a")

    assert await store.read(look) == Entry("a", None, flag=True, data=None)


async def test_many_commands_in_one_unit(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        for n in range(300):
            await tx.run(add_entry, f"{n:03}", None, None, None)

    await store.write(unit)
    assert await store.read(count) == 300


async def test_a_row_may_refer_to_one_of_the_same_unit(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.run(add_counter, "c", 0)
        await tx.run(add_entry, "e", "c", None, None)

    await store.write(unit)
    assert await store.read(count) == 1


async def test_fifty_concurrent_increments_are_fifty(store: Store) -> None:
    await store.write(new_counter, "c")
    results = await asyncio.gather(*(store.write(increment, "c") for _ in range(50)))
    assert sorted(results) == list(range(1, 51))
    assert await store.read(value_of, "c") == 50
    assert await store.read(count) == 50


async def test_a_conflict_runs_the_unit_again(store: Store) -> None:
    await store.write(new_counter, "c")
    runs = 0

    async def loses_once(tx: Tx) -> int:
        nonlocal runs
        runs += 1
        counter = await tx.one(counter_by_id, "c")
        assert counter is not None
        await tx.run(add_entry, f"run {runs}", None, None, None)
        await tx.run(save_counter, "c", counter.version - (runs == 1), 7)
        return runs

    assert await store.write(loses_once) == 2
    assert await store.read(count) == 1
    assert await store.read(value_of, "c") == 7


@pytest.mark.parametrize("alone", [True, False])
async def test_a_conflict_that_stays_is_unavailable(store: Store, *, alone: bool) -> None:
    await store.write(new_counter, "c")

    async def always_loses(tx: Tx) -> None:
        if not alone:
            await tx.run(add_entry, "e", None, None, None)
        await tx.run(save_counter, "c", 99, 7)

    with pytest.raises(StoreUnavailable) as caught:
        await store.write(always_loses)
    assert isinstance(caught.value.__cause__, Conflict)
    assert await store.read(count) == 0


@pytest.mark.parametrize("commands_before", [0, 1, 30])
@pytest.mark.parametrize("commands_after", [0, 1])
async def test_the_error_of_a_command_is_raised_and_nothing_is_kept(
    store: Store,
    commands_before: int,
    commands_after: int,
) -> None:
    async def unit(tx: Tx, name: str, value: bytes) -> None:
        for n in range(commands_before):
            await tx.run(add_entry, f"{name} before {n}", None, None, None)
        await tx.run(spend, value, 1)
        for n in range(commands_after):
            await tx.run(add_entry, f"{name} after {n}", None, None, None)

    await store.write(unit, "first", b"x")
    with pytest.raises(AlreadySpent):
        await store.write(unit, "second", b"x")
    await store.write(unit, "third", b"y")
    assert await store.read(count) == 2 * (commands_before + commands_after)


async def test_more_rows_than_one_are_not_kept_either(store: Store) -> None:
    too_wide = Command("too_wide", "Forgets its WHERE.", "UPDATE counters SET value = $1", expect_one=True)

    async def unit(tx: Tx) -> None:
        await tx.run(too_wide, 9)

    await store.write(new_counter, "a")
    await store.write(new_counter, "b")
    with pytest.raises(StoreUnavailable):
        await store.write(unit)
    assert await store.read(value_of, "a") == 0


async def test_the_first_error_of_a_unit_wins(store: Store) -> None:
    async def spends(tx: Tx) -> None:
        await tx.run(spend, b"x", 1)

    async def spends_first(tx: Tx) -> None:
        await tx.run(spend, b"x", 1)
        await tx.run(add_counter, "c", 0)

    async def spends_last(tx: Tx) -> None:
        await tx.run(add_counter, "c", 0)
        await tx.run(spend, b"x", 1)

    await store.write(new_counter, "c")
    await store.write(spends)
    with pytest.raises(AlreadySpent):
        await store.write(spends_first)
    with pytest.raises(UniqueViolation):
        await store.write(spends_last)


@pytest.mark.parametrize("alone", [True, False])
async def test_a_taken_key_is_a_unique_violation(store: Store, *, alone: bool) -> None:
    await store.write(new_counter, "c")

    async def again(tx: Tx) -> None:
        if not alone:
            await tx.run(add_entry, "e", None, None, None)
        await tx.run(add_counter, "c", 0)

    with pytest.raises(UniqueViolation):
        await store.write(again)
    assert await store.read(count) == 0


async def test_an_error_that_a_unit_swallows_still_ends_it(store: Store) -> None:
    await store.write(add, "a")

    async def swallows(tx: Tx) -> str:
        await tx.run(add_entry, "b", None, None, None)
        try:
            await tx.run(add_entry, "a", None, None, None)
            await tx.all(all_entries)
        except UniqueViolation:
            pass
        return "all is well"

    with pytest.raises(UniqueViolation):
        await store.write(swallows)
    assert await store.read(count) == 1


async def test_reading_units_cannot_write(store: Store) -> None:
    async def takes(tx: Tx) -> None:
        await tx.one(take_entry, "a")

    with pytest.raises(UnitMisused):
        await store.read(add, "a")
    with pytest.raises(UnitMisused):
        await store.read(takes)
    assert await store.read(count) == 0


async def test_a_tx_ends_with_its_unit(store: Store) -> None:
    async def leaks(tx: Tx) -> Tx:
        return tx

    tx = await store.write(leaks)
    with pytest.raises(UnitMisused):
        await tx.one(entry_by_id, "a")
    with pytest.raises(UnitMisused):
        await tx.run(add_entry, "a", None, None, None)


async def test_a_mistake_in_the_sql_undoes_the_unit_and_nothing_else(store: Store) -> None:
    wrong = Query("wrong", "Names a table that is not there.", "SELECT 1 FROM nowhere")

    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        await tx.one(wrong)

    with pytest.raises(Exception, match="nowhere"):
        await store.write(unit)
    await store.write(add, "b")
    assert await store.read(count) == 1


async def test_subscribers_are_woken_after_the_commit(store: Store) -> None:
    seen: list[int] = []
    woken = asyncio.Event()

    async def unit(tx: Tx) -> None:
        await tx.run(add_entry, "a", None, None, None)
        tx.notify("things")

    async def refused(tx: Tx) -> None:
        tx.notify("things")
        raise LookupError

    unsubscribe = store.subscribe("things", woken.set)
    store.subscribe("others", lambda: seen.append(1))
    with pytest.raises(LookupError):
        await store.write(refused)
    assert not woken.is_set()
    await store.write(unit)
    await asyncio.wait_for(woken.wait(), 60)
    assert not seen
    woken.clear()
    unsubscribe()
    unsubscribe()

    async def only_notifies(tx: Tx) -> None:
        tx.notify("things")

    await store.write(only_notifies)
    await asyncio.sleep(0.05)
    assert not woken.is_set()


async def test_a_failing_subscriber_harms_nobody(store: Store) -> None:
    woken = asyncio.Event()

    def fails() -> None:
        raise LookupError

    async def unit(tx: Tx) -> str:
        tx.notify("things")
        return "done"

    store.subscribe("things", fails)
    store.subscribe("things", woken.set)
    assert await store.write(unit) == "done"
    await asyncio.wait_for(woken.wait(), 60)


async def test_a_closed_store_refuses(store: Store) -> None:
    await store.ping()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.write(add, "a")
    with pytest.raises(StoreUnavailable):
        await store.read(count)
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_stopping_finishes_what_is_waiting(database: Database) -> None:
    store = await database.open()
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(store.write(add, f"{n:04}")) for n in range(1000)]
    await asyncio.sleep(0)
    await store.close()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert done == [f"{n:04}" for n in range(1000)]
    with pytest.raises(StoreUnavailable):
        await store.write(add, "late")
    again = await database.open()
    assert await again.read(count) == 1000
