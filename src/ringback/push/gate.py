"""Whether an app's push credential may be used, and what the provider's answers say of it.

A credential that the provider refuses is shown to it once a minute; everything else waits. What is learned is told to
the `CredentialSource`, once and not once for every push. Here the answers are counted, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from ringback.clock import Clock, Randomness
from ringback.errors import RingbackError
from ringback.push.credentials import HEALTH, CredentialKind, CredentialSource, Health, StoredCredential
from ringback.push.model import OutgoingPush
from ringback.push.reactions import OTHER_REASON, Reaction, Verdict

PROBE_MS = 50_000
"""A little less than the minute after which the queue asks again."""
JITTER = 0.25
_REMEMBERED = 10_000

T = TypeVar("T")

_log = structlog.get_logger("ringback.push")
_answers = Counter("ringback_push_answers", "Answers of push providers.", ("provider", "status", "reason"))

_SAYS: dict[Verdict, Health] = {
    Verdict.DELIVERED: "OK",
    Verdict.PARK: "REFUSED",
    Verdict.SUSPECT: "SUSPECT",
}


class Gate:
    """The credentials of one kind. `reasons`: the provider's words that are counted by name."""

    def __init__(
        self,
        kind: CredentialKind,
        source: CredentialSource,
        *,
        clock: Clock,
        randomness: Randomness,
        reasons: Iterable[str],
    ) -> None:
        self._kind = kind
        self._source = source
        self._clock = clock
        self._randomness = randomness
        self._reasons = frozenset(reasons)
        self._probed_at: dict[str, int] = {}
        self._said: dict[str, tuple[int, Health]] = {}

    async def open(self, push: OutgoingPush) -> StoredCredential | Reaction:
        """The credential, or why there is nothing to try."""
        try:
            stored = await self._source.load(push.app_id, self._kind)
        except RingbackError as error:
            return Reaction(Verdict.RETRY, "the push credential cannot be read", meaning=error.message)
        if stored is None:
            return Reaction(Verdict.PARK, f"the app has no push credential of kind {self._kind}")
        now = self._clock.now_ms()
        if push.deadline_at is not None and push.deadline_at <= now:
            return Reaction(Verdict.FAILED, "too late", meaning="the push was worth nothing any more")
        if stored.not_after is not None and stored.not_after <= now:
            reaction = Reaction(Verdict.PARK, "expired", meaning="the certificate of the app has expired")
            await self.note(stored, reaction)
            return reaction
        if stored.status == "REFUSED":
            probed_at = self._probed_at.get(stored.id)
            if probed_at is not None and 0 <= now - probed_at < PROBE_MS:
                reason = stored.status_reason or "refused"
                return Reaction(Verdict.PARK, reason, meaning="the provider refuses the push credential")
            _remember(self._probed_at, stored.id, now)
        return stored

    async def note(self, stored: StoredCredential, reaction: Reaction, says: Health | None = None) -> None:
        """Tells what an answer says of the credential, where it is news. `says`: instead of what the verdict says."""
        says = says or _SAYS.get(reaction.verdict)
        if says is None or (stored.status, says) not in HEALTH or (says == "OK" and stored.status == "SUSPECT"):
            return  # no news; and one that is suspect stays so until somebody has looked
        if self._said.get(stored.id) == (stored.version, says):
            return
        _remember(self._said, stored.id, (stored.version, says))
        if says == "REFUSED":
            _remember(self._probed_at, stored.id, self._clock.now_ms())
        log = _log.info if says == "OK" else _log.warning
        log("push credential", app=stored.app_id, kind=self._kind, status=says, reason=reaction.sentence)
        try:
            await self._source.report(stored, says, reaction.sentence)
        except RingbackError as error:
            self._said.pop(stored.id, None)
            _log.warning("push credential not marked", app=stored.app_id, kind=self._kind, reason=error.message)

    def count(self, provider: str, reaction: Reaction) -> None:
        """Counts an answer, or that there was none."""
        if reaction.verdict is Verdict.DELIVERED:
            reason = ""
        else:
            reason = reaction.reason if reaction.reason in self._reasons else OTHER_REASON
        status = str(reaction.status) if reaction.status is not None else reaction.verdict.lower()
        _answers.labels(provider, status, reason).inc()

    def closing_words(self, push: OutgoingPush, reaction: Reaction) -> Reaction:
        """The reaction as the caller gets it. What a provider refuses for the push itself is most likely our mistake.

        Another attempt comes up to a quarter later than asked for, so that those who were told the same time do not
        come back together.
        """
        if reaction.verdict is Verdict.FAILED and reaction.status is not None:
            _log.error(
                "push refused", app=push.app_id, kind=push.kind, status=reaction.status, reason=reaction.sentence
            )
        if reaction.retry_after_seconds is None:
            return reaction
        share = int.from_bytes(self._randomness.bytes(2), "big") / 65_535
        return msgspec.structs.replace(
            reaction, retry_after_seconds=reaction.retry_after_seconds * (1 + JITTER * share)
        )


def _remember(known: dict[str, T], name: str, value: T) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[name] = value
