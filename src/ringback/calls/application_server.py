"""The application server: takes the calls that a proxy cannot place, wakes the callee's phones, and gives them back.

It stands behind a SIP proxy that is registrar as well: INVITEs and NOTIFYs are taken from there and nowhere else. The
call is kept, not the session: nothing in here ever answers 200 to an INVITE.
"""

from __future__ import annotations

import asyncio
from sys import intern
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from ringback.calls.app_param import HEADER, BadAppParam, parse_app_param
from ringback.calls.invited import LONGEST_AOR, REMEMBERED_SECONDS, RETRY_AFTER, Asked
from ringback.calls.model import Outcome
from ringback.calls.recent_calls import RecentCalls
from ringback.calls.ringing import Caller, caller_of, readable
from ringback.calls.tasks import Tasks, went_wrong
from ringback.calls.waiting import WaitingCall
from ringback.protocols.sip.message import SipMalformed
from ringback.sip import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine

    from ringback.calls.needs_sip import Progress, Waking
    from ringback.protocols.sip.message import Request
    from ringback.protocols.sip.uri import SipUri
    from ringback.sip import IncomingRequest, Notification, SipAddress, SipPassword, Subscription, Subscriptions

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS, NOTIFY")
SUBSCRIPTION_SLACK_SECONDS = 10
"""A subscription outlives the ring time a little, so that it is we who end it."""
_NOT_ESCAPED = "@[]:-_.!~*'()&=+$,;?/"
"""What may stand in the user of a SIP URI as it is (RFC 3261 §25.1), and in the host."""
_IN_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK", "REFER"})


class ApplicationServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How it behaves.

    `proxies`: whose calls are taken. `proxy`: where SUBSCRIBE goes, None = where the INVITE came from. `deflect_port`:
    0 = as in the request. `goes_on_unwatched`: a call is pushed although the proxy refuses the subscription.
    """

    proxies: Container[str]
    proxy: SipAddress | None = None
    password: SipPassword | None = None
    deflect_status: int = 302
    deflect_port: int = 0
    goes_on_unwatched: bool = False
    max_calls: int = 20_000
    wake_seconds: int = 60


class ApplicationServer:
    """A `SipHandler`. One for each process that holds calls."""

    def __init__(self, *, settings: ApplicationServerSettings, waking: Waking, progress: Progress) -> None:
        self._settings = settings
        self._subscriptions: Subscriptions | None = None
        self._calls: set[WaitingCall] = set()
        self._recent = RecentCalls()
        self._tasks = Tasks()
        self._closing = False
        self.waking = waking
        self.progress = progress
        self._loop = asyncio.get_running_loop()
        self.wheel = Wheel(self._loop, went_wrong)
        self.wake_seconds = settings.wake_seconds
        self.deflect_status = settings.deflect_status
        self.goes_on_unwatched = settings.goes_on_unwatched

    def attach(self, subscriptions: Subscriptions) -> None:
        """Says how registration events are subscribed to: over the endpoint that this handler belongs to."""
        self._subscriptions = subscriptions

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._calls)

    async def close(self, seconds: float) -> None:
        """No further calls; those that wait are answered. Ending their subscriptions may take so long."""
        self._closing = True
        for call in list(self._calls):
            call.stop()
        await self._tasks.finish(seconds)
        self.wheel.close()

    # requests ---------------------------------------------------------------------------------------------------------

    def on_request(self, incoming: IncomingRequest) -> None:
        """A new request."""
        request = incoming.request
        if not self._is_proxy(incoming.source):
            incoming.count("stranger")
            incoming.dismiss(403)
        elif request.method == "NOTIFY":
            if self._subscriptions is None or not self._subscriptions.handles(incoming):
                incoming.respond(481)
        elif request.method == "INVITE":
            self._on_invite(incoming)
        elif request.method == "BYE" and incoming.hangs_up():
            return
        elif request.to_tag is not None or request.method in _IN_DIALOG:
            incoming.respond(481)
        else:
            incoming.respond(405, headers=[ALLOW])

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """An ACK to a 2xx, which nobody gets from here: left alone, as RFC 3261 says of every ACK."""

    def _is_proxy(self, source: SipAddress) -> bool:
        return source.host in self._settings.proxies

    def _on_invite(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        if request.to_tag is not None or "Replaces" in request.headers:
            incoming.respond(481)  # there are no dialogs here, so there is none to go on with or to replace
            return
        try:
            asked = self._asked(request)
        except SipMalformed as error:
            incoming.respond(error.status, error.reason)
            return
        except BadAppParam as error:
            incoming.respond(400, f"Bad {HEADER}: {error}")
            return
        if self._closing or len(self._calls) >= self._settings.max_calls:
            incoming.respond(503, headers=[RETRY_AFTER])
            self._record(asked, Outcome.OVERLOADED, 503, "the server stops" if self._closing else "too many")
            return
        keep = (asked.seconds or self.wake_seconds) + REMEMBERED_SECONDS
        recent = self._recent.of(asked.call_id, asked.callee, self.now(), keep)
        if recent.goes_round:
            incoming.respond(482)
            self._record(asked, Outcome.REFUSED, 482, "the proxy sends this call back again and again")
            return
        call = WaitingCall(self, incoming, asked, recent)
        self._calls.add(call)
        self.spawn(call.run())

    def _asked(self, request: Request) -> Asked:
        """Raises SipMalformed, BadAppParam."""
        uri = request.request_uri
        said = parse_app_param(request.headers.get(HEADER))
        if uri.scheme not in {"sip", "sips"} or not uri.user:
            raise SipMalformed("Callee Is Not user@domain", status=404 if uri.scheme != "tel" else 416)
        caller = caller_of(request, trusted=True)
        username, _, domain = uri.aor.rpartition("@")
        username, domain = said.callee or username, intern((said.domain or domain).lower())
        asked = Asked(
            call_id=readable(request.call_id),
            username=username,
            domain=domain,
            callee=f"{username}@{domain}",
            target=_with_port(uri, self._settings.deflect_port) if self._settings.deflect_port else request.uri,
            caller=caller if said.caller is None else Caller(f"tel:{said.caller}", caller.name),
            seconds=said.expiration,
            prompt=said.audio_id,
        )
        if len(asked.callee) > LONGEST_AOR:
            raise SipMalformed("Callee Is Too Long", status=414)
        return asked

    def _record(self, asked: Asked, outcome: Outcome, status: int, reason: str) -> None:
        """A call that was not taken is on record too: somebody will ask why it did not ring."""
        new = asked.new_call(WaitingCall.mode, None, 0)
        self.waking.begin(new).end(outcome, status=status, reason=reason)

    # what a waiting call needs ----------------------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def call_later(self, seconds: float, then: Callable[[], None]) -> asyncio.TimerHandle:
        """Calls it once."""
        return self._loop.call_later(seconds, then)

    async def watch(
        self, callee: str, incoming: IncomingRequest, seconds: float, on_notify: Callable[[Notification], None]
    ) -> Subscription:
        """Subscribes to the callee's registration events (RFC 3680), at the proxy."""
        assert self._subscriptions is not None
        connected = self._settings.proxy is None and incoming.local.transport != "udp"
        return await self._subscriptions.subscribe(
            event="reg",
            target=f"sip:{quote(callee, safe=_NOT_ESCAPED)}",
            to=self._settings.proxy or incoming.source,
            otherwise=incoming.listens_at if connected else None,
            expires=int(seconds) + SUBSCRIPTION_SLACK_SECONDS,
            credentials=self._settings.password,
            on_notify=on_notify,
        )

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Runs it beside everything else."""
        self._tasks.spawn(coroutine)

    def left(self, call: WaitingCall) -> None:
        """The call is over."""
        self._calls.discard(call)


def _with_port(uri: SipUri, port: int) -> str:
    return str(msgspec.structs.replace(uri, port=port))
