"""How people prove who they are, whatever room knows them."""

from __future__ import annotations

from typing import Protocol

from ringback.errors import NotAuthenticated
from ringback.principal import Principal


class EndUserAuthenticator(Protocol):
    """One way for a person to prove who it is in the Authorization header field."""

    @property
    def scheme(self) -> str:
        """The authentication scheme that this way answers to, in lower case (RFC 9110 §11.1)."""
        ...

    async def authenticate(self, credentials: str, address: str) -> Principal:
        """The person that `credentials`, what stands behind the scheme, prove. `address`: from where they came.

        Raises NotAuthenticated (or a kind of it, with a challenge of its own), TooManyAttempts, TooBusy.
        """
        ...


class EndUserAuthenticators:
    """All ways that there are, each with a scheme of its own."""

    def __init__(self, *ways: EndUserAuthenticator) -> None:
        self._ways = {way.scheme: way for way in ways}

    async def authenticate(self, authorization: str, address: str) -> Principal:
        """Asks the way of this scheme; raises what it raises, and NotAuthenticated when there is none."""
        scheme, _, credentials = authorization.partition(" ")
        way = self._ways.get(scheme.lower())
        if way is None:
            raise NotAuthenticated
        return await way.authenticate(credentials.strip(), address)
