"""OAuth 2 access tokens for FCM, by assertions of a service account. Kept and shared as `provider_tokens` says.

The place that gives them is the server's setting; the `token_uri` of a service account is a stranger's word.
Sources: RFC 7523 §2.1 (JWT as an authorization grant), RFC 6749 §5 (answers), RFC 7518 §3.3 (RS256).
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from ringback.clock import Clock
from ringback.http2 import Answer, NotSent, OutcomeUnknown, Request
from ringback.protocols.retry_after import retry_after_seconds
from ringback.push.credentials import FcmServiceAccount
from ringback.push.provider_tokens import Make, ProviderTokens, Refusal, Shown, Unavailable

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3_600
SHARE = 0.8
LONGEST_LIFE_SECONDS = 86_400
LEAST_MS = 60_000
"""A younger access token is not replaced because FCM refuses it."""
LONGEST = 8_192
_OK, _BAD_REQUEST, _TOO_MANY, _SERVER_ERROR = 200, 400, 429, 500


class TokenEndpoint(Protocol):
    """The way to the token endpoint: a pool of the HTTP/2 engine, with the time that a request may take."""

    async def send(self, request: Request, *, urgent: bool) -> Answer:
        """The answer. Raises NotSent and OutcomeUnknown."""
        ...


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = ASSERTION_SECONDS


class _Refused(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


class AccessTokens:
    """Gets access tokens. `url` is the audience of the assertions, `path` where they are sent to at `endpoint`."""

    def __init__(self, *, tokens: ProviderTokens, endpoint: TokenEndpoint, url: str, path: str, clock: Clock) -> None:
        self._tokens = tokens
        self._endpoint = endpoint
        self._url = url
        self._path = path.encode()
        self._clock = clock
        self._names: dict[str, str] = {}

    async def get(self, credential_id: str, account: FcmServiceAccount) -> Shown:
        """The one to show now. Raises Refusal, Unavailable and StoreUnavailable."""
        return await self._tokens.get(self._name(credential_id, account), self._maker(account), share=SHARE)

    async def renew(self, credential_id: str, account: FcmServiceAccount, refused: Shown) -> Shown | None:
        """The one after one that FCM does not take; None when that was a new one. Raises as `get` does."""
        name = self._name(credential_id, account)
        return await self._tokens.renew(name, self._maker(account), share=SHARE, refused=refused, least_ms=LEAST_MS)

    def _name(self, credential_id: str, account: FcmServiceAccount) -> str:
        if credential_id not in self._names:
            if len(self._names) >= 10_000:  # noqa: PLR2004 - never more than so many
                self._names.clear()
            owner = f"{account.client_email}/{account.private_key_id}"
            self._names[credential_id] = self._tokens.name_of("fcm", owner, account.signing_key)
        return self._names[credential_id]

    def _maker(self, account: FcmServiceAccount) -> Make:
        async def make() -> Shown:
            return await self._ask(account)

        return make

    async def _ask(self, account: FcmServiceAccount) -> Shown:
        now_ms = self._clock.now_ms()
        body = urlencode({"grant_type": GRANT, "assertion": self._assertion(account, now_ms // 1000)}).encode()
        headers = ((b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json"))
        try:
            answer = await self._endpoint.send(Request(self._path, headers, body), urgent=True)
        except (NotSent, OutcomeUnknown) as error:
            raise Unavailable(f"no access token: {error.reason}") from error
        return _read_answer(answer, now_ms)

    def _assertion(self, account: FcmServiceAccount, now_s: int) -> str:
        header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": self._url,
            "iat": now_s,
            "exp": now_s + ASSERTION_SECONDS,
        }
        return jwt.encode(header, claims, RSAKey.import_key(account.signing_key))


def _read_answer(answer: Answer, now_ms: int) -> Shown:
    if answer.status == _OK:
        try:
            granted = msgspec.json.decode(answer.body, type=_Granted)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unavailable("no access token: the answer is not what OAuth 2 says") from error
        usable = granted.access_token.isascii() and granted.access_token.isprintable()
        if not usable or not 0 < len(granted.access_token) <= LONGEST or granted.expires_in <= 0:
            raise Unavailable("no access token: the answer is not what OAuth 2 says")
        life_ms = round(min(granted.expires_in, LONGEST_LIFE_SECONDS) * 1000)
        return Shown(granted.access_token, now_ms, now_ms + life_ms)
    if _BAD_REQUEST <= answer.status < _SERVER_ERROR and answer.status != _TOO_MANY:
        raise Refusal(_why(answer), answer.status)
    after = retry_after_seconds(answer.headers.get(b"retry-after", b"").decode("latin-1"), now_ms)
    raise Unavailable(f"no access token: HTTP {answer.status}", after)


def _why(answer: Answer) -> str:
    """The refusal in the words of OAuth 2, and what Google says beside it: a wrong clock, for example."""
    try:
        refused = msgspec.json.decode(answer.body, type=_Refused)
    except (msgspec.MsgspecError, RecursionError):
        refused = _Refused()
    text = f"{refused.error or f'HTTP {answer.status}'}: {refused.error_description}".rstrip(": ")
    if "timeframe" in refused.error_description or "iat" in refused.error_description.split():
        text += " (is the clock of this server right?)"
    return "".join(letter for letter in text[:300] if letter.isprintable())
