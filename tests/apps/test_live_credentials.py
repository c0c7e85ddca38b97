"""What providers get, how soon they notice a change, and what their answers do to a credential."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ringback.apps import LiveCredentials, PushCredentials
from ringback.apps.credential_forms import apns_token_key, web_push_keys
from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.errors import StoreUnavailable
from ringback.principal import Principal
from ringback.push import HEALTH, ApnsTokenKey, Health, StoredCredential
from ringback.secrets import Vault
from ringback.store import Command, Query, SqliteStore, Store, Tx
from tests.apps.push_files import apns_form

ADMIN = Principal("cli", "test")
_insert_app = Command("insert", "Test.", "INSERT INTO apps(id, roles, created_at, version) VALUES ($1, '[]', 0, 1)")
_audit = Query("audit", "Test.", "SELECT principal_kind, details FROM audit_log ORDER BY id")


@dataclass
class Hurried:
    """Keeps in mind what was hurried; `test_push_credential_trials.py` asks the real outbox."""

    destinations: list[tuple[str, str]] = field(default_factory=list)

    async def hurry(self, tx: Tx, channel: str, destination: str) -> None:  # noqa: ARG002
        self.destinations.append((channel, destination))


class Bench:
    """The parts around one store."""

    def __init__(self, store: Store, clock: ManualClock, cache_seconds: int = 0) -> None:
        source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
        self.store = store
        self.clock = clock
        self.hurried = Hurried()
        self.credentials = PushCredentials(
            vault=Vault(b"s" * 32, b"f" * 32, SystemRandomness()),
            audit=AuditLog(**source),
            waiting=self.hurried,
            lanes=("push",),
            **source,
        )
        self.live = self.process(cache_seconds)

    def process(self, cache_seconds: int = 0) -> LiveCredentials:
        """The memory of another process."""
        return LiveCredentials(
            store=self.store, clock=self.clock, credentials=self.credentials, cache_seconds=cache_seconds
        )

    async def put(self, key_id: str = "73Q8JZND1V", app_id: str = "bank") -> None:
        form = apns_form(keyId=key_id)
        key = apns_token_key(
            key_id=form["keyId"], team_id=form["teamId"], bundle_id=form["bundleId"], key_file=form["keyFile"]
        )
        await self.store.write(self.credentials.put, ADMIN, app_id, key, key.facts())
        self.live.forget(app_id, "apns")

    async def key_id(self, live: LiveCredentials | None = None) -> str | None:
        stored = await (live or self.live).load("bank", "apns")
        if stored is None:
            return None
        assert isinstance(stored.credential, ApnsTokenKey)
        return stored.credential.key_id

    async def loaded(self) -> StoredCredential:
        stored = await self.live.load("bank", "apns")
        assert stored is not None
        return stored


async def add_app(tx: Tx, app_id: str) -> None:
    await tx.run(_insert_app, app_id)


async def every(tx: Tx, query: Query[Any]) -> list[Any]:
    return await tx.all(query)


@pytest.fixture
async def bench(store: Store, clock: ManualClock) -> Bench:
    await store.write(add_app, "bank")
    return Bench(store, clock)


async def test_a_better_one_than_a_refused_one_is_noticed_at_once_everywhere(bench: Bench) -> None:
    elsewhere = bench.process()
    await bench.put("AAAAAAAAAA")
    refused = await elsewhere.load("bank", "apns")
    assert refused is not None
    await elsewhere.report(refused, "REFUSED", "InvalidProviderToken")
    assert await bench.key_id(elsewhere) == "AAAAAAAAAA"
    await bench.put("BBBBBBBBBB")
    assert await bench.key_id(elsewhere) == "BBBBBBBBBB"


async def test_a_change_is_noticed_here_at_once_and_elsewhere_within_two_seconds(bench: Bench) -> None:
    elsewhere = bench.process()
    assert await bench.key_id() is None
    assert await bench.key_id(elsewhere) is None
    await bench.put("AAAAAAAAAA")
    assert await bench.key_id() == "AAAAAAAAAA"
    assert await bench.key_id(elsewhere) is None
    bench.clock.advance(2)
    assert await bench.key_id(elsewhere) == "AAAAAAAAAA"
    await bench.store.write(bench.credentials.clear, ADMIN, "bank")
    bench.live.forget("bank", "apns")
    assert await bench.key_id() is None
    bench.clock.advance(2)
    assert await bench.key_id(elsewhere) is None


async def test_the_setting_imitates_a_portal_that_copies_its_credentials_once_a_day(bench: Bench) -> None:
    bench.live = bench.process(86_400)
    assert await bench.key_id() is None
    await bench.put("AAAAAAAAAA")
    assert await bench.key_id() is None
    bench.clock.advance(86_399)
    assert await bench.key_id() is None
    bench.clock.advance(1)
    assert await bench.key_id() == "AAAAAAAAAA"
    await bench.put("BBBBBBBBBB")
    assert await bench.key_id() == "AAAAAAAAAA"
    bench.clock.advance(86_400)
    assert await bench.key_id() == "BBBBBBBBBB"


async def test_a_key_is_parsed_once_however_often_it_is_read(bench: Bench) -> None:
    await bench.put()
    first = await bench.loaded()
    bench.clock.advance(10)
    second = await bench.loaded()
    assert second is not first
    assert second.credential is first.credential
    await bench.put()
    assert (await bench.loaded()).credential is not first.credential


async def test_however_many_ask_it_is_read_once(bench: Bench) -> None:
    await bench.put()
    found = await asyncio.gather(*(bench.live.load("bank", "apns") for _ in range(50)))
    assert len({id(one) for one in found}) == 1


async def test_who_stops_waiting_takes_the_answer_from_nobody(bench: Bench) -> None:
    await bench.put()
    one, two = (asyncio.create_task(bench.live.load("bank", "apns")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert await two is not None
    assert one.cancelled()


class _Slow:
    """A store whose answers are on the way until they may arrive."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read_one = asyncio.Event()
        self.may_arrive = asyncio.Event()

    async def read(self, *arguments: Any) -> Any:
        found = await self._store.read(*arguments)
        self.read_one.set()
        await self.may_arrive.wait()
        return found


async def test_what_was_changed_while_it_was_read_is_read_again(bench: Bench) -> None:
    await bench.put("AAAAAAAAAA")
    slow: Any = _Slow(bench.store)
    bench.live = LiveCredentials(store=slow, clock=bench.clock, credentials=bench.credentials, cache_seconds=0)
    asking = asyncio.create_task(bench.key_id())
    await slow.read_one.wait()
    await bench.put("BBBBBBBBBB")
    slow.may_arrive.set()
    assert await asking == "BBBBBBBBBB"
    assert await bench.key_id() == "BBBBBBBBBB"


async def test_a_database_that_is_gone_is_told_and_asked_again(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    assert not sqlite_url
    store = await SqliteStore.open(tmp_path / "ringback.db")
    await store.write(add_app, "bank")
    bench = Bench(store, clock)
    await bench.put()
    assert await bench.key_id() is not None
    await store.close()
    assert await bench.key_id() is not None  # remembered
    bench.clock.advance(2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await bench.key_id()


STATES: tuple[Health, ...] = ("OK", "SUSPECT", "REFUSED")


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("says", STATES)
async def test_a_provider_s_word_changes_the_status_as_the_table_says(
    bench: Bench, before: Health, says: Health
) -> None:
    await bench.put()
    if before != "OK":
        await bench.live.report(await bench.loaded(), before, "because")
    stored = await bench.loaded()
    assert stored.status == before
    bench.hurried.destinations.clear()
    await bench.live.report(stored, says, "because of that")
    bench.clock.advance(10)
    now = await bench.loaded()
    if (before, says) in HEALTH:
        assert (now.status, now.version) == (HEALTH[before, says], stored.version + 1)
        assert now.status_reason == (None if says == "OK" else "because of that")
    else:
        assert now == stored
    # What waited because the provider refused the credential goes out when it takes it again.
    expected = [("push", "apns:bank")] if (before, says) == ("REFUSED", "OK") else []
    assert bench.hurried.destinations == expected


async def test_the_word_on_a_credential_that_was_replaced_or_judged_meanwhile_is_not_heard(bench: Bench) -> None:
    await bench.put("AAAAAAAAAA")
    old = await bench.loaded()
    await bench.put("BBBBBBBBBB")
    await bench.live.report(old, "REFUSED", "InvalidProviderToken")
    assert (await bench.loaded()).status == "OK"
    now = await bench.loaded()
    await bench.live.report(now, "SUSPECT", "BadTopic")
    await bench.live.report(now, "REFUSED", "InvalidProviderToken")
    assert (await bench.loaded()).status == "SUSPECT"
    await bench.store.write(bench.credentials.clear, ADMIN, "bank")
    await bench.live.report(await bench.loaded(), "OK", "")  # what is remembered is cleared by now
    assert await bench.store.read(bench.credentials.stored, "bank", "apns") is None


async def test_two_processes_that_report_at_once_leave_one_entry(bench: Bench) -> None:
    await bench.put()
    elsewhere = bench.process()
    stored, other = await bench.loaded(), await elsewhere.load("bank", "apns")
    assert other is not None
    await asyncio.gather(
        bench.live.report(stored, "REFUSED", "InvalidProviderToken"),
        elsewhere.report(other, "REFUSED", "InvalidProviderToken"),
    )
    entries = [details for kind, details in await bench.store.read(every, _audit) if kind == "job"]
    assert len(entries) == 1
    assert "InvalidProviderToken" in entries[0]


async def test_a_stranger_s_reason_is_kept_short_and_without_nul(bench: Bench) -> None:
    await bench.put()
    await bench.live.report(await bench.loaded(), "REFUSED", "x\0" * 5000)
    reason = (await bench.loaded()).status_reason
    assert reason is not None
    assert len(reason) == 200
    assert "\0" not in reason


async def test_a_new_credential_is_ok_whatever_was_said_of_the_old_one(bench: Bench) -> None:
    await bench.put()
    await bench.live.report(await bench.loaded(), "REFUSED", "InvalidProviderToken")
    bench.hurried.destinations.clear()
    await bench.put("BBBBBBBBBB")
    stored = await bench.loaded()
    assert (stored.status, stored.status_reason) == ("OK", None)
    assert bench.hurried.destinations == [("push", "apns:bank")]


async def test_kinds_and_apps_are_kept_apart(bench: Bench) -> None:
    await bench.store.write(add_app, "shop")
    await bench.put()
    assert await bench.live.load("shop", "apns") is None
    assert await bench.live.load("bank", "webpush") is None
    keys = web_push_keys("mailto:a@b")
    await bench.store.write(bench.credentials.put_web_push, ADMIN, "bank", keys, keys.facts())
    bench.live.forget("bank", "webpush")
    stored = await bench.live.load("bank", "webpush")
    assert stored is not None
    assert stored.credential == keys
    assert stored.destination == "webpush:bank"
