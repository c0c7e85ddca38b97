"""One call that the application server holds, from the INVITE to its end.

What happens, in the words of the seed: the caller is told (183, early media), the callee's bindings are watched
(SUBSCRIBE), the phones are pushed, one registers (NOTIFY), and the call goes back to the proxy (302). What comes after
the look-up is told from outside: `_notified`, `_timed_out`, `_cancelled`, `_ended_elsewhere`, `stop`. Each may come at
any time, and whatever ends the call first has ended it.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.calls.invited import RETRY_AFTER, InvitedCall
from ringback.calls.model import Outcome
from ringback.calls.plans import plan_of
from ringback.calls.ringing import contact_to_show
from ringback.calls.watched_contacts import WatchedContacts
from ringback.errors import RingbackError
from ringback.protocols.sip.message import SipMalformed
from ringback.protocols.sip.reginfo import parse_reginfo
from ringback.protocols.sip.uri import parse_uri
from ringback.sip import SipTimeout, SipUnreachable, SubscriptionRefused

if TYPE_CHECKING:
    from ringback.calls.invited import Asked
    from ringback.calls.model import Mode, Reach
    from ringback.calls.needs_sip import Desk
    from ringback.calls.recent_calls import RecentCall
    from ringback.protocols.sip.reginfo import RegisteredContact
    from ringback.sip import IncomingRequest, Notification, Subscription

FIRST_NOTIFY_SECONDS = 0.6
"""How long the push waits for the first NOTIFY once the subscription stands: long enough for one that was lost on its
way to come again (RFC 3261: T1 = 0.5 s). A proxy that is well sends it within milliseconds."""
SUBSCRIBE_SECONDS = 5.0
"""A proxy that has not answered by then does not let us watch."""
BLIND_SECONDS = 5.0
"""Without a subscription: so long after the push the call goes back, whether somebody has registered or not."""


class WaitingCall(InvitedCall):
    """One call that waits."""

    __slots__ = ("_contacts", "_first_notify", "_reach", "_subscription")
    mode: Mode = "application-server"
    _desk: Desk

    def __init__(self, desk: Desk, incoming: IncomingRequest, asked: Asked, recent: RecentCall) -> None:
        super().__init__(desk, incoming, asked, recent)
        self._contacts = WatchedContacts()
        self._reach: Reach | None = None
        self._subscription: Subscription | None = None
        self._first_notify: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """From the INVITE until the subscription stands, or the call is over."""
        asked, desk = self._asked, self._desk
        try:
            reach = await desk.waking.reach(asked.username, asked.domain, asked.call_id)
        except RingbackError as error:
            self._open(None)
            self._answer(503, Outcome.OVERLOADED, str(error), RETRY_AFTER)
            return
        self._reach = reach
        self._open(reach)
        if reach is None:
            self._answer(404, Outcome.UNKNOWN_CALLEE, "there is no such subscriber")
        if self._over or reach is None or not self._may_wait(reach):
            return
        self._wait()
        if self._wakes:
            # Else the caller has the final answer within milliseconds.
            self._tell_caller(reach)
        await self._watch()

    # who is called ----------------------------------------------------------------------------------------------------

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
        except (TimeoutError, SipTimeout):
            self._unwatched("the proxy did not answer the SUBSCRIBE")
            return
        except SipUnreachable as failure:
            self._unwatched(f"the proxy cannot be asked. {failure}")
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
            self._first_notify = desk.call_later(FIRST_NOTIFY_SECONDS, self._decide)

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
        """The proxy tells of the callee's contacts: perhaps before it answers the SUBSCRIBE. Raises SipMalformed."""
        if self._over:
            return
        try:
            newest = self._take(notification)
        except SipMalformed as error:
            self._live_call.note("notified of nothing that can be read", reason=error.reason[:100])
            raise
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
        info = parse_reginfo(notification.body)
        contacts = [contact for contact in info.contacts if _is_of(contact.aor, self._asked.username)]
        return self._contacts.take(contacts, full=info.state == "full", now=self._desk.now())

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

    def _timed_out(self) -> None:
        if self._over:
            return
        if self._contacts.active and self._plan.falls_back:
            self._deflect("registered before", None)
        else:
            self._answer_timeout()

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
            live.registered(instance=contact.instance, contact=contact_to_show(contact.uri))
        live.note("deflected", status=status, callee_is=callee_is)
        self._close(Outcome.DEFLECTED, status, "")

    def _leave(self) -> None:
        if self._first_notify is not None:
            self._first_notify.cancel()
        if self._subscription is not None:
            self._desk.spawn(self._subscription.end())
        self._desk.left(self)


@lru_cache(maxsize=1024)
def _is_of(address_of_record: str, username: str) -> bool:
    """Whether contacts of that address are the callee's: a document may tell of others as well (RFC 3680 §5).

    By the name alone, in any case, since a domain has other names and addresses. Those that say no address are.
    """
    try:
        return not address_of_record or parse_uri(address_of_record).username.lower() == username.lower()
    except SipMalformed:
        return False
