"""The provider `apns`: pushes to iOS apps, and `apns-voip`: calls by PushKit.

Sources: Apple, "Sending notification requests to APNs", "Establishing a token-based connection to APNs",
"Establishing a certificate-based connection to APNs".
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from typing import Literal

import msgspec

from ringback.clock import Clock, Randomness
from ringback.errors import RingbackError
from ringback.http2 import Indexing, NotSent, OutcomeUnknown, Request
from ringback.push.credentials import ApnsCertificate, ApnsTokenKey, CredentialSource, Environment, StoredCredential
from ringback.push.fitting import PayloadRefused
from ringback.push.gate import Gate
from ringback.push.model import OutgoingPush
from ringback.push.payloads import Encryption, apns_payload
from ringback.push.pools import Connections, Owner, Place, Pools, PoolSettings
from ringback.push.provider_tokens import ApnsTokens, ProviderTokens, Refusal, Shown, Unavailable
from ringback.push.reactions import APNS_REACTIONS, Reaction, Verdict, apns_reaction, apns_words

PushType = Literal["alert", "background", "voip", "liveactivity"]

INDEXING = Indexing(
    never=frozenset({b":path", b"authorization"}),
    once=frozenset({b"apns-id", b"apns-expiration", b"apns-collapse-id"}),
)
"""Apple's rule: what HPACK may remember."""
SUFFIXES: dict[PushType, str] = {
    "alert": "",
    "background": "",
    "voip": ".voip",
    "liveactivity": ".push-type.liveactivity",
}
ATTEMPT_SECONDS = 15
"""For everything that one attempt may need: a provider token, the other environment."""
_DEVICE_TOKEN = re.compile(r"[0-9a-fA-F]{1,512}", re.ASCII)
_PLAIN = re.compile(r"[!-~]{1,64}", re.ASCII)
_OTHER: dict[Environment, Environment] = {"production": "development", "development": "production"}
_ONLY_THERE = frozenset({"BadCertificateEnvironment", "BadEnvironmentKeyIdInToken"})
_PARKING = {reason: rule for (_, reason), rule in APNS_REACTIONS.items() if rule.verdict is Verdict.PARK}
_WRONG_CLOCK = "APNs calls the provider token too old though it is new: the clock of this server is wrong"
_DOUBT = "it may be that APNs does not accept the certificate of the app"
_replace = msgspec.structs.replace


class ApnsProvider:
    """Sends pushes to APNs. `urls`: of each environment; `tokens`: shared with the other providers."""

    def __init__(
        self,
        *,
        urls: dict[Environment, str],
        credentials: CredentialSource,
        tokens: ProviderTokens,
        clock: Clock,
        randomness: Randomness,
        settings: PoolSettings | None = None,
    ) -> None:
        self._places = {environment: Place.of(url) for environment, url in urls.items()}
        self._gate = Gate(
            "apns",
            credentials,
            clock=clock,
            randomness=randomness,
            reasons={reason for _, reason in APNS_REACTIONS},
        )
        self._tokens = ApnsTokens(tokens, clock)
        self._clock = clock
        self._randomness = randomness
        self._pools = Pools(settings or PoolSettings(), indexing=INDEXING, ping=True, first_limit_is_one=True)

    async def send(self, push: OutgoingPush) -> Reaction:
        """One attempt; the same push may come again, and has the same `apns-id` then.

        A push token that APNs does not know is tried in the other environment, once; `Reaction.environment` says when
        it is known there. Where that one is not reached, a firewall may be why, and it would never be: the reaction is
        OTHER_ENVIRONMENT, and the push has failed.
        """
        stored = await self._gate.open(push)
        if isinstance(stored, Reaction):
            return stored
        if not _DEVICE_TOKEN.fullmatch(push.push_token):
            return Reaction(Verdict.DELETE_PUSH_TOKEN, "BadDeviceToken", meaning="the push token is not hexadecimal")
        encryption = Encryption.of(push.encryption_key, self._randomness)
        try:
            payload = apns_payload(push.content, voip=push.kind == "apns-voip", encryption=encryption)
        except PayloadRefused as error:
            return Reaction(Verdict.FAILED, error.field, meaning=str(error))
        attempt = _Attempt(self, push, stored, payload)
        reaction = await attempt.run()
        too_many = reaction.reason == "TooManyProviderTokenUpdates"
        await self._gate.note(stored, reaction, "SUSPECT" if too_many else None)
        return self._gate.closing_words(push, reaction)

    async def close(self) -> None:
        """Closes all connections."""
        await self._pools.close()

    async def shown(self, stored: StoredCredential) -> Shown | None:
        """The provider token to show; None with a certificate."""
        if isinstance(stored.credential, ApnsTokenKey):
            return await self._tokens.get(stored.id, stored.credential)
        return None

    async def newer(self, stored: StoredCredential, refused: Shown) -> Shown | None:
        """The provider token after one that is too old; None when it is not."""
        if isinstance(stored.credential, ApnsTokenKey):
            return await self._tokens.renew(stored.id, stored.credential, refused)
        return None

    def connections(self, stored: StoredCredential, environment: Environment) -> Connections:
        """The way to APNs. Raises ssl.SSLError when the certificate cannot be used."""
        owner = Owner(stored.app_id, stored.id, environment)
        credential = stored.credential
        if not isinstance(credential, ApnsCertificate):
            return self._pools.get(owner, self._places[environment])

        def tls() -> ssl.SSLContext:
            return self._pools.tls_with(credential.certificate_pem, credential.private_key_pem)

        return self._pools.get(owner, self._places[environment], tls, one_at_first=False)

    def path(self, push: OutgoingPush, environment: Environment) -> bytes:
        """Where a push goes."""
        return f"{self._places[environment].path}/3/device/{push.push_token}".encode()

    def judge(self, status: int, headers: dict[bytes, bytes], body: bytes) -> Reaction:
        """Reads an answer, and counts it."""
        reaction = apns_reaction(status, headers, body, self._clock.now_ms())
        self._gate.count("apns", reaction)
        return reaction

    def unanswered(self, reaction: Reaction) -> Reaction:
        """Counts that there was no answer."""
        self._gate.count("apns", reaction)
        return reaction


class _Attempt:
    """One attempt at one push, with all that it needs."""

    def __init__(self, provider: ApnsProvider, push: OutgoingPush, stored: StoredCredential, payload: bytes) -> None:
        self._provider = provider
        self._push = push
        self._stored = stored
        self._payload = payload
        self._shared = shared_headers(push, stored)
        self._headers = own_headers(push)
        self._ends_at = asyncio.get_running_loop().time() + ATTEMPT_SECONDS
        self._is_reached = True

    async def run(self) -> Reaction:
        """In the environment that is on record; where APNs does not know the push token, in the other one as well."""
        only = self._stored.credential.environment if isinstance(self._stored.credential, ApnsCertificate) else None
        usual = _environment(getattr(self._stored.credential, "environment", None))
        first = usual if self._push.environment is None else _environment(self._push.environment)
        if only is not None and first != only:
            meaning = f"the push token is of the {first} environment, the certificate of {only}"
            return Reaction(Verdict.FAILED, "BadCertificateEnvironment", meaning=meaning)
        reaction = await self._ask(first)
        if reaction.reason in _ONLY_THERE and first != usual:
            # One phone's word on its environment must not stop the pushes to all the others.
            return _replace(reaction, verdict=Verdict.FAILED)
        if reaction.verdict is not Verdict.OTHER_ENVIRONMENT:
            return reaction
        if only is not None:
            return _replace(reaction, verdict=Verdict.DELETE_PUSH_TOKEN)
        return await self._ask_the_other(_OTHER[first], reaction)

    async def _ask_the_other(self, environment: Environment, unknown: Reaction) -> Reaction:
        """What follows where the environment on record said `unknown`."""
        reaction = await self._ask(environment)
        if reaction.verdict in {Verdict.OTHER_ENVIRONMENT, Verdict.PARK}:
            return _replace(unknown, verdict=Verdict.DELETE_PUSH_TOKEN)
        if not self._is_reached:
            meaning = f"{unknown.meaning}, and the other environment was not reached: {reaction.sentence}"
            return _replace(unknown, meaning=meaning)
        return _replace(reaction, environment=environment) if reaction.verdict is Verdict.DELIVERED else reaction

    async def _ask(self, environment: Environment) -> Reaction:
        try:
            shown = await self._provider.shown(self._stored)
            reaction = await self._send(environment, shown)
            if reaction.verdict is not Verdict.NEW_PROVIDER_TOKEN:
                return reaction
            newer = None if shown is None else await self._provider.newer(self._stored, shown)
            if newer is not None:
                reaction = await self._send(environment, newer)
        except Refusal as refusal:
            return Reaction(Verdict.PARK, refusal.reason, refusal.status)
        except Unavailable as error:
            return Reaction(Verdict.RETRY, error.reason, retry_after_seconds=error.retry_after_seconds)
        except RingbackError as error:
            return Reaction(Verdict.RETRY, "no provider token", meaning=error.message)
        if reaction.verdict is Verdict.NEW_PROVIDER_TOKEN:
            return _replace(reaction, verdict=Verdict.PARK, meaning=_WRONG_CLOCK)
        return reaction

    async def _send(self, environment: Environment, shown: Shown | None) -> Reaction:
        shared = self._shared
        if shown is not None:
            shared = ((b"authorization", b"bearer " + shown.value.encode()), *shared)
        path = self._provider.path(self._push, environment)
        request = Request(path, self._headers, self._payload, shared=shared)
        seconds = self._ends_at - asyncio.get_running_loop().time()
        try:
            connections = self._provider.connections(self._stored, environment)
            answer = await connections.send(request, urgent=self._push.urgent, most_seconds=max(seconds, 0.001))
        except NotSent as error:
            self._is_reached = not error.connection_failed
            doubt = error.connection_failed and isinstance(self._stored.credential, ApnsCertificate)
            return self._provider.unanswered(_unanswered(error, Verdict.RETRY, _DOUBT if doubt else ""))
        except OutcomeUnknown as error:
            return self._provider.unanswered(_unanswered(error, Verdict.UNKNOWN))
        except ssl.SSLError as error:
            meaning = "the certificate and its key cannot be used"
            return Reaction(Verdict.PARK, f"BadCertificate ({error.reason})", meaning=meaning)
        return self._provider.judge(answer.status, answer.headers, answer.body)


def shared_headers(push: OutgoingPush, stored: StoredCredential) -> tuple[tuple[bytes, bytes], ...]:
    """What is said alike of many pushes of an app."""
    credential, push_type = stored.credential, push_type_of(push)
    bundle_id = credential.bundle_id if isinstance(credential, ApnsTokenKey | ApnsCertificate) else ""
    return (
        (b"apns-topic", f"{bundle_id}{SUFFIXES[push_type]}".encode()),
        (b"apns-push-type", push_type.encode()),
        (b"apns-priority", b"5" if push.content.silent and push_type != "voip" else b"10"),
    )


def own_headers(push: OutgoingPush) -> tuple[tuple[bytes, bytes], ...]:
    """What is said of one push beside its payload."""
    content, push_type = push.content, push_type_of(push)
    headers = [(b"apns-id", push.id.encode())]
    if push.deadline_at is not None:
        headers.append((b"apns-expiration", str(max(push.deadline_at // 1000, 0)).encode()))
    elif push_type == "voip":
        headers.append((b"apns-expiration", b"0"))
    if push_type == "alert":
        # Without one of its own, its id: if it is sent twice, the phone shows it once.
        headers.append((b"apns-collapse-id", collapse_id_of(content.collapse_id or push.id)))
    elif push_type == "background" and content.collapse_id:
        headers.append((b"apns-collapse-id", collapse_id_of(content.collapse_id)))
    return tuple(headers)


def push_type_of(push: OutgoingPush) -> PushType:
    """The push type that fits the kind of push token and the content."""
    if push.kind == "apns-voip":
        return "voip"
    if push.content.live_activity is not None:
        return "liveactivity"
    return "background" if push.content.silent else "alert"


def collapse_id_of(collapse_id: str) -> bytes:
    """At most 64 bytes: itself where it may be one, else a digest of it."""
    if _PLAIN.fullmatch(collapse_id):
        return collapse_id.encode()
    return hashlib.sha256(collapse_id.encode()).hexdigest().encode()


def _environment(text: str | None) -> Environment:
    return "development" if text == "development" else "production"


def _unanswered(error: NotSent | OutcomeUnknown, verdict: Verdict, doubt: str = "") -> Reaction:
    """Nothing came back; APNs may have said why when it went away (GOAWAY)."""
    said = apns_words(error.goaway_debug)[0] if error.goaway_debug else ""
    rule = _PARKING.get(said)
    if rule is not None:
        return Reaction(rule.verdict, said, meaning=rule.meaning)
    return Reaction(verdict, said or error.reason, meaning=error.reason if said else doubt)
