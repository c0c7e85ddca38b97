"""Who sends a SIP request: a subscriber that answers to a digest (RFC 3261 §22, RFC 8760)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.calls.needs_bindings import Digests
    from ringback.directory import SubscriberCredential
    from ringback.sip import IncomingRequest

MOST_ANSWERS = 8
"""Authorization fields of one request that are looked at: those of proxies on the way come along."""


class SipProof:
    """Asks for it. `realm`: empty = the domain of the subscriber."""

    def __init__(self, *, digests: Digests, realm: str) -> None:
        self._digests = digests
        self._realm = realm

    async def prove(self, incoming: IncomingRequest, domain: str) -> SubscriberCredential | None:
        """Which subscriber of the domain has sent it; None when it was answered: 401, or 403 after too many guesses.

        Raises StoreUnavailable.
        """
        request, address = incoming.request, incoming.source.host
        realm = self._realm or domain
        answer = _answer_for(realm, request.headers.lines("Authorization"))
        if answer is None:
            _challenge(incoming, self._digests.challenges(realm, address))
            return None
        verdict = await self._digests.check(
            answer, method=request.method, uri=request.uri, realm=realm, address=address, domain=domain
        )
        if verdict.outcome == "exhausted":
            incoming.respond(403, "Too Many Wrong Passwords")
            return None
        if verdict.credential is None:
            _challenge(incoming, verdict.challenges)
        return verdict.credential


def _answer_for(realm: str, values: list[str]) -> str | None:
    quoted = f'"{realm}"'.lower()
    return next((value for value in values[:MOST_ANSWERS] if quoted in value.lower()), None)


def _challenge(incoming: IncomingRequest, challenges: tuple[str, ...]) -> None:
    incoming.respond(401, headers=[("WWW-Authenticate", value) for value in challenges])
