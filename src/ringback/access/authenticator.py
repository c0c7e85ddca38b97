"""HTTP Basic against the system users (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from ringback.access.known_users import KnownUsers
from ringback.access.model import PASSWORD_PURPOSE, SystemUser
from ringback.clock import Clock
from ringback.errors import NotAuthenticated
from ringback.principal import Principal
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.access.service import AccessService
    from ringback.secrets import Vault

MAX_CREDENTIALS = 1024
_REFUSED = "The user name or the password is wrong, or the user is disabled."


class BasicAuthenticator:
    """Turns `Authorization: Basic …` into a principal.

    A user's row is kept for at most two seconds, so that a busy back end costs no query a request. What the user may do
    (enabled, apps) is read again inside each unit of work. Only a right password saves the query: a wrong one costs the
    same look-up as a name that does not exist.
    """

    def __init__(self, *, store: Store, access: AccessService, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._users = KnownUsers(store=store, access=access, clock=clock)

    async def authenticate(self, authorization: str) -> Principal:
        """Raises NotAuthenticated with one message for every reason, after the same work."""
        username, password = _credentials(authorization)
        given = self._vault.fingerprint(password, PASSWORD_PURPOSE)
        user = self._users.remembered(username)
        if not _proves(given, user):
            user = await self._users.look_up(username)
        if user is None or not _proves(given, user) or not user.enabled:
            raise NotAuthenticated(_REFUSED)
        return Principal("system_user", user.username, user.role)


def _proves(given: bytes, user: SystemUser | None) -> bool:
    expected = user.password_fingerprint if user is not None else bytes(len(given))
    return hmac.compare_digest(given, expected) and user is not None


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
