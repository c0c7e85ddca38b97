"""A double of Firebase Cloud Messaging: Google's token endpoint and the HTTP v1 API on one port.

    async with FcmDouble(folder) as fcm:
        fcm.url, fcm.token_url, fcm.ca_file, fcm.account.document       # for the server's settings
        fcm.script(push_token, [reject("UNREGISTERED"), ACCEPT])
        [push] = await fcm.wait_for(1, push_token=push_token)

Without a script, the first letters of a push token say what happens to it: see `PREFIXES`.
"""

from __future__ import annotations

import re
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from ringback.clock import Clock
from ringback.testing import fcm_rules as rules
from ringback.testing.behaviour import Behaviour, drop, go_away, reject, reset, silence, slow
from ringback.testing.certificates import Authority
from ringback.testing.double import Answer, Double
from ringback.testing.exchange import Request
from ringback.testing.google_tokens import GoogleTokens, ServiceAccount, TokenAnswer
from ringback.testing.record import Received

BAD_REQUEST = "BAD_REQUEST"
"""The reason of a scripted refusal with the other kind of details: a field is wrong, the push token is not."""

PREFIXES = {
    "unregistered-": reject("UNREGISTERED"),
    "invalid-": reject("INVALID_ARGUMENT"),
    "bad-request-": reject(BAD_REQUEST),
    "mismatch-": reject("SENDER_ID_MISMATCH"),
    "quota-": reject("QUOTA_EXCEEDED", retry_after="60"),
    "quota-silent-": reject("QUOTA_EXCEEDED"),
    "unavailable-": reject("UNAVAILABLE", retry_after="10"),
    "internal-": reject("INTERNAL"),
    "third-party-": reject("THIRD_PARTY_AUTH_ERROR"),
    "silent-": silence(),
    "slow-": slow(2),
    "reset-": reset(),
    "goaway-": go_away(b"session_timed_out"),
    "drop-": drop(),
}
"""What happens to a push token that begins so."""
TOKEN_PATH = "/token"  # noqa: S105 - a path
AUDIENCE = "https://oauth2.googleapis.com/token"
"""What Google's own client libraries write into an assertion, whatever `token_uri` they send it to."""
JSON = (("content-type", "application/json; charset=UTF-8"),)
MINUTE_MS = 60_000
OK = 200
_SEND = re.compile(r"/v1/projects/([^/]+)/messages:send")


class FcmDouble(Double):
    """FCM for one project. `quota`: messages in a minute, None = as many as come."""

    name = "fcm"
    alpn = ("h2", "http/1.1")

    def __init__(
        self,
        folder: Path,
        *,
        project_id: str = "ringback-test",
        authority: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        quota: int | None = None,
    ) -> None:
        longest_first = dict(sorted(PREFIXES.items(), key=lambda prefix: -len(prefix[0])))
        super().__init__(folder, prefixes=longest_first, authority=authority, host=host, port=port, clock=clock)
        self.project_id = project_id
        self.quota = quota
        self.token_requests: list[TokenAnswer] = []
        """What the token endpoint answered, in order; scripted answers too."""
        self._account: ServiceAccount | None = None
        self._tokens = GoogleTokens(self.clock)
        self._next_tokens: deque[Behaviour] = deque()
        self._bucket = (-1, 0)

    async def start(self) -> None:
        """Listens, and writes the service account, whose `token_uri` is this double."""
        await super().start()
        self._account = ServiceAccount(self.folder, self.project_id, self.token_url)

    @property
    def account(self) -> ServiceAccount:
        """Who may send: `account.document` is the JSON, `account.file` the same as a file. After `start`."""
        assert self._account is not None, "the double was not started"
        return self._account

    @property
    def token_url(self) -> str:
        """Where access tokens are given out."""
        return self.url + TOKEN_PATH

    def next_token(self, *behaviours: Behaviour) -> None:
        """One behaviour for each of the next requests for an access token: `reject("invalid_grant")`, `silence()`."""
        self._next_tokens.extend(behaviours)

    def forget_access_tokens(self) -> None:
        """Every access token that was given out is answered by 401 from now on."""
        self._tokens.forget()

    def requested(self, request: Request) -> None:
        """A message, or a request for an access token."""
        if request.path == TOKEN_PATH:
            self._token_requested(request)
            return
        payload = _json(request.body)
        message = payload.get("message") if isinstance(payload, dict) else None
        found = message if isinstance(message, dict) else {}
        target = next((str(found[name]) for name in rules.TARGETS_OF_ONE if found.get(name)), "")
        received = self._receive(request, push_token=target, payload=payload)
        received.topic = str(found.get("topic", ""))
        refusal = self._refusal(request, payload)
        if refusal is not None:
            self._perform(request, received, Behaviour(), lambda: refusal)
            return
        behaviour = self._script.take(received.push_token)
        self._perform(request, received, behaviour, lambda: self._answer(received, behaviour))

    def _answer(self, received: Received, behaviour: Behaviour) -> Answer:
        if behaviour.body is not None:
            headers = (("retry-after", behaviour.retry_after),) if behaviour.retry_after else ()
            return Answer(behaviour.status or OK, headers, behaviour.body, behaviour.reason)
        if behaviour.reason == BAD_REQUEST:
            return rules.bad_request("message.token", "Scripted.")
        if behaviour.reason or behaviour.status not in {0, OK}:
            code = behaviour.reason or "UNSPECIFIED_ERROR"
            return rules.fcm_error(code, status=behaviour.status, retry_after=behaviour.retry_after)
        request = received.payload if isinstance(received.payload, dict) else {}
        dry = request.get("validate_only") or request.get("validateOnly")
        received.push_id = f"projects/{self.project_id}/messages/{'fake_message_id' if dry else uuid.uuid4().hex}"
        return Answer(OK, JSON, msgspec.json.encode({"name": received.push_id}))

    def _refusal(self, request: Request, payload: object) -> Answer | None:
        """Why the request is refused, in the order: address, who is there, of which project, what, how many."""
        path = _SEND.fullmatch(request.path.partition("?")[0])  # Google's own clients ask for `?alt=json`
        if path is None or request.method != "POST":
            return rules.error(404, "NOT_FOUND", "The requested URL was not found on this server.")
        scheme, _, access_token = (request.header("authorization") or "").partition(" ")
        project_id = self._tokens.project_of(access_token.strip()) if scheme.lower() == "bearer" else None
        if project_id is None:
            return rules.error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if path[1] != project_id:
            denied = f"Permission 'cloudmessaging.messages.create' denied on resource 'projects/{path[1]}'."
            return rules.error(403, "PERMISSION_DENIED", denied)
        return self._refused_message(payload) or self._refused_by_quota()

    def _refused_message(self, payload: object) -> Answer | None:
        if payload is None:
            return rules.bad_request("", "Invalid JSON payload received.")
        try:
            message = rules.check(payload)
        except rules.BadField as wrong:
            return rules.bad_request(*wrong.args)
        if rules.size(message) > rules.LIMIT:
            return rules.fcm_error("INVALID_ARGUMENT", message="Android message is too big")
        return None

    def _refused_by_quota(self) -> Answer | None:
        if self.quota is None:
            return None
        minute, used = self._bucket
        now = self.clock.now_ms()
        used = used if minute == now // MINUTE_MS else 0
        self._bucket = (now // MINUTE_MS, used + 1)
        if used < self.quota:
            return None
        seconds = -(-(MINUTE_MS - now % MINUTE_MS) // 1000)
        return rules.project_quota(self.project_id, retry_after=str(seconds))

    def _token_requested(self, request: Request) -> None:
        behaviour = self._next_tokens.popleft() if self._next_tokens else Behaviour()
        if behaviour.reason or behaviour.status:
            said = TokenAnswer(behaviour.status or 400, {"error": behaviour.reason, "error_description": "Scripted."})
        elif request.method != "POST":
            said = TokenAnswer(405, {"error": "invalid_request"})
        else:
            audiences = (self.token_url, f"https://localhost:{self.port}{TOKEN_PATH}", AUDIENCE)
            said = self._tokens.grant(request.body, self.account, audiences)
        self.token_requests.append(said)
        body = msgspec.json.encode(said.document) if behaviour.body is None else behaviour.body
        self._perform(request, None, behaviour, lambda: Answer(said.status, JSON, body))


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
