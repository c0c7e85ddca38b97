"""kill -9 of the sender with 10,000 pushes queued: all arrive, and what comes twice says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import asyncpg  # type: ignore[import-untyped]

from ringback.clock import SystemClock, SystemRandomness
from ringback.events import Events
from ringback.outbox import Outbox
from ringback.push import Content, NewPush, Pushes, PushToken, PushTokens, TokenOwner
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx
from ringback.testing import ApnsDouble
from tests.push.sender_process import SEED, open_store
from tests.push.sending import KEY, insert_app, wait_for

PUSHES = 10_000
PHONES = 100
BATCH = 500
counted = Query("test_statuses", "How many pushes have each status.", "SELECT status, count(*) FROM pushes GROUP BY 1")
half_a_minute_later = Command(
    "test_half_a_minute_later",
    "With several processes nobody knows that the one that held a lease is dead before the lease runs out.",
    "UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE state = 'LEASED'",
)


async def test_kill_9_with_ten_thousand_queued(database_url: str, tmp_path: Path) -> None:
    database = database_url or str(tmp_path / "ringback.db")
    store = await open_store(database)
    ids = await _queue(store)
    await store.close()
    async with ApnsDouble(tmp_path / "apns") as apns:
        await _send_until(database, apns, lambda: len(apns.accepted) >= PUSHES // 5)
        before = len(apns.received)
        assert PUSHES // 5 <= before < PUSHES
        store = await open_store(database)
        if database_url:
            await store.write(_wait_half_a_minute)
        await store.close()

        async def everything() -> bool:
            # What was accepted before the kill goes out again, so the last ones need not be among those.
            return {one.push_id for one in apns.accepted} == ids and not await _queued(database)

        await _send_until(database, apns, everything, signal.SIGTERM)
        store = await open_store(database)
        assert await store.read(_statuses) == [("DELIVERED", PUSHES)]
        await store.close()
        twice = defaultdict(list)
        for one in apns.received:
            twice[one.push_id].append(one)
        assert twice.keys() == ids
        duplicates = [each for each in twice.values() if len(each) > 1]
        for each in duplicates:
            assert {one.headers["apns-id"] for one in each} == {one.headers["apns-collapse-id"] for one in each}
            assert len({one.headers["apns-id"] for one in each}) == 1
        assert len(duplicates) < PUSHES // 5
        assert all(set(one.payload) == {"aps", "data"} for one in apns.received)


async def _send_until(
    database: str,
    apns: ApnsDouble,
    condition: Callable[[], bool | Awaitable[bool]],
    end: signal.Signals = signal.SIGKILL,
) -> None:
    """Runs the sender until something holds, and ends it."""
    arguments = [database, apns.url, str(apns.ca_file), str(apns.key.file), apns.key.key_id, apns.key.team_id]
    child = subprocess.Popen([sys.executable, "-m", "tests.push.sender_process", *arguments])  # noqa: ASYNC220
    try:
        await wait_for(condition, 80)
    finally:
        child.send_signal(end)
        child.wait(30)


async def _queued(database: str) -> int:
    """How many are not at their end, asked beside the process that sends."""
    sql = "SELECT count(*) FROM pushes WHERE status = 'QUEUED'"
    if database.startswith("postgresql://"):
        connection = await asyncpg.connect(database)
        count: int = await connection.fetchval(sql)
        await connection.close()
        return count
    file = apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)
    file.set_busy_timeout(20_000)
    (row,) = file.execute(sql).fetchall()
    file.close()
    return int(row[0])


async def _queue(store: Store) -> set[str]:
    source: dict[str, Any] = {"clock": SystemClock(), "randomness": SystemRandomness()}
    outbox = Outbox(store=store, **source)
    pushes = Pushes(outbox=outbox, kinds={"apns"}, **source)
    push_tokens = PushTokens(vault=Vault(SEED, SEED, SystemRandomness()), events=Events(), **source)

    async def phones(tx: Tx) -> list[PushToken]:
        await tx.run(insert_app, "bank")
        return [
            await push_tokens.register(
                tx, TokenOwner("bank", "alice", f"r{number}"), "apns", f"ab{number:062x}", encryption_key=KEY
            )
            for number in range(PHONES)
        ]

    targets = await store.write(phones)
    ids: set[str] = set()
    for start in range(0, PUSHES, BATCH):
        new = [_push(targets[number % PHONES], number) for number in range(start, start + BATCH)]
        ids.update(await store.write(pushes.queue_all, new))
    return ids


def _push(token: PushToken, number: int) -> NewPush:
    content = Content(push_id="", title="Hello", body=f"This is number {number}", user_id="alice")
    return NewPush(
        app_id="bank", user_id="alice", kind="apns", content=content, push_token_id=token.id,
        registration_id=token.registration_id,
    )  # fmt: skip


async def _wait_half_a_minute(tx: Tx) -> None:
    await tx.run(half_a_minute_later)


async def _statuses(tx: Tx) -> list[Any]:
    return await tx.all(counted)
