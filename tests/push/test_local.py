"""The local provider: each push once, in order, and what becomes of the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import msgspec
import pytest

from ringback.clock import ManualClock, SystemRandomness
from ringback.events import Events
from ringback.outbox import Outbox, OutboxLimits
from ringback.push import (
    Content,
    LocalMailbox,
    LocalProvider,
    LocalPush,
    NewPush,
    Push,
    PushChannel,
    Pushes,
    PushTokens,
)
from ringback.push.queries import push_by_id
from ringback.secrets import Vault
from ringback.store import Store, Tx


class Room:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        source = {"clock": clock, "randomness": SystemRandomness()}
        self.outbox = Outbox(store=store, limits=OutboxLimits(poll_seconds=0.02), **source)  # type: ignore[arg-type]
        self.pushes = Pushes(outbox=self.outbox, kinds={"local", "broken"}, **source)  # type: ignore[arg-type]
        self.provider = LocalProvider(store=store, **source)  # type: ignore[arg-type]
        self.mailbox = LocalMailbox(clock=clock)
        vault = Vault(os.urandom(32), os.urandom(32), SystemRandomness())
        tokens = PushTokens(vault=vault, events=Events(), **source)  # type: ignore[arg-type]
        PushChannel(push_tokens=tokens, local=self.provider).plug_into(self.outbox)

    async def queue(self, kind: str = "local", registration_id: str = "p1", **content: object) -> str:
        said = Content(push_id="", user_id="alice", registration_id=registration_id, extras=content)
        new = NewPush(
            app_id="bank",
            user_id="alice",
            registration_id=registration_id,
            kind=kind,
            content=said,
            operation_id="op-1",
        )
        return await self.store.write(self.pushes.queue, new)

    async def push(self, push_id: str) -> Push:
        async def read(tx: Tx) -> Push | None:
            return await tx.one(push_by_id, push_id)

        found = await self.store.read(read)
        assert found is not None
        return found

    async def mail(self, registration_id: str = "p1", after: str = "") -> list[LocalPush]:
        return await self.store.read(self.mailbox.after, registration_id, after)

    async def status(self, push_id: str, *statuses: str) -> Push:
        async with asyncio.timeout(60):
            while (push := await self.push(push_id)).status not in statuses:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return push


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> AsyncIterator[Room]:
    """The push room with its worker running."""
    room, stop = Room(store, clock), asyncio.Event()
    task = asyncio.create_task(room.outbox.run(stop))
    yield room
    stop.set()
    await asyncio.wait_for(task, 60)


async def test_into_the_mailbox(room: Room) -> None:
    push_id = await room.queue(n=1)
    await room.status(push_id, "DELIVERED")
    (waiting,) = await room.mail()
    assert msgspec.json.decode(waiting.payload) == {
        "pushId": push_id,
        "userId": "alice",
        "title": None,
        "message": None,
        "sound": None,
        "extras": {"n": 1},
        "registrationId": "p1",
        "timestampCreated": room.clock.now_ms(),
    }
    assert await room.mail("p2") == []


async def test_no_provider(room: Room) -> None:
    push = await room.push(await room.queue("apns"))
    assert (push.status, push.reason) == ("FAILED", "no provider for apns")


async def test_given_up(room: Room) -> None:
    push = await room.status(await room.queue("broken"), "FAILED")
    assert push.reason == "no provider for broken"


async def test_the_same_push_twice_comes_once(room: Room) -> None:
    push_id = await room.queue()
    push = await room.status(push_id, "DELIVERED")
    await room.provider.send(msgspec.structs.replace(push, status="QUEUED"))
    assert len(await room.mail()) == 1


async def test_order_holds_also_when_the_clock_is_set_back(room: Room) -> None:
    seen = ""
    for number in range(5):
        push_id = await room.queue(n=number)
        await room.status(push_id, "DELIVERED")
        (new,) = await room.mail(after=seen)
        assert msgspec.json.decode(new.payload)["extras"]["n"] == number
        seen = new.id
        room.clock.advance(-0.5 if number % 2 else 0)


async def test_a_reader_misses_none_of_many_at_once(room: Room) -> None:
    queued = await asyncio.gather(*(room.queue(n=number) for number in range(60)))
    seen: list[str] = []
    last = ""
    async with asyncio.timeout(60):
        while len(seen) < len(queued):
            for one in await room.mail(after=last):
                seen.append(msgspec.json.decode(one.payload)["pushId"])
                last = one.id
            await asyncio.sleep(0)
    assert sorted(seen) == sorted(queued)


async def test_emptied_after_a_day(room: Room) -> None:
    await room.status(await room.queue(), "DELIVERED")
    room.clock.advance(86_400)
    await room.status(await room.queue(n=2), "DELIVERED")
    assert await room.store.write(room.mailbox.purge, 10) == 0
    room.clock.advance(0.001)
    assert await room.store.write(room.mailbox.purge, 10) == 1
    assert len(await room.mail()) == 1


async def test_a_push_is_forgotten_after_thirty_days(room: Room) -> None:
    old = await room.status(await room.queue(), "DELIVERED")
    room.clock.advance(30 * 86_400)
    young = await room.queue("apns")
    assert await room.store.write(room.pushes.purge, 10) == 0
    room.clock.advance(0.001)
    assert await room.store.write(room.pushes.purge, 10) == 1
    assert (await room.push(young)).status == "FAILED"
    with pytest.raises(AssertionError):
        await room.push(old.id)
