"""One call that waits, in the memory of the process that holds it; it hands itself to the recorder when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.calls import metrics
from ringback.calls.model import (
    ASKED_AFTER_MS,
    MOST_STEPS,
    TRANSITIONS,
    CallPush,
    CallRow,
    Considered,
    NewCall,
    Outcome,
    Reach,
    Status,
    Step,
    farewell_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.wakeups import WakeUps
    from ringback.push import Farewell, PushToken

_encode = msgspec.json.Encoder().encode
_LONGEST_TEXT = 500


class LiveCall:
    """One call that waits. `on_cancelled(reason)` is called when somebody ended it over HTTP, in whatever process."""

    __slots__ = (
        "_dropped", "_is_told_elsewhere", "_last_ms", "_pushes", "_steps", "_trace", "_wake_ups", "deadline_at",
        "ended_at", "id", "new", "on_cancelled", "outcome", "pushed_at", "pushes_stored", "reason", "registered_at",
        "sip_status", "started_at", "stored", "version",
    )  # fmt: skip

    def __init__(self, wake_ups: WakeUps, call_id: str, new: NewCall, started_at: int) -> None:
        self._wake_ups = wake_ups
        self._dropped = 0
        self._is_told_elsewhere = False
        self._pushes: list[tuple[str, PushToken]] | None = None
        self.id = call_id
        self.new = new
        self.started_at = started_at
        self.deadline_at = started_at + round(new.ring_seconds * 1000)
        self.pushed_at: int | None = None
        self.registered_at: int | None = None
        self.ended_at: int | None = None
        self.outcome: Outcome | None = None
        self.sip_status = 0
        self.reason = ""
        self._trace = b""
        """The steps as JSON, with commas between them: that takes a quarter of the room that objects take."""
        self._steps = 0
        self._last_ms = 0
        self.stored = False
        """The store has its row; written by the recorder."""
        self.pushes_stored = False
        """The store knows what it was pushed with; written by the recorder."""
        self.version = 1
        self.on_cancelled: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"LiveCall({self.id})"

    @property
    def status(self) -> Status:
        """Whether it still waits."""
        return "WAITING" if self.outcome is None else "ENDED"

    @property
    def push_ids(self) -> list[str]:
        """What it was pushed with."""
        return [push_id for push_id, _ in self._pushes or ()]

    def note(self, step: str, **details: Any) -> None:
        """Adds to the trace what has just happened. `details` are plain values; never a secret."""
        if self._steps >= MOST_STEPS:
            self._dropped += 1
            return
        told = {name: clean(value) if isinstance(value, str) else value for name, value in details.items()}
        self._last_ms = self._now() - self.started_at
        self._steps += 1
        self._trace = _with_step(self._trace, Step(self._last_ms, step, told))

    def push(self) -> int:
        """Pushes the call to each phone and returns how many these are; the second time it only returns it.

        An INVITE that comes again with the Call-ID and the callee of one that was pushed is the same call to the phone:
        iOS must not be sent it twice.
        """
        if self._pushes is None:
            self._pushes = self._wake_ups.push(self)
            if self._pushes:
                self.pushed_at = self._now()
            self._wake_ups.changed(self)
        return len(self._pushes)

    def registered(self, *, instance: str | None = None, contact: str | None = None) -> None:
        """A phone of the callee has registered while the call waits."""
        self.note("registered", **_said(instance=instance, contact=contact))
        if self.registered_at is None:
            self.registered_at = self._now()
            if self.pushed_at is not None:
                seconds = (self.registered_at - self.pushed_at) / 1000
                metrics.push_to_register_seconds(self.new.mode).observe(seconds)
            self._wake_ups.changed(self)

    def end(self, outcome: Outcome, *, status: int | None = None, reason: str = "") -> None:
        """The call is over; only the first end counts. `status`: what the caller was answered.

        Phones that were pushed in vain are told.
        """
        if self._close(outcome, status, reason):
            farewell = farewell_of(outcome)
            if farewell is not None:
                self._tell(self.push_ids, farewell)

    def ended_elsewhere(self, outcome: Outcome, reason: str) -> None:
        """Another process has ended the call, and told the phones: here only what is under way stops.

        For the recorder, who hears of it.
        """
        if self._close(outcome, None, reason):
            self._is_told_elsewhere = True
            self._wake_ups.lane.interrupt(self.push_ids)
            if self.on_cancelled is not None:
                self.on_cancelled(self.reason or outcome)

    def ended_unheard(self, outcome: Outcome, reason: str) -> None:
        """Another process has ended the call before it could know of the pushes: the phones are told from here.

        For the recorder, who sees it when it stores the pushes.
        """
        self.ended_elsewhere(outcome, reason)
        farewell = farewell_of(outcome)
        if self._is_told_elsewhere and farewell is not None:
            self._is_told_elsewhere = False
            self._wake_ups.lane.cancel(self.push_ids, farewell, although_quiet=True)
            self.note("phones told", why=farewell)
            self._wake_ups.changed(self)

    def cancel(self, outcome: Outcome, reason: str, answered_by: str | None = None) -> None:
        """Somebody ended it over HTTP, in this process. `answered_by`: the push id of the phone that took it."""
        if not self._close(outcome, None, reason):
            return
        farewell = farewell_of(outcome, answered_by)
        if farewell is not None:
            self._tell([push_id for push_id in self.push_ids if push_id != answered_by], farewell)
        if self.on_cancelled is not None:
            self.on_cancelled(self.reason or outcome)

    def _now(self) -> int:
        """The time, but never before what happened last: the clock may have been set back since."""
        return max(self._wake_ups.now_ms(), self.started_at + self._last_ms, self.registered_at or 0)

    def _tell(self, push_ids: list[str], farewell: Farewell) -> None:
        if push_ids:
            self._wake_ups.lane.cancel(push_ids, farewell)
            self.note("phones told", why=farewell)

    def _close(self, outcome: Outcome, status: int | None, reason: str) -> bool:
        if (self.status, outcome) not in TRANSITIONS:
            return False
        self.outcome = outcome
        self.sip_status = status or 0
        self.reason = clean(reason)
        self.ended_at = self._now()
        self._wake_ups.over(self)
        return True

    # for the recorder -------------------------------------------------------------------------------------------------

    def row(self) -> CallRow:
        """As it is now."""
        new = self.new
        reach = new.reach
        callee = None if reach is None else reach.callee
        considered = [self._decided(one) for one in (reach.considered if reach is not None else ())]
        trace = self._trace
        if self._dropped:
            trace = _with_step(trace, Step(self._last_ms, "more", {"steps": self._dropped}))
        return CallRow(
            id=self.id,
            mode=new.mode,
            call_id=clean(new.sip_call_id),
            caller=clean(new.caller),
            caller_name=clean(new.caller_name) or None,
            callee=clean(new.callee),
            domain=clean(new.callee.rpartition("@")[2]),
            subscriber_id=None if callee is None else callee.subscriber_id,
            user_id=None if callee is None else callee.user_id,
            app_ids=_encode(sorted(_app_ids(reach))).decode(),
            status=self.status,
            outcome=self.outcome,
            sip_status=self.sip_status,
            reason=self.reason or None,
            pushes=len(self._pushes or ()),
            started_at=self.started_at,
            deadline_at=self.deadline_at,
            pushed_at=self.pushed_at,
            registered_at=self.registered_at,
            ended_at=self.ended_at,
            considered=_encode(considered).decode(),
            trace=f"[{trace.decode()}]",
            version=self.version,
        )

    def _decided(self, considered: Considered) -> Considered:
        """A push token as the record has it."""
        if not considered.used:
            return considered
        if self._pushes is None:
            return msgspec.structs.replace(considered, used=False, reason="the call was not pushed")
        push_id = next((push_id for push_id, token in self._pushes if token.id == considered.push_token_id), None)
        return msgspec.structs.replace(considered, push_id=push_id)

    def push_rows(self) -> list[CallPush]:
        """Who may ask about it."""
        return [
            CallPush(
                push_id=push_id,
                call_record_id=self.id,
                push_token_id=token.id,
                app_id=token.app_id,
                user_id=token.user_id,
                registration_id=token.registration_id,
                device_pkid=token.device_pkid,
                subscriber_id=token.subscriber_id,
                expires_at=self.deadline_at + ASKED_AFTER_MS,
            )
            for push_id, token in self._pushes or ()
        ]


def _with_step(trace: bytes, step: Step) -> bytes:
    return b"%b,%b" % (trace, _encode(step)) if trace else _encode(step)


def _app_ids(reach: Reach | None) -> set[str]:
    """Whose back ends may know of the call: the domain's apps, else those of the callee's phones."""
    if reach is None:
        return set()
    return set(reach.callee.app_ids) or {one.app_id for one in reach.considered}


def clean(text: str) -> str:
    """A text from outside as the store takes it: Unicode without NUL, and not too long."""
    if len(text) <= _LONGEST_TEXT and text.isascii() and "\0" not in text:
        return text
    return text[:_LONGEST_TEXT].encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "\ufffd")


def _said(**details: str | None) -> dict[str, str]:
    return {name: value for name, value in details.items() if value is not None}
