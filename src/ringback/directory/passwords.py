"""Passwords that people choose: argon2id in threads, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ringback.clock import Randomness
from ringback.errors import TooBusy

AT_A_TIME = 4
"""Each takes 19 MiB and a core for some 20 ms."""
MOST_WAITING = 32
"""Whoever comes when so many wait is sent away: the wait would be longer than a phone's patience."""
SALT_BYTES = 16
SHORTEST, LONGEST = 8, 128
_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_GENERATED = 20
_NOBODYS_SALT = bytes(SALT_BYTES)


class Passwords:
    """Hashes and checks. What takes long happens in threads of its own, since the store commits in the others.

    `check_password` has to be called within `turn`, so that a caller can look once more whether it may, when its turn
    has come.
    """

    def __init__(self, *, randomness: Randomness, hasher: PasswordHasher | None = None) -> None:
        self._randomness = randomness
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, salt_len=SALT_BYTES)
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="passwords")
        self._free = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until one of the threads is free. Raises TooBusy when too many wait already."""
        if self._waiting >= MOST_WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    async def hash_password(self, password: str) -> str:
        """The hash to store, in the encoded form that names its parameters (RFC 9106). Raises TooBusy."""
        async with self.turn():
            return await self._in_thread(_prepared(password), self._randomness.bytes(SALT_BYTES))

    async def check_password(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one of the stored hash; None costs the same and is False."""
        prepared = _prepared(password)
        if stored is None:
            await self._in_thread(prepared, _NOBODYS_SALT)
            return False
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._matches, stored, prepared)

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than hashes are made with now."""
        return self._hasher.check_needs_rehash(stored)

    def new_password(self) -> str:
        """A password that nobody chose: 20 of 57 characters, 116 bits, each drawn evenly."""
        letters: list[str] = []
        size = len(_CHARACTERS)
        while len(letters) < _GENERATED:
            letters += [_CHARACTERS[byte % size] for byte in self._randomness.bytes(32) if byte < 256 - 256 % size]
        return "".join(letters[:_GENERATED])

    async def _in_thread(self, prepared: bytes, salt: bytes) -> str:
        def work() -> str:
            return self._hasher.hash(prepared, salt=salt)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _matches(self, stored: str, prepared: bytes) -> bool:
        try:
            return self._hasher.verify(stored, prepared)
        except (Argon2Error, InvalidHashError):
            return False


def _prepared(password: str) -> bytes:
    """One spelling of a password, however a keyboard composes its letters (RFC 7617 §2.1 asks for NFC)."""
    return unicodedata.normalize("NFC", password).encode()
