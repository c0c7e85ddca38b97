"""Subscribers prove over HTTP who they are, with the password of their SIP (RFC 7616)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.directory import queries_sip as queries
from ringback.errors import NotAuthenticated, TooManyAttempts
from ringback.principal import Principal, end_user
from ringback.protocols.sip.digest import parse_authorization
from ringback.protocols.sip.errors import SipMalformed

if TYPE_CHECKING:
    from ringback.directory.digest import DigestGuard
    from ringback.directory.sip_credentials import SipCredentials
    from ringback.http import Asked
    from ringback.store import Store, Tx

_REFUSED = "The user name or the password of SIP is wrong, or the subscriber is disabled."
_DOMAIN = re.compile(r"[a-z0-9.-]{1,253}")
MOST_LABELS = 10


class DigestAuthenticator:
    """Turns `Authorization: Digest …` into the user that the subscriber belongs to.

    The realm says which domain the user name belongs to. Asked without one, we name `RINGBACK_SIP_REALM`; else the
    domain that the Host field lies in (`push.example.org` in `example.org`); else the only domain that there is.
    `algorithms`: what is asked for and taken, best first.
    """

    scheme = "digest"

    def __init__(
        self, *, store: Store, guard: DigestGuard, credentials: SipCredentials, algorithms: tuple[str, ...]
    ) -> None:
        self._store = store
        self._algorithms = algorithms
        self._guard = guard
        self._credentials = credentials

    async def authenticate(self, credentials: str, asked: Asked) -> Principal:
        """Raises NotAuthenticated with one message for every reason, TooManyAttempts."""
        authorization = f"Digest {credentials}"
        realm = _realm_in(authorization)
        if realm is None or (realm != self._credentials.shared_realm and not _DOMAIN.fullmatch(realm)):
            raise NotAuthenticated(_REFUSED)
        verdict = await self._guard.check(
            authorization,
            method=asked.method,
            uri=asked.target,
            realm=realm,
            address=asked.address,
            algorithms=self._algorithms,
        )
        if verdict.outcome == "exhausted":
            raise TooManyAttempts
        if verdict.outcome != "proven" or verdict.credential is None:
            raise NotAuthenticated(_REFUSED, challenges=verdict.challenges)
        return end_user(verdict.credential.user_id)

    async def challenges(self, asked: Asked) -> tuple[str, ...]:
        """Values of WWW-Authenticate; none when no realm can be named."""
        realm: str | None = self._credentials.shared_realm
        if not realm:
            realm = await self._store.read(_domain_of, asked.host)
        return self._guard.challenges(realm, asked.address, algorithms=self._algorithms) if realm else ()


async def _domain_of(tx: Tx, host: str) -> str | None:
    """Unit: the domain that a host lies in, the longest one; else the only domain."""
    labels = host.lower().split(".")[-MOST_LABELS:]
    for first in range(len(labels)):
        domain = await tx.one(queries.domain_by_name, ".".join(labels[first:]))
        if domain is not None:
            return domain.name
    found = await tx.all(queries.domains_after, "", 2)
    return found[0].name if len(found) == 1 else None


def _realm_in(authorization: str) -> str | None:
    try:
        return parse_authorization(authorization).realm or None
    except SipMalformed:
        return None
