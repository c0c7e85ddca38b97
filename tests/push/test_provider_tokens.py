"""One provider token for all: between the tasks of a process, between processes, over restarts."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from ringback.clock import ManualClock
from ringback.errors import StoreUnavailable
from ringback.push.credentials import ApnsTokenKey
from ringback.push.provider_tokens import PAUSE_MS, ApnsTokens, ProviderTokens, Refusal, Shown, Unavailable
from ringback.push.queries_provider_tokens import provider_token
from ringback.store import PostgresStore, Store, Tx
from ringback.testing import ApnsKey
from tests.push.at_providers import token_key, tokens

HOUR_MS = 3_600_000
SHARE = 0.75
MINUTE = 60


class Maker:
    """Makes numbered values, and counts how often it was asked."""

    def __init__(self, clock: ManualClock) -> None:
        self.made = 0
        self.trouble: Exception | None = None
        self.gate: asyncio.Event | None = None
        self._clock = clock

    async def __call__(self) -> Shown:
        self.made += 1
        number = self.made
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        now = self._clock.now_ms()
        return Shown(f"value {number} of {id(self)}", now, now + HOUR_MS)


@pytest.fixture
def key(tmp_path: Path) -> ApnsTokenKey:
    """A key of Apple's."""
    return token_key(ApnsKey(tmp_path))


@pytest.fixture
async def kept(store: Store, clock: ManualClock) -> AsyncIterator[ProviderTokens]:
    """Those of one process."""
    kept = tokens(store, clock)
    yield kept
    await kept.close()


async def test_made_once_however_many_ask(kept: ProviderTokens, clock: ManualClock) -> None:
    make = Maker(clock)
    found = await asyncio.gather(*(kept.get("k", make, share=SHARE) for _ in range(100)))
    assert len({shown.value for shown in found}) == make.made == 1


async def test_whoever_asked_first_may_go_away(kept: ProviderTokens, clock: ManualClock) -> None:
    make = Maker(clock)
    make.gate = asyncio.Event()
    first, second = (asyncio.create_task(kept.get("k", make, share=SHARE)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    make.gate.set()
    assert (await second).value
    assert make.made == 1


async def test_a_restart_makes_no_new_one(store: Store, clock: ManualClock) -> None:
    make = Maker(clock)
    before = await tokens(store, clock).get("k", make, share=SHARE)
    clock.advance(30 * MINUTE)
    assert await tokens(store, clock).get("k", make, share=SHARE) == before
    assert make.made == 1


async def test_renewed_after_three_quarters_and_the_old_one_shown_meanwhile(
    kept: ProviderTokens, clock: ManualClock
) -> None:
    make = Maker(clock)
    first = await kept.get("k", make, share=SHARE)
    clock.advance(41 * MINUTE)
    assert await kept.get("k", make, share=SHARE) == first
    clock.advance(8 * MINUTE)
    make.gate = asyncio.Event()
    assert await kept.get("k", make, share=SHARE) == first
    make.gate.set()
    async with asyncio.timeout(60):
        while (await kept.get("k", make, share=SHARE)) == first:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert make.made == 2


async def test_processes_do_not_renew_at_the_same_moment(store: Store, clock: ManualClock) -> None:
    make = Maker(clock)
    processes = [tokens(store, clock) for _ in range(8)]
    for process in processes:
        await process.get("k", make, share=SHARE)
    moments = {process._entries["k"].renew_at for process in processes}
    assert len(moments) > 1
    assert all(41 * MINUTE * 1000 < at - clock.now_ms() < 49 * MINUTE * 1000 for at in moments)


async def test_of_two_processes_one_wins(store: Store, clock: ManualClock) -> None:
    one, other = tokens(store, clock), tokens(store, clock)
    make = Maker(clock)
    for age in (0, 50, 50):
        clock.advance(age * MINUTE)
        make.gate = asyncio.Event()
        asked = make.made
        both = [asyncio.create_task(process.get("k", make, share=SHARE)) for process in (one, other)]
        async with asyncio.timeout(60):
            while make.made < asked + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        make.gate.set()
        await asyncio.gather(*both)
        async with asyncio.timeout(60):
            while any(process._entries["k"].task for process in (one, other)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        first, second = [await process.get("k", make, share=SHARE) for process in (one, other)]
        assert first == second
        assert first.issued_at == clock.now_ms()


async def test_renewed_because_the_provider_says_so(store: Store, clock: ManualClock) -> None:
    one, other = tokens(store, clock), tokens(store, clock)
    make = Maker(clock)
    old = await one.get("k", make, share=SHARE)
    assert await other.get("k", make, share=SHARE) == old
    clock.advance(25 * MINUTE)
    options: dict[str, Any] = {"share": SHARE, "refused": old, "least_ms": 20 * MINUTE * 1000}
    new = await asyncio.gather(*(one.renew("k", make, **options) for _ in range(20)))
    assert len({shown.value for shown in new if shown is not None}) == 1
    assert make.made == 2
    assert await other.renew("k", make, **options) == new[0]
    assert make.made == 2


async def test_a_young_one_is_not_renewed(kept: ProviderTokens, clock: ManualClock) -> None:
    make = Maker(clock)
    young = await kept.get("k", make, share=SHARE)
    clock.advance(19 * MINUTE)
    assert await kept.renew("k", make, share=SHARE, refused=young, least_ms=20 * MINUTE * 1000) is None
    assert make.made == 1


async def test_a_clock_that_was_set_back(kept: ProviderTokens, clock: ManualClock) -> None:
    make = Maker(clock)
    await kept.get("k", make, share=SHARE)
    clock.advance(-60)
    await kept.get("k", make, share=SHARE)
    assert make.made == 1
    clock.advance(-600)
    assert (await kept.get("k", make, share=SHARE)).issued_at == clock.now_ms()


async def test_what_cannot_be_made_is_tried_again_after_a_pause(kept: ProviderTokens, clock: ManualClock) -> None:
    make = Maker(clock)
    for trouble in (Unavailable("away"), Refusal("invalid_grant")):
        make.trouble = trouble
        for _ in range(3):
            with pytest.raises(type(trouble)):
                await kept.get("k", make, share=SHARE)
        clock.advance(PAUSE_MS / 1000)
    assert make.made == 2
    make.trouble = None
    assert (await kept.get("k", make, share=SHARE)).value
    clock.advance(50 * MINUTE)
    make.trouble = Unavailable("away")
    for _ in range(3):
        assert (await kept.get("k", make, share=SHARE)).value.startswith("value 3")
        await asyncio.sleep(0)


async def test_a_database_that_is_away(kept: ProviderTokens, store: Store, clock: ManualClock) -> None:
    make = Maker(clock)
    await kept.get("k", make, share=SHARE)
    await store.close()
    clock.advance(50 * MINUTE)
    assert (await kept.get("k", make, share=SHARE)).value
    with pytest.raises(StoreUnavailable):
        await kept.get("another", make, share=SHARE)


async def test_it_is_sealed_in_the_database(kept: ProviderTokens, store: Store, clock: ManualClock) -> None:
    shown = await kept.get("k", Maker(clock), share=SHARE)

    async def read(tx: Tx) -> Any:
        return await tx.one(provider_token, "k")

    row = await store.read(read)
    assert shown.value.encode() not in row.value_sealed
    assert shown.value not in repr(shown)


async def test_of_another_instance_key_is_made_anew(store: Store, clock: ManualClock) -> None:
    make = Maker(clock)
    await tokens(store, clock).get("k", make, share=SHARE)
    assert (await tokens(store, clock, seed=b"x" * 32).get("k", make, share=SHARE)).value.startswith("value 2")


async def test_purged_a_day_after_they_ran_out(kept: ProviderTokens, store: Store, clock: ManualClock) -> None:
    await kept.get("k", Maker(clock), share=SHARE)
    assert await store.write(kept.purge, 10) == 0
    clock.advance(26 * HOUR_MS / 1000)
    assert await store.write(kept.purge, 10) == 1


async def test_what_apple_reads(kept: ProviderTokens, clock: ManualClock, key: ApnsTokenKey) -> None:
    apns = ApnsTokens(kept, clock)
    shown = await apns.get("credential-1", key)
    read = jwt.decode(shown.value, ECKey.import_key(key.private_key), algorithms=["ES256"])
    assert (read.header["alg"], read.header["kid"]) == ("ES256", key.key_id)
    assert read.claims == {"iss": key.team_id, "iat": clock.now_ms() // 1000}
    assert await apns.get("credential-2", key) == shown


async def test_only_who_has_the_key_has_its_name(kept: ProviderTokens) -> None:
    mine, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [kept.name_of("apns", "TEAM/KEY", one) for one in (mine, mine, theirs)]
    assert names[0] == names[1] != names[2]
    assert kept.name_of("apns", "TEAM/OTHER", mine) != names[0]


def _show(url: str, folder: str, answers: Any) -> None:
    """What a worker process does."""

    async def show() -> str:
        store = await PostgresStore.open(url)
        clock = ManualClock()
        shown = await ApnsTokens(tokens(store, clock), clock).get("c", token_key(ApnsKey(Path(folder))))
        await store.close()
        return shown.value

    answers.put(asyncio.run(show()))


@pytest.fixture
def postgres_url(cluster: Any, upgraded_postgres: str) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    name = cluster.new_database(upgraded_postgres)
    yield cluster.url(name)
    cluster.drop_database(name)


def test_two_worker_processes_share_one(postgres_url: str, tmp_path: Path, key: ApnsTokenKey) -> None:
    assert key.key_id
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    workers = [spawn.Process(target=_show, args=(postgres_url, str(tmp_path), answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    shown = {answers.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(60)
    assert len(shown) == 1
