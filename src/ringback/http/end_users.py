"""How people prove who they are, whatever room knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringback.errors import NotAuthenticated
from ringback.principal import Principal

BASIC = ("basic",)


class Asked(msgspec.Struct, frozen=True):
    """What somebody asked for. `target`: path and query as they were sent; `host`: without the port, in lower case.

    `address`: from where it came, as far as trusted proxies tell.
    """

    address: str
    method: str = ""
    target: str = ""
    host: str = ""


class EndUserAuthenticator(Protocol):
    """One way for a person to prove who it is in the Authorization header field."""

    @property
    def scheme(self) -> str:
        """The authentication scheme that this way answers to, in lower case (RFC 9110 §11.1)."""
        ...

    async def authenticate(self, credentials: str, asked: Asked) -> Principal:
        """The person that `credentials`, what stands behind the scheme, prove.

        Raises NotAuthenticated (or a kind of it, with challenges of its own), TooManyAttempts, TooBusy.
        """
        ...

    async def challenges(self, asked: Asked) -> Sequence[str]:
        """Values of WWW-Authenticate for somebody who sent nothing, or something for another way."""
        ...


class EndUserAuthenticators:
    """All ways that there are, each with a scheme of its own; the strongest first."""

    def __init__(self, *ways: EndUserAuthenticator) -> None:
        self._ways = {way.scheme: way for way in ways}

    async def authenticate(self, authorization: str | None, asked: Asked, schemes: Sequence[str] = BASIC) -> Principal:
        """Asks the way of this scheme, where it is one of `schemes`.

        Raises what it raises; NotAuthenticated says in `challenges` how to prove it by any of `schemes`.
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        ways = {name: way for name, way in self._ways.items() if name in schemes}
        way = ways.get(scheme.lower())
        refusal = NotAuthenticated()
        if way is not None:
            try:
                return await way.authenticate(credentials.strip(), asked)
            except NotAuthenticated as error:
                refusal = error
        offered: list[str] = []
        for other in ways.values():
            offered += refusal.challenges if refusal.challenges and other is way else await other.challenges(asked)
        refusal.challenges = tuple(offered)
        raise refusal
