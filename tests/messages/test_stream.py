"""The stream of local pushes: resumes, ends when it must, keeps alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringback.clock import ManualClock, SystemRandomness
from ringback.messages import LocalStreams, StreamLimits
from ringback.outbox import Outbox
from ringback.push import Content, LocalMailbox, LocalProvider, NewPush, Pushes
from ringback.push.queries import push_by_id
from ringback.store import Store, Tx
from tests.operations.rooms import FakePhones, phone

QUICK = StreamLimits(keep_alive_seconds=0.1, shortest_pause_seconds=0.01)


class Phone:
    """Reads one stream."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        self._frames = frames

    async def next(self, kind: bytes = b"id: ") -> bytes | None:
        """The next frame of this kind; None when the stream has ended."""
        async with asyncio.timeout(60):
            async for frame in self._frames:
                if frame.startswith(kind):
                    return frame
        return None


class Room:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
        self.store = store
        self.phones = FakePhones()
        self.pushes = Pushes(outbox=Outbox(store=store, **source), kinds={"local"}, **source)
        self.provider = LocalProvider(store=store, **source)
        self.streams = LocalStreams(
            store=store, mailbox=LocalMailbox(clock=clock), registrations=self.phones, limits=QUICK
        )

    def open(self, registration_id: str = "p1", last: str | None = None) -> Phone:
        return Phone(self.streams.open(registration_id, last))

    async def push(self, number: int, registration_id: str = "p1") -> None:
        said = Content(push_id="", user_id="alice", registration_id=registration_id, extras={"n": number})
        new = NewPush(app_id="bank", user_id="alice", registration_id=registration_id, kind="local", content=said)
        push_id = await self.store.write(self.pushes.queue, new)

        async def read(tx: Tx) -> Any:
            return await tx.one(push_by_id, push_id)

        await self.provider.send(await self.store.read(read))


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> AsyncIterator[Room]:
    """Streams over a mailbox."""
    room = Room(store, clock)
    yield room
    room.streams.close()


async def test_what_waits_and_what_comes(room: Room) -> None:
    await room.push(1)
    stream = room.open()
    first = await stream.next()
    assert first is not None
    assert b'"n":1' in first
    assert first.endswith(b"\n\n")
    reading = asyncio.create_task(stream.next())
    await asyncio.sleep(0.05)
    await room.push(9, "p2")
    await room.push(2)
    assert b'"n":2' in (await reading or b"")


async def test_resumes_after_the_last_id(room: Room) -> None:
    await room.push(1)
    await room.push(2)
    first = await room.open().next() or b""
    last = first.split(b"\n")[0].removeprefix(b"id: ").decode()
    resumed = room.open(last=last)
    assert b'"n":2' in (await resumed.next() or b"")
    assert b'"n":1' in (await room.open(last="nonsense").next() or b"")


async def test_keeps_alive(room: Room) -> None:
    assert await room.open().next(b": keep-alive") is not None


async def test_ends_when_the_registration_is_no_longer_active(room: Room) -> None:
    stream = room.open()
    await stream.next(b": keep-alive")
    room.phones.phones["p1"] = phone("p1", status="BLOCKED")
    await room.push(1)
    assert await stream.next() is None
    assert await room.open("unknown").next() is None


async def test_ends_when_the_server_stops(room: Room) -> None:
    stream = room.open()
    await stream.next(b": keep-alive")
    room.streams.close()
    assert await stream.next() is None
    assert await room.open().next() is None


async def test_the_oldest_of_too_many_ends(room: Room) -> None:
    streams = [room.open() for _ in range(5)]
    for stream in streams:
        await stream.next(b"retry")
    assert await streams[0].next() is None
    for stream in streams[1:]:
        assert await stream.next(b": keep-alive") is not None


async def test_a_push_wakes_only_the_streams_of_its_phone(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look = room.phones.registration

    async def registration(tx: Tx, registration_id: str) -> Any:
        looked.append(registration_id)
        return await look(tx, registration_id)

    monkeypatch.setattr(room.phones, "registration", registration)
    monkeypatch.setattr(room.streams, "_limits", StreamLimits(keep_alive_seconds=60, shortest_pause_seconds=0.01))
    mine, other = room.open("p1"), room.open("p2")
    reading = [asyncio.create_task(one.next()) for one in (mine, other)]
    async with asyncio.timeout(60):
        while len(looked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert sorted(looked) == ["p1", "p2"]
    await room.push(1, "p1")
    assert b'"n":1' in (await reading[0] or b"")
    await asyncio.sleep(0.1)
    assert looked.count("p2") == 1
    reading[1].cancel()
