"""What operators live through: clocks that are set, a database that was away, addresses that are taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ringback.calls import Outcome, Overdue, overdue, recording
from ringback.calls.push_rate import PushRate
from ringback.calls.showing import show_detail
from ringback.clock import ManualClock
from ringback.errors import StartRefused, StoreUnavailable
from ringback.server_sip import take_calls
from ringback.store import Store
from tests.calls.waking import Waking, process, with_apps
from tests.served import Served


@pytest.fixture
async def waking(store: Store, clock: ManualClock) -> AsyncIterator[Waking]:
    """A process whose alice has a phone."""
    made = await with_apps(process(store, clock))
    await made.subscriber()
    await made.token("fcm")
    yield made
    await made.room.calls.close()
    await made.wake_ups.close()


async def _end_overdue(waking: Waking, job: Overdue) -> int:
    return await waking.store.write(job.end, 200)


async def test_a_clock_that_is_set_forward_ends_no_call(waking: Waking) -> None:
    job = Overdue(clock=waking.clock, ending=waking.ending)
    live = await waking.call()
    live.push()
    await waking.pushed()
    assert await _end_overdue(waking, job) == 0
    waking.clock.advance(3600)
    assert await _end_overdue(waking, job) == 0
    assert await _end_overdue(waking, job) == 0
    live.end(Outcome.DEFLECTED, status=302)
    await waking.recorder.idle()
    assert (await waking.row(live.id)).outcome == "DEFLECTED"


async def test_who_holds_calls_writes_how_they_ended_before_they_are_called_lost(
    waking: Waking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "AWAY_SECONDS", 0.05)
    monkeypatch.setattr(overdue, "STEP_SECONDS", 1e9)
    job = Overdue(clock=waking.clock, ending=waking.ending)
    await waking.call()
    await waking.recorder.idle()
    assert await _end_overdue(waking, job) == 0
    waking.clock.advance(60)  # the database is away meanwhile, so the job does not run
    await asyncio.sleep(0.1)
    assert await _end_overdue(waking, job) == 0
    monkeypatch.setattr(overdue, "AWAY_SECONDS", 1e9)
    job = Overdue(clock=waking.clock, ending=waking.ending)
    assert await _end_overdue(waking, job) == 1


async def test_calls_that_were_lost_are_counted(waking: Waking) -> None:
    labels = {"mode": "embedded", "outcome": "LOST"}
    before = REGISTRY.get_sample_value("ringback_calls_total", labels) or 0
    await waking.call()
    await waking.recorder.idle()
    await waking.recorder.close()  # it hears of nothing any more, like a process that is gone
    waking.clock.advance(41)
    assert await waking.store.write(waking.ending.end_overdue, 200) == 1
    assert REGISTRY.get_sample_value("ringback_calls_total", labels) == before + 1


async def test_a_clock_that_is_set_back_shortens_no_figure(waking: Waking) -> None:
    def figure(name: str) -> float:
        return REGISTRY.get_sample_value(f"ringback_call_{name}_sum", {"mode": "embedded"}) or 0

    names = "wake_seconds", "push_to_register_seconds"
    before = [figure(name) for name in names]
    live = await waking.call()
    live.push()
    waking.clock.advance(-3600)
    live.registered()
    live.end(Outcome.DEFLECTED)
    assert [figure(name) for name in names] == before
    await waking.recorder.idle()
    row = await waking.row(live.id)
    assert row.started_at == row.pushed_at == row.registered_at == row.ended_at
    assert [one.step for one in show_detail(row, [], []).trace] == [*waking.steps(row), "ended"]


def test_a_clock_that_is_set_back_lets_calls_be_pushed() -> None:
    clock = ManualClock()
    rate = PushRate(clock=clock, per_minute=6)
    assert rate.take("bob")
    clock.advance(-3600)
    assert [rate.take("bob") for _ in range(8)] == [True] * 6 + [False] * 2
    clock.advance(10.1)
    assert rate.take("bob")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_an_address_that_is_taken_is_told_with_the_setting(
    tmp_path: Path, sqlite_url: str, kind: socket.SocketKind
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Served.start(tmp_path, sqlite_url, sip_listen=address, worker=False) as served:
            with pytest.raises(StartRefused) as refused:
                async with take_calls(served.installation, served.rooms.calls):
                    pass
    assert str(refused.value) == f"RINGBACK_SIP_LISTEN: cannot listen on {address}: Address already in use."


async def test_a_database_that_is_away_fills_no_log(
    waking: Waking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "_PAUSE_SECONDS", 0.001)
    write, failures = waking.store.write, 20

    async def away(*args: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable
        return await write(*args)

    monkeypatch.setattr(waking.store, "write", away)
    await waking.call()
    await waking.recorder.idle()
    said = [one.message for one in caplog.records if one.name == "ringback.calls.recording"]
    assert len(said) == 2, said
    assert "wait for the database" in said[0]
    assert "are written again" in said[1]
