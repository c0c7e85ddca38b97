"""Requests that are asked for a password: answered once, and from then on right away. Source: RFC 3261 §22.2, §22.3."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

import msgspec

from ringback.clock import Randomness, SystemRandomness
from ringback.protocols.sip import digest
from ringback.protocols.sip.message import Request, Response
from ringback.sip.model import SipAddress

_ASKS: Final = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class SipPassword(msgspec.Struct, frozen=True):
    """Who we are. The password, or for each algorithm its HA1, which is as good as it in one realm."""

    username: str
    password: str = ""
    ha1: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SipPassword({self.username!r})"


class Sender(Protocol):
    """Whoever sends a request and waits for its answer; the endpoint does."""

    async def send(self, request: Request, to: SipAddress) -> Response:
        """Raises SipTimeout and SipUnreachable."""
        ...


class Authenticator:
    """Keeps the last challenge of each side, so that the next request is answered without being asked again.

    One for each place and password; requests may be on their way at the same time.
    """

    def __init__(self, password: SipPassword, randomness: Randomness | None = None) -> None:
        self._password = password
        self._randomness = randomness or SystemRandomness()
        self._challenges: dict[str, digest.Challenge] = {}
        self._counts: Counter[str] = Counter()

    async def send(self, sender: Sender, request: Request, to: SipAddress) -> Response:
        """Sends it, and again with a raised CSeq when a password is asked for.

        The answer is the last one: a 401 or 407 when the password is not taken. Its CSeq says how far the numbers went.
        Raises SipTimeout and SipUnreachable.
        """
        asked: Counter[str] = Counter()
        number = request.cseq.number
        while True:
            response = await sender.send(self.proved(request, number), to)
            if not self.wants_proof(response, asked):
                return response
            number += 1

    def proved(self, request: Request, number: int) -> Request:
        """A copy with this number of CSeq, and an answer to each challenge that is known."""
        made = Request(request.method, request.uri, request.headers.copy(), request.body)
        made.headers.put("CSeq", f"{number} {request.method}")
        for field, challenge in self._challenges.items():
            count = self._counts[field] = self._counts[field] + 1
            made.headers.put(field, self._answer(challenge, made, count))
        return made

    def wants_proof(self, response: Response, asked: Counter[str]) -> bool:
        """Whether to ask again, with the challenge of this answer. `asked`: how often each side did, in this exchange.

        One challenge that is answered and comes back means that the password is wrong, unless it says that only the
        nonce was too old; one that was kept from an earlier exchange does not count.
        """
        fields = _ASKS.get(response.status)
        if fields is None:
            return False
        theirs, ours = fields
        challenge = self._choose(response.headers.lines(theirs))
        if challenge is None or asked[ours] > int(challenge.stale):
            return False
        asked[ours] += 1
        self._challenges[ours] = challenge
        self._counts[ours] = 0
        return True

    def _choose(self, values: list[str]) -> digest.Challenge | None:
        """The first that can be answered with what we have (RFC 8760 §2.4)."""
        for value in values:
            challenge = digest.choose_challenge([value])
            if challenge is not None and (self._password.password or challenge.algorithm.upper() in self._password.ha1):
                return challenge
        return None

    def _answer(self, challenge: digest.Challenge, request: Request, count: int) -> str:
        known = self._password.ha1.get(challenge.algorithm.upper())
        return digest.answer(
            challenge,
            request.method,
            request.uri,
            self._password.username,
            known,
            password=self._password.password or None,
            cnonce=self._randomness.bytes(8).hex(),
            nc=count,
        )
