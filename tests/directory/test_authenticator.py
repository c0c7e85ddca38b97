"""Logging in: what proves a user, what a wrong password costs whom, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from argon2 import PasswordHasher

from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.directory import PasswordAuthenticator, Passwords, Users
from ringback.errors import NotAuthenticated, TooManyAttempts
from ringback.events import Events
from ringback.http import Asked
from ringback.principal import Principal
from ringback.push import PushTokens
from ringback.secrets import Vault
from ringback.store import Query, Store, Tx

ADMIN = Principal("cli", "test")
PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
_hash = Query("hash", "Test.", "SELECT password_hash FROM users WHERE id = $1")


class CountingPasswords(Passwords):
    """The real ones, with cheap parameters, and how often argon2 was asked."""

    def __init__(self, **parameters: int) -> None:
        cost = {"time_cost": 1, "memory_cost": 8, "parallelism": 1, **parameters}
        super().__init__(randomness=SystemRandomness(), hasher=PasswordHasher(**cost))
        self.checks = 0

    async def check_password(self, stored: str | None, password: str) -> bool:
        self.checks += 1
        return await super().check_password(stored, password)


class Room:
    """The directory on a store, with an authenticator that takes three wrong passwords a minute."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
        vault = Vault(bytes(32), bytes(32), SystemRandomness())
        self.store, self.clock = store, clock
        push_tokens = PushTokens(vault=vault, events=Events(), **source)
        self.users = Users(clock=clock, audit=AuditLog(**source), push_tokens=push_tokens)
        self.passwords = CountingPasswords()
        self.authenticator = self.new_authenticator()

    def new_authenticator(self) -> PasswordAuthenticator:
        return PasswordAuthenticator(
            store=self.store,
            users=self.users,
            passwords=self.passwords,
            clock=self.clock,
            randomness=SystemRandomness(),
            attempts_per_minute=3,
        )

    async def create(self, user_id: str = "jan", password: str | None = PASSWORD) -> None:
        hashed = None if password is None else await self.passwords.hash_password(password)
        await self.store.write(self.users.create, ADMIN, user_id, None, hashed, False)

    async def set_password(self, password: str) -> None:
        hashed = await self.passwords.hash_password(password)
        await self.store.write(self.users.set_password, ADMIN, "jan", hashed)

    async def log_in(self, user_id: str = "jan", password: str = PASSWORD, address: str = HOME) -> Principal:
        encoded = base64.b64encode(f"{user_id}:{password}".encode()).decode()
        return await self.authenticator.authenticate(encoded, Asked(address))

    async def refused(self, *arguments: str, by: type[Exception] = NotAuthenticated) -> str:
        with pytest.raises(by) as refusal:
            await self.log_in(*arguments)
        return str(refusal.value)

    async def cost(self, login: Callable[[], Awaitable[Any]]) -> int:
        before = self.passwords.checks
        await login()
        return self.passwords.checks - before


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    return Room(store, clock)


async def test_only_an_enabled_user_with_its_password_is_let_in(room: Room) -> None:
    await room.create()
    await room.create("eva", None)
    assert await room.log_in() == Principal("user", "jan", "user")
    told = {
        await room.refused("jan", "wrong"),
        await room.refused("nobody", PASSWORD, "192.0.2.2"),
        await room.refused("eva", "", "192.0.2.3"),
        await room.refused("JAN", PASSWORD, "192.0.2.4"),
    }
    await room.store.write(room.users.change, ADMIN, "jan", None, True)
    told.add(await room.refused("jan", PASSWORD, "192.0.2.5"))
    assert len(told) == 1, "one message for every reason"


async def test_unknown_users_cost_as_much_as_wrong_passwords(room: Room) -> None:
    await room.create()
    await room.create("eva", None)
    for user_id, address in (("jan", "192.0.2.1"), ("nobody", "192.0.2.2"), ("eva", "192.0.2.3")):
        assert await room.cost(lambda user=user_id, at=address: room.refused(user, "wrong", at)) == 1


async def test_malformed_credentials(room: Room) -> None:
    for text in ("", "!!!", "A" * 5_000, "=", "é", *(
        base64.b64encode(one).decode() for one in (b"no colon", b":", b":x", b"\xff:x", b"a\x00b:c", b"a:b\x00")
    )):  # fmt: skip
        with pytest.raises(NotAuthenticated):
            await room.authenticator.authenticate(text, Asked(HOME))
    assert room.passwords.checks == 0


async def test_a_proven_password_is_believed_for_a_minute(room: Room) -> None:
    await room.create()
    assert [await room.cost(room.log_in) for _ in range(3)] == [1, 0, 0]
    room.clock.advance(59)
    assert await room.cost(room.log_in) == 0
    room.clock.advance(1)
    assert await room.cost(room.log_in) == 1
    room.clock.advance(-3600)
    assert await room.cost(room.log_in) == 1, "a clock that was set back makes nothing younger"


async def test_a_change_is_noticed_at_once_in_every_process(room: Room) -> None:
    await room.create()
    processes = [room.authenticator, room.new_authenticator()]

    async def in_each(login: Callable[[], Awaitable[Any]]) -> None:
        for authenticator in processes:
            room.authenticator = authenticator
            await login()

    await in_each(room.log_in)
    await room.set_password("another good one")
    await in_each(room.refused)
    await in_each(lambda: room.log_in("jan", "another good one"))
    await room.store.write(room.users.change, ADMIN, "jan", None, True)
    await in_each(lambda: room.refused("jan", "another good one"))
    await room.store.write(room.users.delete, ADMIN, "jan")
    await room.refused("jan", "another good one")


async def test_an_address_has_so_many_wrong_passwords_a_minute(room: Room) -> None:
    await room.create()
    await room.create("eva")
    for number in range(3):
        await room.refused(f"nobody-{number}", "wrong")
    assert await room.cost(lambda: room.refused("jan", PASSWORD, by=TooManyAttempts)) == 0
    await room.log_in(address=ELSEWHERE)
    room.clock.advance(60)
    await room.log_in()


async def test_a_user_has_so_many_wrong_passwords_a_minute_wherever_they_come_from(room: Room) -> None:
    await room.create()
    for name in ("jan", "nobody"):
        for number in range(3):
            await room.refused(name, "wrong", f"192.0.2.{number}")
        assert await room.cost(lambda user=name: room.refused(user, PASSWORD, ELSEWHERE, by=TooManyAttempts)) == 0
    room.clock.advance(60)
    await room.log_in(address=ELSEWHERE)


async def test_a_stranger_cannot_lock_a_user_out(room: Room) -> None:
    await room.create()
    await room.log_in()
    for number in range(3):
        await room.refused("jan", "wrong", f"192.0.2.{number + 10}")
    await room.refused("jan", "wrong", ELSEWHERE, by=TooManyAttempts)
    room.clock.advance(59.999)  # the proof is a minute old soon, the wrong ones are not
    for address in (HOME, "192.0.2.10", ELSEWHERE):
        assert (await room.log_in(address=address)).name == "jan"
    room.clock.advance(3600)
    for number in range(3):
        await room.refused("jan", "wrong", f"192.0.2.{number + 10}")
    assert (await room.log_in()).name == "jan", "the last proven password passes however old it is"
    await room.set_password("another good one")
    await room.refused()
    await room.refused(by=TooManyAttempts), "it was proven once, and is wrong now"


async def test_many_guesses_at_the_same_moment_are_counted(room: Room) -> None:
    await room.create()
    guesses = [room.log_in("jan", f"guess {number}") for number in range(30)]
    refusals = await asyncio.gather(*guesses, return_exceptions=True)
    assert {type(one) for one in refusals} == {NotAuthenticated, TooManyAttempts}
    assert room.passwords.checks <= 3 + 4, "those that had their turn at the same moment"


async def test_hashes_are_made_anew_when_the_parameters_change(room: Room) -> None:
    await room.create()

    async def stored(tx: Tx) -> str:
        found = await tx.one(_hash, "jan")
        assert found is not None
        return str(found[0])

    before = await room.store.read(stored)
    room.passwords = CountingPasswords(time_cost=2)
    room.authenticator = room.new_authenticator()
    await room.log_in()
    after = await room.store.read(stored)
    assert ("t=1" in before, "t=2" in after) == (True, True)
    await room.log_in()
    await room.log_in()
    assert await room.store.read(stored) == after
    assert room.passwords.checks == 2
