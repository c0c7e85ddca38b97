"""One call that the redirect server holds, from its admission to its end: embedded mode.

There is no proxy that could be watched. The registrar is in the same process, so a REGISTER comes here at once, before
it is stored, and the caller is sent to the phone (302). Whatever ends the call first has ended it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.calls.invited import RETRY_AFTER, InvitedCall
from ringback.calls.model import Outcome
from ringback.calls.plans import plan_of
from ringback.calls.purrs import PARAMETER as PURR
from ringback.calls.redirect_contacts import come_back_uri, contact_values, in_order, is_sent_to_a_phone, merged
from ringback.errors import RingbackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.calls.invited import Asked
    from ringback.calls.model import Mode, Reach
    from ringback.calls.model_bindings import Binding
    from ringback.calls.needs_bindings import HoldingDesk
    from ringback.calls.recent_calls import RecentCall
    from ringback.sip import IncomingRequest


class HeldCall(InvitedCall):
    """One call that waits."""

    __slots__ = ("_bindings", "_fresh", "_purr")
    mode: Mode = "embedded"
    _desk: HoldingDesk

    def __init__(self, desk: HoldingDesk, incoming: IncomingRequest, asked: Asked, recent: RecentCall) -> None:
        super().__init__(desk, incoming, asked, recent)
        self._purr = incoming.request.request_uri.parameters.get(PURR)
        self._bindings: Sequence[Binding] = ()
        self._fresh: list[Binding] = []

    @property
    def callee(self) -> str:
        """`user@domain`."""
        return self._asked.callee

    @property
    def phones_pushed(self) -> int:
        """How many phones were woken."""
        return len(self._live.push_ids) if self._live is not None else 0

    async def run(self) -> None:
        """From the admission until it waits, or is over. Nothing but the look-up is waited for."""
        try:
            await self._run()
        except Exception:
            self._answer(500, Outcome.REFUSED, "a mistake of the server; its log says more")
            raise

    async def _run(self) -> None:
        asked, desk = self._asked, self._desk
        try:
            reach, self._bindings = await desk.look_up(asked, self._purr)
        except RingbackError as error:
            self._open(None)
            self._answer(503, Outcome.OVERLOADED, str(error), RETRY_AFTER)
            return
        self._open(reach)
        if self._over:
            return
        if reach is None:
            self._answer(404, Outcome.UNKNOWN_CALLEE, "there is no such subscriber")
        else:
            self._decide(reach)

    def registered(self, fresh: Sequence[Binding]) -> None:
        """Phones of the callee have registered just now; whether that is stored is not waited for."""
        fresh = self._desk.named(fresh, self._purr)
        if not fresh:
            return
        if self._live is None:
            self._fresh = merged(fresh, self._fresh)  # the look-up is under way
            return
        fresh = in_order(fresh, self._bindings)
        if not fresh:
            return
        for binding in fresh:
            self._live.registered(instance=binding.instance, contact=binding.contact)
        if self._over:
            self._desk.waking.changed(self._live)  # a later phone of a call that has gone through: for the record
            return
        self._fresh = merged(fresh, self._fresh)
        self._deflect("registered")

    # deciding ---------------------------------------------------------------------------------------------------------

    def _decide(self, reach: Reach) -> None:
        callee, live = reach.callee, self._live_call
        preference = callee.mobile_push_enable
        decided_by = callee.decided_by.get("mobile_push_enable", "built in")
        self._plan = plan_of(preference, registered_were_tried=self._recent.registered_were_tried)
        live.note("preference", mobile_push_enable=preference, decided_by=decided_by)
        self._fresh = in_order(self._fresh, self._bindings)
        for binding in self._fresh:
            live.registered(instance=binding.instance, contact=binding.contact)
        if callee.disabled:
            self._answer(480, Outcome.NOT_ENABLED, "the subscriber is disabled")
        elif self._fresh or (self._bindings and not self._plan.although_registered):
            self._deflect("registered" if self._fresh else "registered before")
        elif not self._plan.wakes:
            self._answer(480, Outcome.NOT_ENABLED, f"mobile_push_enable is {preference} ({decided_by})")
        elif not reach.targets:
            self._wake_nobody(Outcome.NO_PHONE, "no phone can be woken")
        elif not self._desk.waking.rings(live) and not self._desk.may_push(self._asked.callee):
            self._wake_nobody(Outcome.REFUSED, "too many calls to this callee were pushed", ("Retry-After", "60"))
        else:
            self._wake(reach)

    def _wake(self, reach: Reach) -> None:
        self._pushed = True
        live = self._live_call
        if not live.push():
            self._wake_nobody(Outcome.NO_PHONE, "no phone can be woken")
            return
        self._recent.pushed = True
        self._wait()
        self._tell_caller(reach)

    def _wake_nobody(self, outcome: Outcome, reason: str, *headers: tuple[str, str]) -> None:
        """No push: the call goes to who is registered, where the preference lets it."""
        if self._bindings and self._plan.counts_registered:
            self._live_call.note("nobody is woken", reason=reason)
            self._deflect("registered before")
        else:
            self._answer(480, outcome, reason, *headers)

    # the end ----------------------------------------------------------------------------------------------------------

    @property
    def _preference(self) -> str:
        reach = self._live_call.new.reach
        return "never" if reach is None else reach.callee.mobile_push_enable

    def _timed_out(self) -> None:
        if self._over:
            return
        if self._bindings and self._plan.falls_back:
            self._deflect("registered before")
        else:
            self._answer_timeout()

    def _deflect(self, callee_is: str) -> None:
        """The caller is sent to the phones: those that were woken first, and the others where they count."""
        woken_only = self._pushed and not self._plan.falls_back
        bindings = list(self._fresh) if woken_only else merged(self._fresh, self._bindings)
        if callee_is == "registered before":
            # What was found by the look-up may be over by now.
            bindings = [one for one in bindings if one.expires_at > self._desk.waking.now_ms()]
            if not bindings:
                self._answer(480, Outcome.TIMEOUT, "the binding that the callee had is over")
                return
        if is_sent_to_a_phone(self._incoming.request.uri, bindings):
            # It would be told the same again, and again.
            self._answer(404, Outcome.REFUSED, "the caller sends here what is for the phone: has it an outbound proxy?")
            return
        again = come_back_uri(self._incoming.request.uri) if self._tries_registered_first(callee_is) else ""
        contacts = contact_values(
            bindings,
            before_all=self._fresh if self._preference == "push_then_reg" else (),
            all_at_once=self._preference == "always",
            come_back_to=again,
        )
        if not self._incoming.respond(302, headers=[("Contact", value) for value in contacts]):
            return  # the CANCEL was faster, and has told
        self._recent.deflects += 1
        self._live_call.note("deflected", status=302, callee_is=callee_is, phones=len(bindings))
        self._close(Outcome.DEFLECTED, 302, "")

    def _tries_registered_first(self, callee_is: str) -> bool:
        """`reg_then_push`: when those who are registered do not take the call, it may come back and wake the others."""
        reach = self._live_call.new.reach
        return (
            callee_is == "registered before"
            and reach is not None
            and self._preference == "reg_then_push"
            and bool(reach.targets)
            and not self._recent.pushed
        )

    def _leave(self) -> None:
        self._desk.left(self)
