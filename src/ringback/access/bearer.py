"""Access tokens of an OpenID provider in the place of a password (RFC 6750, RFC 9068).

One says who calls; what that system user may do is ours: its role and its apps, as with a password.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import structlog

from ringback.access.known_users import KnownUsers
from ringback.access.schema import Username
from ringback.clock import Clock
from ringback.errors import AccessTokenRefused, OpenIdRefused
from ringback.principal import Principal
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.access.service import AccessService
    from ringback.http import Authenticator
    from ringback.openid import OpenIdClient

_log = structlog.get_logger("ringback.access")
ALGORITHMS = ("RS256", "PS256", "ES256")
CACHE_MS = 60_000
CACHE_ENTRIES = 10_000
SCHEME = "bearer "


class BearerSettings(msgspec.Struct, frozen=True):
    """Whose access tokens are taken, for which audience, and which claim names the system user."""

    issuer: str
    audience: str
    username_claim: str = "sub"


class BearerAuthenticator:
    """Turns `Authorization: Bearer …` into a principal.

    An access token that was proved is remembered, by its hash, until it expires and at most for a minute. The user is
    looked up as with a password: disabled is disabled within two seconds, whatever it says.
    """

    def __init__(
        self, *, settings: BearerSettings, store: Store, access: AccessService, openid: OpenIdClient, clock: Clock
    ) -> None:
        self._settings = settings
        self._openid = openid
        self._clock = clock
        self._users = KnownUsers(store=store, access=access, clock=clock)
        self._proved: dict[bytes, tuple[int, int, str]] = {}

    async def authenticate(self, authorization: str) -> Principal:
        """Raises AccessTokenRefused with one message for every reason; which one it was is in the log."""
        try:
            username = await self._username(authorization[len(SCHEME) :].strip())
        except OpenIdRefused as error:
            _log.warning("access token refused", reason=error.message, cause=str(error.__cause__ or ""))
            raise AccessTokenRefused(cause=error) from error
        user = self._users.remembered(username) or await self._users.look_up(username)
        if user is None or not user.enabled:
            _log.warning("access token refused", reason="The token names no enabled system user.")
            raise AccessTokenRefused
        return Principal("system_user", user.username, user.role)

    async def _username(self, access_token: str) -> str:
        digest = hashlib.sha256(access_token.encode("utf-8", "surrogateescape")).digest()
        now = self._clock.now_ms()
        if digest in self._proved:
            since, until, username = self._proved[digest]
            if since <= now < until:
                return username
            del self._proved[digest]
        claims = await self._openid.access_token_claims(
            access_token, issuer=self._settings.issuer, audience=self._settings.audience, algorithms=ALGORITHMS
        )
        username = _checked_name(claims.get(self._settings.username_claim))
        if len(self._proved) >= CACHE_ENTRIES:
            self._proved.clear()
        self._proved[digest] = (now, min(now + CACHE_MS, int(claims["exp"] * 1_000)), username)
        return username


class Authenticators:
    """Each scheme of the Authorization header has its own; `bearer` is None where no issuer is configured."""

    def __init__(self, *, basic: Authenticator, bearer: Authenticator | None) -> None:
        self._basic = basic
        self._bearer = bearer

    async def authenticate(self, authorization: str) -> Principal:
        """Raises NotAuthenticated."""
        if self._bearer is not None and authorization[: len(SCHEME)].lower() == SCHEME:
            return await self._bearer.authenticate(authorization)
        return await self._basic.authenticate(authorization)


def _checked_name(value: object) -> str:
    try:
        return msgspec.convert(value, Username)
    except msgspec.ValidationError as error:
        raise OpenIdRefused("The access token names no user.", cause=error) from error
