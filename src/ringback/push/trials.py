"""Whether a provider takes a push credential: found out by a push that can reach nobody."""

from __future__ import annotations

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.push.content import Content
from ringback.push.credentials import (
    ApnsCertificate,
    CredentialKind,
    Health,
    StoredCredential,
    TrialAnswer,
)
from ringback.push.makers import ProviderMakers
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Verdict

NOBODY = {"apns": "bad0" + 60 * "0", "fcm": "unregistered-ringback-trial"}
"""Push tokens that no phone has: APNs answers BadDeviceToken, FCM INVALID_ARGUMENT."""
_SAYS: dict[Verdict, Health | None] = {
    Verdict.DELIVERED: "OK",
    Verdict.DELETE_PUSH_TOKEN: "OK",
    Verdict.OTHER_ENVIRONMENT: "OK",
    Verdict.SUSPECT: "SUSPECT",
    Verdict.PARK: "REFUSED",
    Verdict.NEW_PROVIDER_TOKEN: "REFUSED",
}


class CredentialTrials:
    """Asks, each time with a provider of its own: nothing that is under way is disturbed."""

    def __init__(self, *, clock: Clock, randomness: Randomness, makers: ProviderMakers) -> None:
        self._clock = clock
        self._randomness = randomness
        self._makers = makers

    async def try_out(self, stored: StoredCredential) -> TrialAnswer:
        """What the provider says of a credential, on connections of its own, also of one that is REFUSED."""
        source = _Only(msgspec.structs.replace(stored, status="OK"))
        provider = self._makers.apns(source) if stored.kind == "apns" else self._makers.fcm(source, only_checks=True)
        try:
            reaction = await provider.send(self._to_nobody(stored))
        finally:
            await provider.close()
        return TrialAnswer(_SAYS.get(reaction.verdict), reaction.sentence or "OK", reaction.status)

    def _to_nobody(self, stored: StoredCredential) -> OutgoingPush:
        push_id = new_id(self._clock, self._randomness)
        credential = stored.credential
        for_calls = isinstance(credential, ApnsCertificate) and credential.bundle_id not in credential.topics
        return OutgoingPush(
            id=push_id,
            app_id=stored.app_id,
            user_id="",
            kind="apns-voip" if for_calls else stored.kind,
            push_token=NOBODY[stored.kind],
            content=Content(push_id=push_id, silent=True),
            deadline_at=self._clock.now_ms() + 60_000,
        )


class _Only:
    """A source that has one credential, and keeps to itself what it hears of it."""

    def __init__(self, stored: StoredCredential) -> None:
        self._stored = stored

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:  # noqa: ARG002
        return self._stored

    async def report(self, credential: StoredCredential, status: Health, reason: str) -> None:
        pass
