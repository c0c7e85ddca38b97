"""Embedded mode: Ringback is registrar and redirect server itself, for one network without NAT in between.

A phone that registers is called where it says that it is; nothing here rewrites addresses or relays anything. INVITE is
taken from a subscriber of ours that answers to a digest, or from a trusted peer. It is answered 302 with the callee's
bindings, at once or after a phone has been woken. Sources: RFC 3261 §8.3 (redirect servers), §10.3 (registrars).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ringback.calls.held import HeldCall
from ringback.calls.invited import LONGEST_AOR, REMEMBERED_SECONDS, RETRY_AFTER, Asked
from ringback.calls.model import Outcome
from ringback.calls.push_rate import PushRate
from ringback.calls.recent_calls import RecentCalls
from ringback.calls.ringing import caller_of, readable
from ringback.calls.tasks import Tasks, went_wrong
from ringback.errors import RingbackError
from ringback.protocols.sip.errors import SipMalformed
from ringback.sip import Wheel

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from ringback.calls.bindings import Bindings
    from ringback.calls.model import Reach
    from ringback.calls.model_bindings import Binding
    from ringback.calls.needs_bindings import HeldRecords, Purrs, Reads
    from ringback.calls.needs_sip import Progress
    from ringback.calls.registrar import Registrar
    from ringback.calls.sip_proof import SipProof
    from ringback.clock import Clock
    from ringback.protocols.sip.message import Request
    from ringback.sip import IncomingRequest, SipAddress
    from ringback.store import Store, Tx

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS, REGISTER")
ANSWERS = (
    "INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "BYE", "INFO", "UPDATE", "REFER", "NOTIFY", "MESSAGE", "PUBLISH",
)  # fmt: skip
"""The methods whose answers are decided here, most of them with a refusal."""
LATE_SECONDS = 10.0
"""So long after a call went through, further phones that were woken for it are noted in its record."""
MOST_LATE = 10_000
MOST_FOR_ONE_CALLEE = 100
"""Calls that subscribers may have waiting for one callee; trusted peers may have any number."""
_IN_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"})


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How it behaves. `trusted`: addresses of peers that need no digest for INVITE."""

    trusted: Container[str] = ()
    max_calls: int = 20_000
    wake_seconds: int = 60
    pushes_per_minute: int = 6


class EmbeddedServer:
    """A `SipHandler`. One for each process that holds calls."""

    def __init__(
        self,
        *,
        settings: EmbeddedSettings,
        store: Store,
        clock: Clock,
        waking: HeldRecords,
        reaching: Reads,
        bindings: Bindings,
        proof: SipProof,
        purrs: Purrs,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._store = store
        self._reaching = reaching
        self._bindings = bindings
        self._proof = proof
        self._purrs = purrs
        self._registrar: Registrar | None = None
        self._rate = PushRate(clock=clock, per_minute=settings.pushes_per_minute)
        self._recent = RecentCalls()
        self._held: dict[str, tuple[HeldCall, ...]] = {}
        self._waiting = 0
        self._late = 0
        self._tasks = Tasks()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self.wheel = Wheel(self._loop, went_wrong)
        self.waking = waking
        self.progress = progress
        self.wake_seconds = settings.wake_seconds

    def attach(self, registrar: Registrar) -> None:
        """Says who takes REGISTER; it tells `registered` of this server."""
        self._registrar = registrar

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._waiting

    async def close(self, seconds: float) -> None:
        """No further calls; those that wait are answered. REGISTERs under way may take so long to finish."""
        self._closing = True
        for call in [call for calls in self._held.values() for call in calls]:
            call.stop()
        await self._tasks.finish(seconds)
        self.wheel.close()

    # requests ---------------------------------------------------------------------------------------------------------

    def on_request(self, incoming: IncomingRequest) -> None:
        """A new request."""
        method = incoming.request.method
        if method == "INVITE":
            self._on_invite(incoming)
        elif method == "REGISTER" and self._registrar is not None:
            self._on_register(self._registrar, incoming)
        elif method == "OPTIONS":
            incoming.dismiss(200, headers=[ALLOW, ("Accept", "application/sdp"), ("Supported", "100rel")])
        elif method == "SUBSCRIBE":
            incoming.dismiss(489)
        elif method == "BYE" and incoming.hangs_up():
            return
        elif incoming.request.to_tag is not None or method in _IN_DIALOG:
            incoming.dismiss(481)
        else:
            incoming.dismiss(405, headers=[ALLOW])

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """An ACK to a 2xx, which nobody gets from here: left alone, as RFC 3261 says of every ACK."""

    def _on_register(self, registrar: Registrar, incoming: IncomingRequest) -> None:
        if self._closing:
            incoming.dismiss(503, headers=[RETRY_AFTER])
        else:
            self._tasks.spawn(registrar.take(incoming))

    def _on_invite(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        if request.to_tag is not None or "Replaces" in request.headers:
            incoming.dismiss(481)  # there are no dialogs here, so there is none to go on with or to replace
            return
        trusted = incoming.source.host in self._settings.trusted
        try:
            asked = _asked(request, trusted=trusted)
        except SipMalformed as error:
            incoming.dismiss(error.status, error.reason)
            return
        if self._closing or self._waiting >= self._settings.max_calls:
            incoming.dismiss(503, headers=[RETRY_AFTER])
            if trusted:  # nobody else leaves a record before it is known who it is
                why = "the server stops" if self._closing else "too many calls wait"
                self._record(asked, Outcome.OVERLOADED, 503, why)
        elif trusted:
            self._hold(incoming, asked)
        else:
            incoming.promptly = True
            self._tasks.spawn(self._prove(incoming, asked))

    async def _prove(self, incoming: IncomingRequest, asked: Asked) -> None:
        """Who calls has to be a subscriber of ours, under its own name."""
        try:
            uri = incoming.request.from_.sip_uri
            if uri.scheme not in {"sip", "sips"} or not uri.user:
                incoming.dismiss(403)
                return
            credential = await self._proof.prove(incoming, uri.host)
        except SipMalformed as error:
            incoming.dismiss(error.status, error.reason)
        except RingbackError:
            incoming.dismiss(503, headers=[RETRY_AFTER])
        except Exception:
            incoming.dismiss(500)
            raise
        else:
            if credential is None:
                return
            if (credential.username, credential.domain) != (uri.username, uri.host):
                incoming.count("not_yours")
                incoming.dismiss(403, "Not Your Address")
            elif self._closing:
                incoming.dismiss(503, headers=[RETRY_AFTER])
            else:
                incoming.respond(100)
                if incoming.is_over or not self._is_crowded(incoming, asked):
                    self._hold(incoming, asked)

    def _is_crowded(self, incoming: IncomingRequest, asked: Asked) -> bool:
        """Whether so many calls wait for one callee that this one was refused: no subscriber fills the server."""
        if len(self._held.get(asked.callee, ())) < MOST_FOR_ONE_CALLEE:
            return False
        incoming.respond(486)
        self._record(asked, Outcome.REFUSED, 486, "too many calls wait for this callee")
        return True

    def _hold(self, incoming: IncomingRequest, asked: Asked) -> None:
        if incoming.is_over:  # the caller gave up meanwhile
            return
        keep = self.wake_seconds + REMEMBERED_SECONDS
        recent = self._recent.of(asked.call_id, asked.callee, self.now(), keep)
        if recent.goes_round:
            incoming.respond(482)
            self._record(asked, Outcome.REFUSED, 482, "this call comes back again and again")
            return
        call = HeldCall(self, incoming, asked, recent)
        # Before the look-up: a phone that registers meanwhile must find it.
        self._held[asked.callee] = (*self._held.get(asked.callee, ()), call)
        self._waiting += 1
        self._tasks.spawn(call.run())

    def _record(self, asked: Asked, outcome: Outcome, status: int, reason: str) -> None:
        """A call that was not taken is on record too: somebody will ask why it did not ring."""
        new = asked.new_call(HeldCall.mode, None, 0)
        self.waking.begin(new).end(outcome, status=status, reason=reason)

    # the registrar tells ----------------------------------------------------------------------------------------------

    def registered(self, username: str, domain: str, fresh: Sequence[Binding]) -> None:
        """Phones of a subscriber have registered just now. Nothing is waited for."""
        for call in self._held.get(f"{username}@{domain}", ()):
            call.registered(fresh)

    # what a held call needs -------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    async def look_up(self, asked: Asked, purr: str | None) -> tuple[Reach | None, Sequence[Binding]]:
        """Whom a call reaches, and the bindings there are, in one reading unit. `purr`: only the phone of this name."""
        reach, bindings = await self._store.read(self._look_up, asked)
        if reach is not None and purr is not None:
            subscriber_id = reach.callee.subscriber_id
            named = tuple(
                one
                for one in reach.targets
                if one.sip_instance and self._purrs.of(subscriber_id, one.sip_instance, "") == purr
            )
            return msgspec.structs.replace(reach, targets=named), self.named(bindings, purr)
        return reach, bindings

    def named(self, bindings: Sequence[Binding], purr: str | None) -> Sequence[Binding]:
        """Those of the bindings that are of the phone of this name; all without one."""
        if purr is None:
            return bindings
        return [one for one in bindings if self._purrs.of(one.subscriber_id, one.instance, one.contact) == purr]

    async def _look_up(self, tx: Tx, asked: Asked) -> tuple[Reach | None, Sequence[Binding]]:
        """Unit."""
        reach = await self._reaching.read(tx, asked.username, asked.domain, asked.call_id)
        if reach is None:
            return None, ()
        return reach, await self._bindings.of(tx, reach.callee.subscriber_id)

    def may_push(self, callee: str) -> bool:
        """Whether a call to this callee may be pushed now."""
        return self._rate.take(callee)

    def left(self, call: HeldCall) -> None:
        """The call is over. One that woke several phones is kept a little: the others may come yet."""
        self._waiting -= 1
        if call.phones_pushed > 1 and not self._closing and self._late < MOST_LATE:
            self._late += 1
            self._loop.call_later(LATE_SECONDS, self._forget_late, call)
        else:
            self._forget(call)

    def _forget_late(self, call: HeldCall) -> None:
        self._late -= 1
        self._forget(call)

    def _forget(self, call: HeldCall) -> None:
        others = tuple(one for one in self._held.get(call.callee, ()) if one is not call)
        if others:
            self._held[call.callee] = others
        else:
            self._held.pop(call.callee, None)


def _asked(request: Request, *, trusted: bool) -> Asked:
    """What an INVITE asks for. Raises SipMalformed."""
    uri = request.request_uri
    if uri.scheme not in {"sip", "sips"} or not uri.user:
        raise SipMalformed("Callee Is Not user@domain", status=416 if uri.scheme == "tel" else 404)
    asked = Asked(
        call_id=readable(request.call_id),
        username=uri.username,
        domain=uri.host,
        callee=f"{uri.username}@{uri.host}",
        target=request.uri,
        caller=caller_of(request, trusted=trusted),
    )
    if len(asked.callee) > LONGEST_AOR:
        raise SipMalformed("Callee Is Too Long", status=414)
    return asked
