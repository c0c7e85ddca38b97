"""What look-ups cost where there are many subscribers: as much as where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.clock import ManualClock
from ringback.store import Store
from tests.directory.sip_room import REALM, Room
from tests.plans import Plans

MANY = 20_000
SUBSCRIBERS = (
    "INSERT INTO subscribers (id, domain, username, user_id, disabled, preferences, created_at, version)"
    " SELECT 'id' || n, 'example.org', 'u' || n, 'person' || (n % 5000), FALSE, '{{}}', 1, 1 FROM {numbers}"
)
CREDENTIALS = (
    "INSERT INTO sip_credentials (subscriber_id, realm, changed_at, version)"
    " SELECT 'id' || n, 'example.org', 1, 1 FROM {numbers}"
)


@pytest.mark.parametrize("realm", ["", REALM])
async def test_no_look_up_reads_all_subscribers(
    store: Store, database_url: str, tmp_path: Path, clock: ManualClock, realm: str
) -> None:
    room = Room(store, clock, realm=realm)
    await room.add()
    plans = Plans(store, database_url, tmp_path / "ringback.db")
    recursive = f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {MANY}) SELECT n FROM s)"
    series = f"generate_series(1, {MANY}) AS s(n)"
    for text in (SUBSCRIBERS, CREDENTIALS):
        await plans.load(text.format(numbers=recursive), text.format(numbers=series))
    units: list[tuple[Any, tuple[Any, ...]]] = [
        (room.subscribers.callee, ("u17", REALM)),
        (room.subscribers.callee, ("nobody", REALM)),
        (room.credentials.of, ("jan", REALM, REALM)),
        (room.credentials.of, ("nobody", REALM, REALM)),
        (room.credentials.in_realm, ("jan", REALM)),
        (room.subscribers.of_user, ("person17", 10)),
        (room.subscribers.page, (REALM, "u5", 10)),
        (room.subscribers.bindings, (REALM, "jan")),
    ]
    for unit, arguments in units:
        _, work = await plans.read(unit, *arguments)
        assert (work.sorts, work.amount < 400) == ((), True), (unit, work)
        # Of the few domains all are tried where they share a realm.
        assert not work.scans or work.scans == ("sip_credentials_in_realm",), (unit, work)
