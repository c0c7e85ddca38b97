"""Push tokens that come with SIP bindings (RFC 8599): whose they are."""

from __future__ import annotations

import pytest

from ringback.clock import ManualClock
from ringback.push import PushToken, TokenOwner
from ringback.store import Store
from tests.push.sending import Room


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    """With the app bank."""
    return await Room(store, clock).start()


async def bind(
    room: Room, push_token: str, *, user: str = "alice", subscriber: str = "s1", instance: str | None = "i1"
) -> PushToken:
    """A REGISTER with `pn-prid`."""
    owner = TokenOwner("bank", user, subscriber_id=subscriber, sip_instance=instance)
    return await room.store.write(room.tokens.register_for_binding, owner, "fcm", push_token)


async def of(room: Room, user: str) -> list[PushToken]:
    """What a user has."""
    return await room.store.read(room.tokens.of_user, user)


async def test_a_token_that_the_phone_has_told_stays_where_it_is(room: Room) -> None:
    told = await room.token("fcm")
    room.clock.advance(5)
    bound = await bind(room, told.push_token)
    [kept] = await of(room, "alice")
    assert kept == bound
    assert (kept.id, kept.registration_id, kept.subscriber_id) == (told.id, "r1", None)
    assert kept.registered_at == told.registered_at + 5000


async def test_a_token_of_somebody_else_moves(room: Room) -> None:
    told = await room.token("fcm")
    bound = await bind(room, told.push_token, user="bob")
    assert await of(room, "alice") == []
    assert [one.id for one in await of(room, "bob")] == [bound.id]
    assert (bound.subscriber_id, bound.sip_instance, bound.registration_id) == ("s1", "i1", None)


async def test_an_instance_has_one_token_of_a_kind(room: Room) -> None:
    first = await bind(room, "old")
    second = await bind(room, "new")
    assert first.id == second.id
    assert [one.push_token for one in await of(room, "alice")] == ["new"]
    await bind(room, "other", instance="i2")
    assert len(await of(room, "alice")) == 2


async def test_a_phone_that_registers_as_another_subscriber_takes_its_token_along(room: Room) -> None:
    await bind(room, "t")
    moved = await bind(room, "t", subscriber="s2")
    assert [(one.id, one.subscriber_id) for one in await of(room, "alice")] == [(moved.id, "s2")]


async def test_a_phone_without_an_instance_is_known_by_its_token(room: Room) -> None:
    first = await bind(room, "t", instance=None)
    again = await bind(room, "t", instance=None)
    assert (again.id, again.version) == (first.id, first.version + 1)
    assert len(await of(room, "alice")) == 1
