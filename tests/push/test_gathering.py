"""Writes that go together: one unit for many, and one that is at fault takes nobody with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.errors import StoreUnavailable
from ringback.push import NewCallPush
from ringback.push.gathering import MOST_TOGETHER, Gathering
from ringback.store import Query, Store, Tx
from tests.push.sending import Room, all_pushes

echo = Query("test_echo", "What it was asked.", "SELECT $1", row=str, postgres="SELECT $1::text")


class Units:
    """Units that only read what they were given; `sizes` of those that came to an end."""

    def __init__(self, store: Store) -> None:
        self.sizes: list[int] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.gathering: Gathering[str, str | None] = Gathering(store, self._unit, self._spawn)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unit(self, tx: Tx, items: list[str]) -> list[str | None]:
        found = [await tx.one(echo, item) for item in items]
        if "bad" in items:
            raise ValueError("bad")
        self.sizes.append(len(items))
        return found

    async def all(self, items: list[str]) -> list[str | None]:
        """Puts all at once; what became of them."""
        return await asyncio.gather(*[self.gathering.put(item, 10) for item in items])


async def test_what_comes_together_is_written_together(store: Store) -> None:
    units = Units(store)
    items = [str(number) for number in range(2 * MOST_TOGETHER + 1)]
    assert await units.all(items) == items
    assert units.sizes == [MOST_TOGETHER, MOST_TOGETHER, 1]
    assert await units.all(["later"]) == ["later"]


async def test_one_that_cannot_be_written_takes_nobody_with_it(store: Store) -> None:
    assert await Units(store).all(["first", "bad", "last"]) == ["first", None, "last"]


async def test_each_is_given_up_in_its_own_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units(store)
    write, away = store.write, asyncio.Event()

    async def wait_for_it(*args: Any) -> Any:
        if not away.is_set():
            raise StoreUnavailable
        return await write(*args)

    monkeypatch.setattr(store, "write", wait_for_it)
    hasty, patient = units.gathering.put("hasty", -1), units.gathering.put("patient", 60)
    assert await hasty is None
    assert not patient.done()
    away.set()
    assert await patient == "patient"


async def test_many_calls_at_once_cost_few_units(store: Store, clock: ManualClock, monkeypatch: Any) -> None:
    room = await Room(store, clock).start()
    target = await room.token("fcm")
    units = 0
    write = store.write

    async def count(*args: Any) -> Any:
        nonlocal units
        units += 1
        return await write(*args)

    monkeypatch.setattr(store, "write", count)
    ends_at = clock.now_ms() + 30_000
    for _ in range(100):
        room.calls.send(NewCallPush(app_id="bank", user_id="alice", targets=(target,), ring_expires_at=ends_at))
    await room.calls.idle()
    assert units <= 20  # it were 200, and the records of the calls would wait behind them
    stored = await room.all(all_pushes)
    assert len(stored) == 100
