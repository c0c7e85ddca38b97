"""HTTP Basic against the directory (RFC 7617), for people."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from ringback.attempts import AttemptLimiter
from ringback.clock import Clock, Randomness
from ringback.errors import NotAuthenticated, TooManyAttempts
from ringback.principal import Principal, end_user
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.directory.model import User
    from ringback.directory.passwords import Passwords
    from ringback.directory.users import Users
    from ringback.http import Asked

MAX_CREDENTIALS = 4096
BELIEVED_MS = 60_000
REMEMBERED_USERS = 10_000
_REFUSED = "The user name or the password is wrong, or the user is disabled."


class _Proven(msgspec.Struct, frozen=True):
    """A password that was right, as a keyed hash, and what it was right for."""

    fingerprint: bytes
    password_hash: str
    at: int


class PasswordAuthenticator:
    """Turns a user's id and password into a principal.

    A password that was proven is believed for a minute without argon2id, as long as the user's row is the same: the row
    is read each time. What is remembered is a hash under a key of this process alone.

    Wrong passwords are counted for each address and for each user. Whoever is beyond the limit of one of them is not
    checked any more, for up to a minute. So that no stranger keeps a user out, the password that was proven last, since
    this process began, passes even then: it costs a stranger who does not know it nothing but the refusal.
    """

    scheme = "basic"

    def __init__(
        self,
        *,
        store: Store,
        users: Users,
        passwords: Passwords,
        clock: Clock,
        randomness: Randomness,
        attempts_per_minute: int,
    ) -> None:
        self._store = store
        self._users = users
        self._passwords = passwords
        self._clock = clock
        self._key = randomness.bytes(32)
        self._proven: OrderedDict[str, _Proven] = OrderedDict()
        self._of_addresses = AttemptLimiter(clock=clock, per_minute=attempts_per_minute)
        self._of_users = AttemptLimiter(clock=clock, per_minute=attempts_per_minute)

    async def challenges(self, asked: Asked) -> tuple[str, ...]:  # noqa: ARG002 - the same for everything
        """Value of WWW-Authenticate."""
        return (NotAuthenticated.challenge,)

    async def authenticate(self, credentials: str, asked: Asked) -> Principal:
        """Raises NotAuthenticated with one message for every reason, after the same work; TooManyAttempts, TooBusy."""
        address = asked.address
        user_id, password = _read(credentials)
        fingerprint = hmac.digest(self._key, f"{user_id}\0{password}".encode(), "sha256")
        proven = self._remembered(user_id, fingerprint)
        if proven is None:
            self._demand_attempts(user_id, address)
        user = await self._store.read(self._users.find, user_id)
        stored = None if user is None else user.password_hash
        if proven is None:
            await self._check_stranger(user_id, password, stored, address)
        elif not self._believes(proven, stored):
            await self._check_known(user_id, password, stored)
        if user is None or user.disabled or stored is None:
            raise NotAuthenticated(_REFUSED)
        if proven is None or not self._believes(proven, stored):
            self._remember(user_id, _Proven(fingerprint, stored, self._clock.now_ms()))
            await self._renew(user, password)
        return end_user(user_id)

    async def _check_stranger(self, user_id: str, password: str, stored: str | None, address: str) -> None:
        async with self._passwords.turn():
            # Once more: of many guesses that came at the same moment only a few get as far as here unnoticed.
            self._demand_attempts(user_id, address)
            if await self._passwords.check_password(stored, password):
                return
        self._of_addresses.count_failure(address)
        self._of_users.count_failure(user_id)
        raise NotAuthenticated(_REFUSED)

    async def _check_known(self, user_id: str, password: str, stored: str | None) -> None:
        async with self._passwords.turn():
            if await self._passwords.check_password(stored, password):
                return
        self._proven.pop(user_id, None)
        raise NotAuthenticated(_REFUSED)

    def _demand_attempts(self, user_id: str, address: str) -> None:
        if self._of_addresses.is_exhausted(address) or self._of_users.is_exhausted(user_id):
            raise TooManyAttempts

    def _remembered(self, user_id: str, fingerprint: bytes) -> _Proven | None:
        proven = self._proven.get(user_id)
        return proven if proven is not None and hmac.compare_digest(proven.fingerprint, fingerprint) else None

    def _believes(self, proven: _Proven, stored: str | None) -> bool:
        return proven.password_hash == stored and 0 <= self._clock.now_ms() - proven.at < BELIEVED_MS

    def _remember(self, user_id: str, proven: _Proven) -> None:
        self._proven[user_id] = proven
        self._proven.move_to_end(user_id)
        if len(self._proven) > REMEMBERED_USERS:
            self._proven.popitem(last=False)

    async def _renew(self, user: User, password: str) -> None:
        """Hashes again with the parameters of today, while the password is at hand."""
        if user.password_hash is not None and self._passwords.is_outdated(user.password_hash):
            renewed = await self._passwords.hash_password(password)
            await self._store.write(self._users.renew_hash, user.id, user.password_hash, renewed)


def _read(credentials: str) -> tuple[str, str]:
    if len(credentials) > MAX_CREDENTIALS:
        raise NotAuthenticated
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise NotAuthenticated(_REFUSED, cause=error) from error
    user_id, separator, password = decoded.partition(":")
    if not separator or not user_id or "\0" in decoded:
        raise NotAuthenticated(_REFUSED)
    return user_id, password
