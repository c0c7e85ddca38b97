"""The provider `fcm`: pushes by Firebase Cloud Messaging, HTTP v1.

Sources: Google, "FCM HTTP v1 API" (`projects.messages.send`, `ErrorCode`), "Best practices when sending FCM messages at
scale" (pauses and quota).
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

import msgspec

from ringback.clock import Clock, Randomness
from ringback.errors import RingbackError
from ringback.http2 import Answer, NotSent, OutcomeUnknown, Request
from ringback.push.access_tokens import AccessTokens
from ringback.push.credentials import CredentialSource, FcmServiceAccount, StoredCredential
from ringback.push.fitting import PayloadRefused
from ringback.push.gate import Gate
from ringback.push.model import OutgoingPush
from ringback.push.payloads import Encryption, fcm_message
from ringback.push.pools import Connections, Owner, Place, Pools, PoolSettings
from ringback.push.provider_tokens import ProviderTokens, Refusal, Shown, Unavailable
from ringback.push.reactions import FCM_REACTIONS, Reaction, Verdict, fcm_reaction

ATTEMPT_SECONDS = 15
LONGEST_TTL_SECONDS = 2_419_200
"""Four weeks: FCM keeps nothing longer."""
_replace = msgspec.structs.replace


class FcmProvider:
    """Sends pushes to FCM at `url`; access tokens come from `token_url` and nowhere else.

    `only_checks`: FCM looks at the messages and brings them to nobody.
    """

    def __init__(
        self,
        *,
        url: str,
        token_url: str,
        credentials: CredentialSource,
        tokens: ProviderTokens,
        clock: Clock,
        randomness: Randomness,
        settings: PoolSettings | None = None,
        only_checks: bool = False,
    ) -> None:
        self._only_checks = only_checks
        self._credentials = credentials
        self._place = Place.of(url)
        self._gate = Gate(
            "fcm",
            credentials,
            clock=clock,
            randomness=randomness,
            reasons={code for _, code, _ in FCM_REACTIONS},
        )
        self._clock = clock
        self._randomness = randomness
        self._pools = Pools(settings or PoolSettings(), indexing=None, ping=False, first_limit_is_one=False)
        token_place = Place.of(token_url)
        self._endpoint = _Endpoint(self._pools, token_place)
        self._access_tokens = AccessTokens(
            tokens=tokens, endpoint=self._endpoint, url=token_url, path=token_place.path, clock=clock
        )

    async def send(self, push: OutgoingPush) -> Reaction:
        """One attempt. FCM knows no ids of ours: a second one for the same push may arrive as well."""
        stored = await self._gate.open(push)
        if isinstance(stored, Reaction):
            return stored
        account = stored.credential
        if not isinstance(account, FcmServiceAccount):
            return Reaction(Verdict.PARK, "the app has no service account")
        try:
            message = fcm_message(
                push.content,
                push.push_token,
                ttl_seconds=self._ttl_seconds(push),
                encryption=Encryption.of(push.encryption_key, self._randomness),
            )
        except PayloadRefused as error:
            return Reaction(Verdict.FAILED, error.field, meaning=str(error))
        if self._only_checks:
            message = b'{"validate_only":true,' + message[1:]
        reaction = await self._ask(push, stored, account, message)
        await self._gate.note(stored, reaction)
        return self._gate.closing_words(push, reaction)

    async def make_ready(self, app_id: str) -> None:
        """Fetches the access token of an app, where it has none that will do for a while. Raises StoreUnavailable.

        What is in the way, the first push will say. A credential that is refused is left alone.
        """
        stored = await self._credentials.load(app_id, "fcm")
        if stored is None or stored.status == "REFUSED" or not isinstance(stored.credential, FcmServiceAccount):
            return
        with contextlib.suppress(Refusal, Unavailable):
            await self._access_tokens.get(stored.id, stored.credential)

    async def close(self) -> None:
        """Closes all connections."""
        await self._endpoint.close()
        await self._pools.close()

    async def _ask(
        self, push: OutgoingPush, stored: StoredCredential, account: FcmServiceAccount, message: bytes
    ) -> Reaction:
        ends_at = asyncio.get_running_loop().time() + ATTEMPT_SECONDS
        try:
            shown = await self._access_tokens.get(stored.id, account)
            reaction = await self._send(push, stored, account, message, shown, ends_at)
            if reaction.verdict is not Verdict.NEW_PROVIDER_TOKEN:
                return reaction
            newer = await self._access_tokens.renew(stored.id, account, shown)
            if newer is not None:
                reaction = await self._send(push, stored, account, message, newer, ends_at)
        except Refusal as refusal:
            return self._unasked(Reaction(Verdict.PARK, refusal.reason, refusal.status))
        except Unavailable as error:
            after = error.retry_after_seconds
            return self._unasked(Reaction(Verdict.RETRY, error.reason, retry_after_seconds=after))
        except RingbackError as error:
            return self._unasked(Reaction(Verdict.RETRY, "no access token", meaning=error.message))
        if reaction.verdict is Verdict.NEW_PROVIDER_TOKEN:
            return _replace(reaction, verdict=Verdict.PARK)
        return reaction

    async def _send(
        self,
        push: OutgoingPush,
        stored: StoredCredential,
        account: FcmServiceAccount,
        message: bytes,
        shown: Shown,
        ends_at: float,
    ) -> Reaction:
        path = f"{self._place.path}/v1/projects/{quote(account.project_id, safe='')}/messages:send"
        shared = (
            (b"authorization", b"Bearer " + shown.value.encode()),
            (b"content-type", b"application/json"),
        )
        connections = self._pools.get(Owner(stored.app_id, stored.id), self._place)
        seconds = max(ends_at - asyncio.get_running_loop().time(), 0.001)
        try:
            answer = await connections.send(
                Request(path.encode(), (), message, shared=shared), urgent=push.urgent, most_seconds=seconds
            )
        except NotSent as error:
            reaction = Reaction(Verdict.RETRY, error.reason)
        except OutcomeUnknown as error:
            reaction = Reaction(Verdict.UNKNOWN, error.reason)
        else:
            reaction = fcm_reaction(answer.status, answer.headers, answer.body, self._clock.now_ms())
        self._gate.count("fcm", reaction)
        return reaction

    def _unasked(self, reaction: Reaction) -> Reaction:
        """Counts that FCM could not even be asked: an outage of the token endpoint is one of FCM."""
        self._gate.count("fcm", reaction)
        return reaction

    def _ttl_seconds(self, push: OutgoingPush) -> int | None:
        if push.deadline_at is None:
            return 0 if push.content.call is not None else None
        return min(max(push.deadline_at - self._clock.now_ms(), 0) // 1000, LONGEST_TTL_SECONDS)


class _Endpoint:
    """The token endpoint, reached over connections of its own."""

    def __init__(self, pools: Pools, place: Place) -> None:
        self._pools = pools
        self._place = place
        self._connections: Connections | None = None

    async def send(self, request: Request, *, urgent: bool) -> Answer:
        """The answer. Raises NotSent and OutcomeUnknown."""
        if self._connections is None:
            self._connections = self._pools.connections(self._place, self._pools.tls)
        return await self._connections.send(request, urgent=urgent)

    async def close(self) -> None:
        """Closes them."""
        if self._connections is not None:
            await self._connections.pool.close()
