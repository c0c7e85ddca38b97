"""One call that the application server holds, from the INVITE to its end.

What happens, in the words of the seed: the caller is told (183, early media), the callee's bindings are watched
(SUBSCRIBE), the phones are pushed, one registers (NOTIFY), and the call goes back to the proxy (302). What comes after
the look-up is told from outside: `_notified`, `_timed_out`, `_cancelled`, `_ended_elsewhere`, `stop`. Each may come at
any time, and whatever ends the call first has ended it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ringback.calls.model import NewCall, Outcome
from ringback.calls.plans import NEVER, plan_of
from ringback.calls.ringing import Caller, end_by_cancel
from ringback.calls.watched_contacts import WatchedContacts
from ringback.errors import RingbackError
from ringback.protocols.sip.message import SipMalformed
from ringback.protocols.sip.reginfo import parse_reginfo
from ringback.sip import SipTimeout, SipUnreachable, SubscriptionRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.model import Reach
    from ringback.calls.needs_sip import Desk
    from ringback.calls.recent_calls import RecentCall
    from ringback.calls.wakeups import LiveCall
    from ringback.protocols.sip.reginfo import RegisteredContact
    from ringback.sip import IncomingRequest, Notification, Subscription

FIRST_NOTIFY_SECONDS = 0.6
"""How long the push waits for the first NOTIFY once the subscription stands: long enough for one that was lost on its
way to come again (RFC 3261: T1 = 0.5 s). A proxy that is well sends it within milliseconds."""
SUBSCRIBE_SECONDS = 5.0
"""A proxy that has not answered by then does not let us watch."""
BLIND_SECONDS = 5.0
"""Without a subscription: so long after the push the call goes back, whether somebody has registered or not."""
STILL_THERE_SECONDS = 55.0
"""A proxy forgets a call of which it hears nothing for longer (RFC 3261 §13.3.1.1 says: every minute)."""
RETRY_AFTER = ("Retry-After", "5")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an INVITE asks for. `target`: the Contact of a deflect. `seconds`, `prompt`: where the proxy said so."""

    call_id: str
    username: str
    domain: str
    target: str
    caller: Caller
    seconds: int | None = None
    prompt: str | None = None

    @property
    def callee(self) -> str:
        """`user@domain`."""
        return f"{self.username}@{self.domain}"


class WaitingCall:
    """One call that waits."""

    __slots__ = (
        "_asked", "_contacts", "_desk", "_final", "_first_notify", "_incoming", "_live", "_over", "_plan", "_pushed",
        "_reach", "_recent", "_started", "_stop_progress", "_subscription", "_timer", "_waits",
    )  # fmt: skip

    def __init__(self, desk: Desk, incoming: IncomingRequest, asked: Asked, recent: RecentCall) -> None:
        self._desk = desk
        self._incoming = incoming
        self._asked = asked
        self._recent = recent
        self._started = desk.now()
        self._waits = float(desk.wake_seconds)
        self._plan = NEVER
        self._contacts = WatchedContacts()
        self._reach: Reach | None = None
        self._live: LiveCall | None = None
        self._subscription: Subscription | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._first_notify: asyncio.TimerHandle | None = None
        self._stop_progress: Callable[[], None] | None = None
        self._final: tuple[Outcome, int, str] | None = None
        self._pushed = False
        self._over = False
        incoming.on_cancel = self._cancelled
        incoming.on_unheard = self._unheard

    async def run(self) -> None:
        """From the INVITE until the subscription stands, or the call is over."""
        asked, desk = self._asked, self._desk
        try:
            reach = await desk.wakeups.reach(asked.username, asked.domain)
        except RingbackError as error:
            self._open(None)
            self._answer(503, Outcome.OVERLOADED, str(error), RETRY_AFTER)
            return
        self._open(reach)
        if reach is None:
            self._answer(404, Outcome.UNKNOWN_CALLEE, "there is no such subscriber")
        if self._over or reach is None or not self._may_wait(reach):
            return
        self._wait_at_most(self._left())
        if self._wakes:
            # Else the caller has the final answer within milliseconds.
            prompt = asked.prompt or reach.callee.prompt
            self._stop_progress = desk.progress.begin(self._incoming, prompt, loop=reach.callee.prompt_loop)
            self._live_call.note("caller told", status=183)
        await self._watch()

    def stop(self) -> None:
        """The server stops. A call without a push may be taken by another server; a push is not sent twice."""
        if self._pushed:
            self._answer(480, Outcome.OVERLOADED, "the server stopped")
        else:
            self._answer(503, Outcome.OVERLOADED, "the server stopped", RETRY_AFTER)

    # who is called ----------------------------------------------------------------------------------------------------

    @property
    def _live_call(self) -> LiveCall:
        assert self._live is not None
        return self._live

    def _open(self, reach: Reach | None) -> None:
        """The call has a record from here on."""
        asked = self._asked
        self._reach = reach
        if reach is not None:
            self._waits = float(asked.seconds or reach.callee.mobile_push_expiry or self._desk.wake_seconds)
        live = self._desk.wakeups.begin(
            NewCall(
                mode="application-server",
                sip_call_id=asked.call_id,
                caller=asked.caller.uri,
                caller_name=asked.caller.name,
                callee=asked.callee,
                reach=reach,
                source=str(self._incoming.source),
                ring_seconds=self._waits,
            )
        )
        self._live = live
        if self._final is not None:
            outcome, status, reason = self._final
            live.end(outcome, status=status, reason=reason)
            return
        live.on_cancelled = self._ended_elsewhere

    def _may_wait(self, reach: Reach) -> bool:
        callee, live = reach.callee, self._live_call
        preference = callee.mobile_push_enable
        self._plan = plan_of(preference, registered_were_tried=self._recent.registered_were_tried)
        decided_by = callee.decided_by.get("mobile_push_enable", "built in")
        live.note("preference", mobile_push_enable=preference, decided_by=decided_by)
        if callee.disabled:
            self._answer(480, Outcome.NOT_ENABLED, "the subscriber is disabled")
        elif not self._wakes and not self._plan.counts_registered:
            self._wake_nobody()
        return not self._over

    @property
    def _wakes(self) -> bool:
        """Whether there is somebody to wake, and that is wanted."""
        return self._plan.wakes and self._reach is not None and bool(self._reach.targets)

    def _wake_nobody(self) -> None:
        """Only who is registered counts, and nobody is."""
        assert self._reach is not None
        callee = self._reach.callee
        if self._plan.wakes:
            self._answer(480, Outcome.NO_PHONE, "no phone can be woken")
        else:
            decided_by = callee.decided_by.get("mobile_push_enable", "built in")
            why = f"mobile_push_enable is {callee.mobile_push_enable} ({decided_by})"
            self._answer(480, Outcome.NOT_ENABLED, why)

    # watching ---------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        desk = self._desk
        try:
            async with asyncio.timeout(min(SUBSCRIBE_SECONDS, self._left())):
                subscription = await desk.watch(self._asked.callee, self._incoming, self._left(), self._notified)
        except (TimeoutError, SipTimeout, SipUnreachable):
            self._unwatched("the proxy did not answer the SUBSCRIBE")
            return
        except SubscriptionRefused as refusal:
            self._unwatched(str(refusal))
            return
        if self._over:
            desk.spawn(subscription.end())
            return
        self._subscription = subscription
        self._live_call.note("subscribed")
        if not self._contacts.told:
            self._first_notify = desk.loop.call_later(FIRST_NOTIFY_SECONDS, self._decide)

    def _unwatched(self, reason: str) -> None:
        if self._over:
            return
        self._live_call.note("subscription refused", reason=reason)
        if not self._pushed:  # it may have been, when a NOTIFY came before the answer
            if not self._wakes:
                self._wake_nobody()
            elif not self._desk.goes_on_unwatched:
                self._answer(500, Outcome.SUBSCRIPTION_REFUSED, reason)
            else:
                self._push()
        if not self._over:
            self._wait_at_most(min(BLIND_SECONDS, self._left()), self._deflect_blindly)

    def _notified(self, notification: Notification) -> None:
        """The proxy tells of the callee's contacts: perhaps before it answers the SUBSCRIBE."""
        if self._over:
            return
        newest = self._take(notification)
        if self._pushed and newest is not None:
            self._deflect("registered", newest)
            return
        active = self._contacts.active
        self._live_call.note("notified", state=notification.state, registered=active)
        if notification.state != "terminated":
            self._decide()
        elif active and self._plan.counts_registered:
            self._deflect("registered before", None)
        else:
            why = f"the proxy ended the subscription ({notification.reason or 'no reason given'})"
            self._answer(480, Outcome.SUBSCRIPTION_REFUSED, why)

    def _take(self, notification: Notification) -> RegisteredContact | None:
        if not notification.body.strip():
            self._contacts.take_nothing()
            return None
        try:
            info = parse_reginfo(notification.body)
        except SipMalformed as error:
            self._live_call.note("notified of nothing that can be read", reason=str(error)[:100])
            return None
        return self._contacts.take(info.contacts, full=info.state == "full", now=self._desk.now())

    # waking -----------------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """The first NOTIFY came, or it is late: push, unless nobody need be woken."""
        if self._over or self._pushed:
            return
        if self._first_notify is not None:
            self._first_notify.cancel()
            self._first_notify = None
        if self._contacts.active and (not self._plan.although_registered or not self._wakes):
            self._deflect("registered before", None)
        elif not self._wakes:
            self._wake_nobody()
        else:
            self._push()

    def _push(self) -> None:
        """Once for each phone, also when the proxy sends the same call again."""
        self._pushed = True
        if self._live_call.push():
            self._recent.pushed = True
        elif self._contacts.active and self._plan.counts_registered:
            self._deflect("registered before", None)
        else:
            self._wake_nobody()

    # the end ----------------------------------------------------------------------------------------------------------

    def _left(self) -> float:
        return max(0.0, self._started + self._waits - self._desk.now())

    def _wait_at_most(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if then is None and seconds > STILL_THERE_SECONDS:
            seconds, then = STILL_THERE_SECONDS, self._still_there
        self._timer = self._desk.loop.call_later(seconds, then or self._timed_out)

    def _still_there(self) -> None:
        if not self._over:
            self._incoming.respond(183)
            self._wait_at_most(self._left())

    def _timed_out(self) -> None:
        if self._over:
            return
        if self._contacts.active and self._plan.falls_back:
            self._deflect("registered before", None)
        else:
            self._answer(480, Outcome.TIMEOUT, f"no phone registered within {self._waits:g} s")

    def _deflect_blindly(self) -> None:
        self._deflect("not known", None)

    def _deflect(self, callee_is: str, contact: RegisteredContact | None) -> None:
        """The call goes back to the proxy, which rings every binding it has."""
        if self._over:
            return
        status = self._desk.deflect_status
        if not self._incoming.respond(status, headers=[("Contact", f"<{self._asked.target}>")]):
            return  # the CANCEL was faster, and has told
        live = self._live_call
        self._recent.deflects += 1
        if contact is not None:
            live.registered(instance=contact.instance, contact=contact.uri)
        live.note("deflected", status=status, callee_is=callee_is)
        self._close(Outcome.DEFLECTED, status, "")

    def _answer(self, status: int, outcome: Outcome, reason: str, *headers: tuple[str, str]) -> None:
        if not self._over and self._incoming.respond(status, headers=headers):
            self._close(outcome, status, reason)

    def _cancelled(self) -> None:
        """The caller gave up, or somebody has answered; the endpoint has answered 487 already."""
        if not self._over:
            outcome, reason = end_by_cancel(self._incoming.cancel_reason)
            self._close(outcome, 487, reason)

    def _unheard(self) -> None:
        """The caller wanted a reliable 183 and never confirmed it; the endpoint has answered already."""
        if not self._over:
            self._close(Outcome.REFUSED, 504, "the caller did not confirm the 183")

    def _ended_elsewhere(self, reason: str) -> None:
        """Somebody ended the call over HTTP, perhaps in another process."""
        if not self._over and self._incoming.respond(480):
            self._close(self._live_call.outcome or Outcome.CANCELLED, 480, reason)

    def _close(self, outcome: Outcome, status: int, reason: str) -> None:
        """Whoever calls this has answered the caller."""
        desk = self._desk
        self._over = True
        self._final = (outcome, status, reason)
        self._incoming.on_cancel = self._incoming.on_unheard = None
        for timer in (self._timer, self._first_notify):
            if timer is not None:
                timer.cancel()
        if self._stop_progress is not None:
            self._stop_progress()
        if self._subscription is not None:
            desk.spawn(self._subscription.end())
        if self._live is not None:
            self._live.end(outcome, status=status, reason=reason)
        desk.left(self)
