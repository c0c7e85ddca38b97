"""One call that the redirect server holds, from its admission to its end: embedded mode.

There is no proxy that could be watched. The registrar is in the same process, so a REGISTER comes here at once, before
it is stored, and the caller is sent to the phone (302). Whatever ends the call first has ended it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.calls.model import NewCall, Outcome
from ringback.calls.plans import NEVER, plan_of
from ringback.calls.purrs import PARAMETER as PURR
from ringback.calls.redirect_contacts import come_back_uri, contact_values, merged
from ringback.calls.ringing import end_by_cancel
from ringback.errors import RingbackError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ringback.calls.model import Reach
    from ringback.calls.model_bindings import Binding
    from ringback.calls.needs_bindings import HoldingDesk
    from ringback.calls.recent_calls import RecentCall
    from ringback.calls.waiting import Asked
    from ringback.calls.wakeups import LiveCall
    from ringback.sip import IncomingRequest

RETRY_AFTER = ("Retry-After", "5")
STILL_THERE_SECONDS = 60.0
"""So often a caller is told that the call still waits (RFC 3261 §13.3.1.1)."""


class HeldCall:
    """One call that waits."""

    __slots__ = (
        "_asked", "_bindings", "_desk", "_final", "_fresh", "_incoming", "_live", "_over", "_plan", "_purr",
        "_pushed", "_recent", "_started", "_stop_progress", "_timer", "_waits",
    )  # fmt: skip

    def __init__(self, desk: HoldingDesk, incoming: IncomingRequest, asked: Asked, recent: RecentCall) -> None:
        self._desk = desk
        self._incoming = incoming
        self._asked = asked
        self._recent = recent
        self._started = desk.now()
        self._waits = float(desk.wake_seconds)
        self._plan = NEVER
        self._purr = incoming.request.request_uri.parameters.get(PURR)
        self._bindings: Sequence[Binding] = ()
        self._fresh: list[Binding] = []
        self._live: LiveCall | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop_progress: Callable[[], None] | None = None
        self._final: tuple[Outcome, int, str] | None = None
        self._pushed = False
        self._over = False
        incoming.on_cancel = self._cancelled

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
            reach, self._bindings = await desk.look_up(asked.username, asked.domain, self._purr)
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
        for binding in fresh:
            self._live.registered(instance=binding.instance, contact=binding.contact)
        if self._over:
            self._desk.waking.changed(self._live)  # a later phone of a call that has gone through: for the record
            return
        self._fresh = merged(fresh, self._fresh)
        self._deflect("registered")

    def stop(self) -> None:
        """The server stops. A call without a push may be taken by another server; a push is not sent twice."""
        if self._pushed:
            self._answer(480, Outcome.OVERLOADED, "the server stopped")
        else:
            self._answer(503, Outcome.OVERLOADED, "the server stopped", RETRY_AFTER)

    # deciding ---------------------------------------------------------------------------------------------------------

    def _open(self, reach: Reach | None) -> None:
        """The call has a record from here on."""
        asked = self._asked
        if reach is not None:
            self._waits = float(asked.seconds or reach.callee.mobile_push_expiry or self._desk.wake_seconds)
        live = self._desk.waking.begin(
            NewCall(
                mode="embedded",
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
        if self._final is not None:  # it ended during the look-up
            outcome, status, reason = self._final
            live.end(outcome, status=status, reason=reason)
        else:
            live.on_cancelled = self._ended_elsewhere

    def _decide(self, reach: Reach) -> None:
        callee, live = reach.callee, self._live_call
        preference = callee.mobile_push_enable
        decided_by = callee.decided_by.get("mobile_push_enable", "built in")
        self._plan = plan_of(preference, registered_were_tried=self._recent.registered_were_tried)
        live.note("preference", mobile_push_enable=preference, decided_by=decided_by)
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
        self._wait_at_most(self._left())
        callee = reach.callee
        prompt = self._asked.prompt or callee.prompt
        self._stop_progress = self._desk.progress.begin(self._incoming, prompt, loop=callee.prompt_loop)
        live.note("caller told", status=183)

    def _wake_nobody(self, outcome: Outcome, reason: str, *headers: tuple[str, str]) -> None:
        """No push: the call goes to who is registered, where the preference lets it."""
        if self._bindings and self._plan.counts_registered:
            self._live_call.note("nobody is woken", reason=reason)
            self._deflect("registered before")
        else:
            self._answer(480, outcome, reason, *headers)

    # the end ----------------------------------------------------------------------------------------------------------

    @property
    def _live_call(self) -> LiveCall:
        assert self._live is not None
        return self._live

    @property
    def _preference(self) -> str:
        reach = self._live_call.new.reach
        return "never" if reach is None else reach.callee.mobile_push_enable

    def _left(self) -> float:
        return max(0.0, self._started + self._waits - self._desk.now())

    def _wait_at_most(self, seconds: float) -> None:
        if seconds > STILL_THERE_SECONDS:
            self._timer = self._desk.call_later(STILL_THERE_SECONDS, self._still_there)
        else:
            self._timer = self._desk.call_later(seconds, self._timed_out)

    def _still_there(self) -> None:
        if not self._over:
            self._incoming.respond(183)
            self._wait_at_most(self._left())

    def _timed_out(self) -> None:
        if self._over:
            return
        if self._bindings and self._plan.falls_back:
            self._deflect("registered before")
        else:
            self._answer(480, Outcome.TIMEOUT, f"no phone registered within {self._waits:g} s")

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

    def _answer(self, status: int, outcome: Outcome, reason: str, *headers: tuple[str, str]) -> None:
        if not self._over and self._incoming.respond(status, headers=headers):
            self._close(outcome, status, reason)

    def _cancelled(self) -> None:
        """The caller gave up, or somebody has answered; the endpoint has answered 487 already."""
        if not self._over:
            outcome, reason = end_by_cancel(self._incoming.cancel_reason)
            self._close(outcome, 487, reason)

    def _ended_elsewhere(self, reason: str) -> None:
        """Somebody ended the call over HTTP, perhaps in another process."""
        if not self._over and self._incoming.respond(480):
            self._close(self._live_call.outcome or Outcome.CANCELLED, 480, reason)

    def _close(self, outcome: Outcome, status: int, reason: str) -> None:
        """Whoever calls this has answered the caller."""
        self._over = True
        self._final = (outcome, status, reason)
        self._incoming.on_cancel = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stop_progress is not None:
            self._stop_progress()
            self._stop_progress = None
        if self._live is not None:
            self._live.end(outcome, status=status, reason=reason)
        self._desk.left(self)
