"""The provider `webpush`: browsers and installed web apps, each at the push service that its browser chose.

The endpoint comes from a device, so every request goes through the egress guard, over HTTP/1.1, which every push
service speaks. Sources: RFC 8030 §5 (TTL, Urgency, Topic, answers), RFC 8291, RFC 8292.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from ringback.clock import Clock, Randomness
from ringback.egress import EgressAnswer
from ringback.errors import DestinationNotAllowed, DestinationUnreachable
from ringback.protocols.base64url import to_base64url
from ringback.protocols.powerauth.keys import generate_private_key
from ringback.protocols.web_push import (
    SALT_BYTES,
    Subscription,
    SubscriptionInvalid,
    encrypt,
    parse_subscription,
    vapid_header,
)
from ringback.push.credentials import CredentialSource, WebPushKeys
from ringback.push.fitting import PayloadRefused
from ringback.push.gate import Gate
from ringback.push.model import OutgoingPush
from ringback.push.payloads import Encryption, web_push_payload
from ringback.push.reactions import WEB_PUSH_REACTIONS, Reaction, Verdict, web_push_reaction

LONGEST_TTL_SECONDS = 2_419_200
"""Four weeks: no push service keeps anything longer."""
VAPID_SECONDS = 43_200
VAPID_RENEWED_SECONDS = 3_600
TIMEOUT_SECONDS = 15.0
ANSWER_LIMIT_BYTES = 4_096
LONGEST_TOPIC = 32
CACHED_HEADERS = 1_000
PLACES_OF_AN_APP = 50
"""Requests at a time for pushes that are not urgent, of the 200 connections that there are for all apps: endpoints are
the devices' choice, and those of one app that never answer must not use up what the others need."""
URGENT_PLACES_OF_AN_APP = 100
"""The same for urgent ones, which no others delay; both together are fewer than there are connections."""
PATIENCE_SECONDS = 4.0

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


class WayOut(Protocol):
    """The guarded way out: `ringback.egress.Egress`."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_seconds: float,
        limit_bytes: int,
        owner: str,
        urgent: bool,
    ) -> EgressAnswer:
        """One request. Raises DestinationNotAllowed and DestinationUnreachable."""
        ...


class WebPushProvider:
    """Sends pushes to push services. `timeout_seconds`: for one request; `patience_seconds`: until there is a place."""

    def __init__(
        self,
        *,
        way_out: WayOut,
        credentials: CredentialSource,
        clock: Clock,
        randomness: Randomness,
        timeout_seconds: float = TIMEOUT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._way_out = way_out
        self._gate = Gate(
            "webpush",
            credentials,
            clock=clock,
            randomness=randomness,
            reasons={f"HTTP {status}" for status in WEB_PUSH_REACTIONS},
        )
        self._clock = clock
        self._randomness = randomness
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._headers: dict[tuple[str, str], tuple[str, int]] = {}
        self._places: dict[tuple[str, bool], asyncio.Semaphore] = {}

    async def send(self, push: OutgoingPush) -> Reaction:
        """One attempt. A second one for the same push may show it twice, but for those that have a collapse id."""
        stored = await self._gate.open(push)
        if isinstance(stored, Reaction):
            return stored
        keys = stored.credential
        if not isinstance(keys, WebPushKeys):
            return Reaction(Verdict.PARK, "the app has no VAPID keys")
        try:
            subscription = parse_subscription(push.push_token)
            encryption = Encryption.of(push.encryption_key, self._randomness)
            payload = web_push_payload(push.content, encryption=encryption)
        except SubscriptionInvalid as error:
            return Reaction(Verdict.DELETE_PUSH_TOKEN, "the push token is no subscription", meaning=str(error))
        except PayloadRefused as error:
            return Reaction(Verdict.FAILED, error.field, meaning=str(error))
        headers = self._request_headers(push, stored.id, keys, subscription)
        try:
            async with self._place(push):
                reaction = await self._ask(push, subscription, payload, headers)
        except _NoPlace:
            return Reaction(Verdict.RETRY, "too many of the app's pushes wait for push services that do not answer")
        self._gate.count("webpush", reaction)
        await self._gate.note(stored, reaction)
        # Only pauses are for the gate: it complains in the log, and this push service may be anybody's.
        return self._gate.closing_words(push, reaction) if reaction.verdict is Verdict.RETRY else reaction

    @contextlib.asynccontextmanager
    async def _place(self, push: OutgoingPush) -> AsyncIterator[None]:
        """One of the app's places. Raises _NoPlace."""
        most = URGENT_PLACES_OF_AN_APP if push.urgent else PLACES_OF_AN_APP
        places = self._places.setdefault((push.app_id, push.urgent), asyncio.Semaphore(most))
        try:
            async with asyncio.timeout(self._patience_seconds):
                await places.acquire()
        except TimeoutError as error:
            raise _NoPlace from error
        try:
            yield
        finally:
            places.release()

    async def _ask(
        self, push: OutgoingPush, subscription: Subscription, payload: bytes, headers: dict[str, str]
    ) -> Reaction:
        salt = self._randomness.bytes(SALT_BYTES)
        try:
            answer = await self._way_out.request(
                "POST",
                subscription.endpoint,
                headers=headers,
                body=encrypt(payload, subscription, private_key=generate_private_key(), salt=salt),
                timeout_seconds=self._timeout_seconds,
                limit_bytes=ANSWER_LIMIT_BYTES,
                owner=push.app_id,
                urgent=push.urgent,
            )
        except DestinationNotAllowed:
            return Reaction(Verdict.FAILED, "endpoint", meaning="the server does not call this address")
        except DestinationUnreachable as error:
            return Reaction(Verdict.RETRY, error.message)
        return web_push_reaction(answer.status, answer.headers, self._clock.now_ms())

    def _request_headers(
        self, push: OutgoingPush, credential_id: str, keys: WebPushKeys, subscription: Subscription
    ) -> dict[str, str]:
        headers = {
            "Authorization": self._authorization(credential_id, keys, subscription.origin()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(self._ttl_seconds(push)),
            "Urgency": _urgency(push),
        }
        if push.content.collapse_id:
            headers["Topic"] = topic(push.content.collapse_id)
        return headers

    def _ttl_seconds(self, push: OutgoingPush) -> int:
        if push.deadline_at is None:
            return LONGEST_TTL_SECONDS
        return min(max(0, push.deadline_at - self._clock.now_ms()) // 1000, LONGEST_TTL_SECONDS)

    def _authorization(self, credential_id: str, keys: WebPushKeys, origin: str) -> str:
        """The header for one origin, signed once in eleven hours, and again with other keys."""
        now_s = self._clock.now_ms() // 1000
        key = (credential_id, origin)
        value, expires_at_s = self._headers.get(key, ("", 0))
        if VAPID_RENEWED_SECONDS < expires_at_s - now_s <= VAPID_SECONDS:
            return value
        if len(self._headers) >= CACHED_HEADERS:  # origins are strangers' words: never more than so many
            self._headers.clear()
        expires_at_s = now_s + VAPID_SECONDS
        value = vapid_header(origin, subject=keys.subject, expires_at_s=expires_at_s, private_key=keys.signing_key)
        self._headers[key] = (value, expires_at_s)
        return value


class _NoPlace(Exception):
    """All places of the app are taken by pushes that are not answered."""


def topic(collapse_id: str) -> str:
    """The Topic of a collapse id (RFC 8030 §5.4): itself where it is one, else 32 characters made from it."""
    if _TOPIC.fullmatch(collapse_id):
        return collapse_id
    return to_base64url(hashlib.sha256(collapse_id.encode()).digest())[:LONGEST_TOPIC].decode()


def _urgency(push: OutgoingPush) -> str:
    """RFC 8030 §5.3."""
    if push.urgent or push.content.call is not None:
        return "high"
    return "low" if push.content.silent else "normal"
