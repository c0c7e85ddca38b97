"""Passwords: what is stored, what a check costs, and how many there are at a time."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest
from argon2 import PasswordHasher

from ringback.clock import SystemRandomness
from ringback.directory import Passwords
from ringback.directory.passwords import AT_A_TIME, MOST_WAITING
from ringback.errors import TooBusy

WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(randomness=SystemRandomness())


async def check(passwords: Passwords, stored: str | None, password: str) -> bool:
    async with passwords.turn():
        return await passwords.check_password(stored, password)


async def test_a_password_matches_its_own_hash_only(passwords: Passwords) -> None:
    first, second = await passwords.hash_password("open sesame"), await passwords.hash_password("open sesame")
    assert first != second, "each has a salt of its own"
    assert await check(passwords, first, "open sesame")
    for other in ("open Sesame", "open sesame ", "", "x" * 1000):
        assert not await check(passwords, first, other)
    assert not await check(passwords, None, "open sesame")
    assert not await check(passwords, "no hash at all", "open sesame")


async def test_one_spelling_of_a_password_is_as_good_as_another(passwords: Passwords) -> None:
    stored = await passwords.hash_password(unicodedata.normalize("NFC", "žluťoučký"))
    assert await check(passwords, stored, unicodedata.normalize("NFD", "žluťoučký"))


async def test_a_user_that_does_not_exist_costs_the_same_hash() -> None:
    class Counting(PasswordHasher):
        calls = 0

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            Counting.calls += 1
            return super().hash(password, salt=salt)

    passwords = Passwords(randomness=SystemRandomness(), hasher=Counting(time_cost=1, memory_cost=8, parallelism=1))
    assert not await check(passwords, None, "whatever")
    assert Counting.calls == 1


async def test_hashes_with_other_parameters_are_known_as_outdated(passwords: Passwords) -> None:
    assert passwords.is_outdated(WEAK.hash("open sesame"))
    assert not passwords.is_outdated(await passwords.hash_password("open sesame"))
    assert await check(passwords, WEAK.hash("open sesame"), "open sesame")


async def test_whoever_comes_when_too_many_wait_is_sent_away(passwords: Passwords) -> None:
    entered = asyncio.Semaphore(0)
    leave = asyncio.Event()

    async def stay() -> None:
        async with passwords.turn():
            entered.release()
            await leave.wait()

    tasks = [asyncio.create_task(stay()) for _ in range(AT_A_TIME + MOST_WAITING)]
    for _ in range(AT_A_TIME):
        await entered.acquire()
    with pytest.raises(TooBusy):
        await passwords.hash_password("open sesame")
    tasks[-1].cancel()  # one that waits goes away, so there is room again
    await asyncio.wait([tasks[-1]])
    late = asyncio.create_task(passwords.hash_password("open sesame"))
    leave.set()
    assert (await late).startswith("$argon2id$")
    assert await asyncio.gather(*tasks[:-1]) == [None] * (AT_A_TIME + MOST_WAITING - 1)


async def test_made_passwords_differ_and_use_letters_that_cannot_be_confused(passwords: Passwords) -> None:
    made = {passwords.new_password() for _ in range(200)}
    assert len(made) == 200
    assert not set("".join(made)) & set("0O1lI")
    assert {len(one) for one in made} == {20}
