"""What a call is in both modes: it was asked for by an INVITE, has a record, a time by which it ends, and one end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls.model import NewCall, Outcome
from ringback.calls.plans import NEVER
from ringback.calls.ringing import Caller, end_by_cancel
from ringback.sip import NEVER_DUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.live_call import LiveCall
    from ringback.calls.model import Mode, Reach
    from ringback.calls.needs_sip import CallDesk
    from ringback.calls.recent_calls import RecentCall
    from ringback.sip import IncomingRequest

STILL_THERE_SECONDS = 55.0
"""A proxy forgets a call of which it hears nothing for longer (RFC 3261 §13.3.1.1 says: every minute)."""
REMEMBERED_SECONDS = 30
"""So long after the ring time a call that comes back is still known."""
LEAST_SECONDS = 1.0
"""The shortest wait, also of a caller that says that it does not wait at all (Expires: 0)."""
LONGEST_AOR = 255
RETRY_AFTER = ("Retry-After", "5")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an INVITE asks for. `target`: the Contact of a deflect. `seconds`, `prompt`: where the proxy said so."""

    call_id: str
    username: str
    domain: str
    target: str
    caller: Caller
    callee: str
    """`user@domain`: made once, since much of what a held call keeps is found by it."""
    seconds: int | None = None
    prompt: str | None = None

    def new_call(self, mode: Mode, reach: Reach | None, ring_seconds: float) -> NewCall:
        """What the record of this call begins with."""
        return NewCall(
            mode=mode,
            sip_call_id=self.call_id,
            caller=self.caller.uri,
            caller_name=self.caller.name,
            callee=self.callee,
            reach=reach,
            ring_seconds=ring_seconds,
        )


class InvitedCall:
    """One call that waits. Whatever ends it first has ended it; what comes after that changes nothing."""

    __slots__ = (
        "_asked", "_caller_waits", "_desk", "_final", "_incoming", "_live", "_over", "_plan", "_pushed", "_recent",
        "_started", "_stop_progress", "_then", "_waits", "due", "tick",
    )  # fmt: skip
    mode: Mode

    def __init__(self, desk: CallDesk, incoming: IncomingRequest, asked: Asked, recent: RecentCall) -> None:
        self._desk = desk
        self._incoming = incoming
        self._asked = asked
        self._recent = recent
        self._started = desk.now()
        self._waits = float(desk.wake_seconds)
        self._caller_waits: int | None = incoming.request.expires
        """Seconds, where the INVITE says it: Expires (RFC 3261 §13.3.1)."""
        self._plan = NEVER
        self._live: LiveCall | None = None
        self._then: Callable[[], None] | None = None
        self.due = NEVER_DUE
        self.tick = 0
        self._stop_progress: Callable[[], None] | None = None
        self._final: tuple[Outcome, int, str] | None = None
        self._pushed = False
        self._over = False
        incoming.on_cancel = self._cancelled
        incoming.on_unheard = self._unheard
        incoming.on_unsent = self._unsent

    def stop(self) -> None:
        """The server stops. A call without a push may be taken by another server; a push is not sent twice."""
        if self._pushed:
            self._answer(480, Outcome.OVERLOADED, "the server stopped")
        else:
            self._answer(503, Outcome.OVERLOADED, "the server stopped", RETRY_AFTER)

    # for the two kinds ------------------------------------------------------------------------------------------------

    @property
    def _live_call(self) -> LiveCall:
        assert self._live is not None
        return self._live

    def _open(self, reach: Reach | None) -> None:
        """The call has a record from here on."""
        asked = self._asked
        if reach is not None:
            self._waits = float(asked.seconds or reach.callee.mobile_push_expiry or self._desk.wake_seconds)
            if self._caller_waits is not None:
                self._waits = min(self._waits, max(LEAST_SECONDS, self._caller_waits))
        live = self._desk.waking.begin(asked.new_call(self.mode, reach, self._waits))
        self._live = live
        if self._final is not None:  # it ended during the look-up
            outcome, status, reason = self._final
            live.end(outcome, status=status, reason=reason)
        else:
            live.on_cancelled = self._ended_elsewhere

    def _tell_caller(self, reach: Reach) -> None:
        """183: something happens, and the caller hears a prompt where that is possible."""
        prompt = self._asked.prompt or reach.callee.prompt
        self._stop_progress = self._desk.progress.begin(self._incoming, prompt, loop=reach.callee.prompt_loop)
        self._live_call.note("caller told", status=183)
        self._incoming.lighten()

    @property
    def _ends_at(self) -> float:
        return self._started + self._waits

    def _left(self) -> float:
        return max(0.0, self._ends_at - self._desk.now())

    def _wait(self) -> None:
        """Until the ring time is over; the caller hears now and then that the call still waits."""
        self._then = None
        self.due = min(self._ends_at, self._desk.now() + STILL_THERE_SECONDS)
        self._desk.wheel.place(self)

    def _wait_at_most(self, seconds: float, then: Callable[[], None]) -> None:
        """In the place of what was waited for before: not the end of the ring time."""
        self._then = then
        self.due = self._desk.now() + seconds
        self._desk.wheel.place(self)

    def on_time(self, now: float) -> None:
        """What was waited for has come."""
        del now
        due, self.due = self.due, NEVER_DUE
        if self._then is not None:
            self._then()
        elif due >= self._ends_at:
            self._timed_out()
        elif not self._over:
            self._incoming.respond(183)
            self._wait()

    def _timed_out(self) -> None:
        """The ring time is over."""
        raise NotImplementedError

    def _answer_timeout(self) -> None:
        """Nobody has come: 480, or 487 where it was the caller who did not want to wait any longer (§13.3.1)."""
        status = 487 if self._caller_waits is not None and self._caller_waits <= self._waits else 480
        self._answer(status, Outcome.TIMEOUT, f"no phone registered within {self._waits:g} s")

    def _leave(self) -> None:
        """The end of the call is known; the server is told."""
        raise NotImplementedError

    # the end ----------------------------------------------------------------------------------------------------------

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

    def _unsent(self, reason: str) -> None:
        """The call has ended here, but the caller does not know: for the record."""
        if self._live is not None:
            self._live.note("caller not answered", reason=reason)
            self._desk.waking.changed(self._live)

    def _ended_elsewhere(self, reason: str) -> None:
        """Somebody ended the call over HTTP, perhaps in another process."""
        if not self._over and self._incoming.respond(480):
            self._close(self._live_call.outcome or Outcome.CANCELLED, 480, reason)

    def _close(self, outcome: Outcome, status: int, reason: str) -> None:
        """Whoever calls this has answered the caller."""
        self._over = True
        self._final = (outcome, status, reason)
        self._incoming.on_cancel = self._incoming.on_unheard = None
        self._then, self.due = None, NEVER_DUE
        self._desk.wheel.place(self)
        if self._stop_progress is not None:
            self._stop_progress()
            self._stop_progress = None
        if self._live is not None:
            self._live.end(outcome, status=status, reason=reason)
        self._leave()
