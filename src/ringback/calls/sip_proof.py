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
    """Asks for it. `realm`: empty = the domain of the subscriber. `algorithms`: asked for and taken, the best first.

    baresip 1.0 and others built on its library give up when one of several challenges is not MD5, against RFC 8760
    §2.4.
    """

    def __init__(self, *, digests: Digests, realm: str, algorithms: tuple[str, ...]) -> None:
        self._digests = digests
        self._realm = realm
        self._algorithms = algorithms

    async def prove(self, incoming: IncomingRequest, domain: str) -> SubscriberCredential | None:
        """Which subscriber of the domain has sent it; None when it was dismissed: 401, or 403 after too many guesses.

        Raises StoreUnavailable.
        """
        request, address = incoming.request, incoming.source.host
        realm = self._realm or domain
        answer = _answer_for(realm, request.headers.lines("Authorization"))
        if answer is None:
            _challenge(incoming, self._digests.challenges(realm, address, algorithms=self._algorithms))
            return None
        verdict = await self._digests.check(
            answer,
            method=request.method,
            uri=request.uri,
            realm=realm,
            address=address,
            domain=domain,
            algorithms=self._algorithms,
        )
        if verdict.outcome in {"challenge", "exhausted"}:
            incoming.count("wrong_password")
        if verdict.outcome == "exhausted":
            incoming.dismiss(403, "Too Many Wrong Passwords")
            return None
        if verdict.credential is None:
            _challenge(incoming, verdict.challenges)
        return verdict.credential


def _challenge(incoming: IncomingRequest, challenges: tuple[str, ...]) -> None:
    incoming.dismiss(401, headers=[("WWW-Authenticate", value) for value in challenges])


def _answer_for(realm: str, values: list[str]) -> str | None:
    quoted = f'"{realm}"'.lower()
    return next((value for value in values[:MOST_ANSWERS] if quoted in value.lower() and _is_text(value)), None)


def _is_text(value: str) -> bool:
    """Whether a name in it can be looked up: header fields may hold bytes that are none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
