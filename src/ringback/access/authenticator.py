"""HTTP Basic against the system users (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from ringback.access.model import PASSWORD_PURPOSE, SystemUser
from ringback.clock import Clock
from ringback.errors import NotAuthenticated
from ringback.principal import Principal
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.access.service import AccessService
    from ringback.secrets import Vault

MAX_CREDENTIALS = 1024
CACHE_MS = 1_500
CACHE_ENTRIES = 1_000
_REFUSED = "The user name or the password is wrong, or the user is disabled."


class BasicAuthenticator:
    """Turns `Authorization: Basic …` into a principal.

    A user's row is kept for at most two seconds, so that a busy back end costs no query a request; what the user may
    do (enabled, apps) is read again inside each unit of work.
    """

    def __init__(self, *, store: Store, access: AccessService, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._vault = vault
        self._clock = clock
        self._users: dict[str, tuple[int, SystemUser]] = {}

    async def authenticate(self, authorization: str) -> Principal:
        """Raises NotAuthenticated with one message for every reason, after the same work."""
        username, password = _credentials(authorization)
        given = self._vault.fingerprint(password, PASSWORD_PURPOSE)
        user = await self._user(username)
        expected = user.password_fingerprint if user else bytes(len(given))
        if not hmac.compare_digest(given, expected) or user is None or not user.enabled:
            raise NotAuthenticated(_REFUSED)
        return Principal("system_user", user.username, user.role)

    async def _user(self, username: str) -> SystemUser | None:
        now = self._clock.now_ms()
        cached = self._users.get(username)
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        user = await self._store.read(self._access.user, username)
        if user is None:
            self._users.pop(username, None)
            return None
        if len(self._users) >= CACHE_ENTRIES:
            self._users.clear()
        self._users[username] = (now, user)
        return user


def _credentials(authorization: str) -> tuple[str, bytes]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > MAX_CREDENTIALS:
        raise NotAuthenticated
    try:
        username, separator, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        name = username.decode()
    except (binascii.Error, ValueError) as error:
        raise NotAuthenticated(_REFUSED, cause=error) from error
    if not separator or not name or "\0" in name:
        raise NotAuthenticated(_REFUSED)
    return name, password
