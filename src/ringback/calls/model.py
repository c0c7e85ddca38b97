"""A call that has to wake a phone: what it is about, how it ends, and its row."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from ringback.directory import Callee
    from ringback.push import Farewell, PushToken

Mode = Literal["application-server", "embedded", "push-only"]
MODES: tuple[Mode, ...] = ("application-server", "embedded", "push-only")
Status = Literal["WAITING", "ENDED"]

MOST_STEPS = 100
"""Steps that the trace of a call keeps; what comes after them is counted."""
ASKED_AFTER_MS = 10_000
"""So long after the ring time a phone may still ask which call it was pushed for."""


class Outcome(StrEnum):
    """How a call ended, as far as we know of it."""

    DEFLECTED = "DEFLECTED"
    """A phone is there, and the proxy was told to look again."""
    ANSWERED = "ANSWERED"
    """Somebody took it (only a proxy that suspends calls itself tells us)."""
    ANSWERED_ELSEWHERE = "ANSWERED_ELSEWHERE"
    """Somebody took it at another phone."""
    CANCELLED = "CANCELLED"
    """The caller gave up."""
    TIMEOUT = "TIMEOUT"
    """No phone came in time."""
    NOT_ENABLED = "NOT_ENABLED"
    """The preferences say that nobody is to be woken, or the subscriber is disabled."""
    NO_PHONE = "NO_PHONE"
    """The callee has no phone that can be woken."""
    UNKNOWN_CALLEE = "UNKNOWN_CALLEE"
    """There is no such subscriber."""
    SUBSCRIPTION_REFUSED = "SUBSCRIPTION_REFUSED"
    """The proxy did not let us watch the callee's bindings."""
    REFUSED = "REFUSED"
    """The call was not taken: a rule of SIP, or too many pushes to this callee."""
    OVERLOADED = "OVERLOADED"
    """There were too many calls, or the server stops."""
    LOST = "LOST"
    """The process that held the call died."""


TRANSITIONS: dict[tuple[Status, Outcome], Status] = {("WAITING", outcome): "ENDED" for outcome in Outcome}
"""A call ends once, in one of these ways."""

_FAREWELLS: dict[Outcome, Farewell | None] = {
    Outcome.DEFLECTED: None,
    Outcome.ANSWERED: None,
    Outcome.ANSWERED_ELSEWHERE: "answered_elsewhere",
    Outcome.TIMEOUT: "missed",
    Outcome.LOST: "missed",
}


def farewell_of(outcome: Outcome, answered_by: str | None = None) -> Farewell | None:
    """What phones are told that were pushed for a call with this end; None when they will hear of it by SIP.

    `answered_by`: the push id of the phone that took the call, where it is known; then it is told to the others.
    """
    if outcome is Outcome.ANSWERED and answered_by is not None:
        return "answered_elsewhere"
    return _FAREWELLS.get(outcome, "cancelled")


class Considered(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A push token of the callee, and whether the call is pushed to it; stored as JSON.

    `reason`: why not, in words. `push_token`: only its ends. `push_id`: of the push, where there is one.
    """

    app_id: str
    used: bool
    push_token_id: str
    kind: str
    push_token: str
    reason: str | None = None
    registration_id: str | None = None
    device_pkid: str | None = None
    sip_instance: str | None = None
    environment: str | None = None
    push_id: str | None = None


class EarlierPush(msgspec.Struct, frozen=True):
    """A push of a call whose ring time is not over. `call_record_id`: the record of when it came before."""

    call_record_id: str
    deadline_at: int
    push_id: str
    push_token_id: str


class Reach(msgspec.Struct, frozen=True):
    """Whom a call can reach.

    `targets`: one push token for each phone. `alerts`: the push tokens of the same phones that can show something, but
    not ring; Apple wants them used to say that a call is over. `considered`: every push token, used or not, and why.
    `earlier`: what phones were pushed with for this call already, by whatever process.
    """

    callee: Callee
    targets: tuple[PushToken, ...] = ()
    alerts: tuple[PushToken, ...] = ()
    considered: tuple[Considered, ...] = ()
    earlier: tuple[EarlierPush, ...] = ()


class NewCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits from now on.

    `sip_call_id`: SIP's Call-ID, or the name that the back end has for the call. `caller`: a URI. `callee`:
    `user@domain`. `reach`: None when there is no such subscriber. `ring_seconds`: how long the caller waits.
    """

    mode: Mode
    sip_call_id: str
    caller: str
    callee: str
    caller_name: str = ""
    reach: Reach | None = None
    ring_seconds: float = 60


class Step(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Something that happened: `at_ms` milliseconds after the call came, what, and what there is to say about it."""

    at_ms: int
    step: str
    details: dict[str, Any] = {}


class CallRow(msgspec.Struct, frozen=True):
    """A row of `calls`.

    `sip_status`: what the caller was answered at last, 0 = nothing. JSON: `app_ids`, a list; `considered`, a list of
    Considered; `trace`, a list of Step.
    """

    id: str
    mode: Mode
    call_id: str
    caller: str
    caller_name: str | None
    callee: str
    domain: str
    subscriber_id: str | None
    user_id: str | None
    app_ids: str
    status: Status
    outcome: Outcome | None
    sip_status: int
    reason: str | None
    pushes: int
    started_at: int
    deadline_at: int
    pushed_at: int | None
    registered_at: int | None
    ended_at: int | None
    considered: str
    trace: str
    version: int


class CallPush(msgspec.Struct, frozen=True):
    """A row of `call_pushes`: which call, and which phone may ask about it, until when."""

    push_id: str
    call_record_id: str
    push_token_id: str
    app_id: str
    user_id: str
    registration_id: str | None
    device_pkid: str | None
    subscriber_id: str | None
    expires_at: int


class ChangedCall(msgspec.Struct, frozen=True):
    """What another process may have done to a call."""

    id: str
    outcome: Outcome | None
    reason: str | None
    registered_at: int | None


class PushedCall(msgspec.Struct, frozen=True):
    """A row of `call_pushes` with the Call-ID of its call."""

    push_id: str
    call_record_id: str
    push_token_id: str
    app_id: str
    user_id: str
    registration_id: str | None
    device_pkid: str | None
    subscriber_id: str | None
    expires_at: int
    call_id: str


class CallsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls; an empty text asks for nothing. `from_at`, `to_at`: when they began, Unix milliseconds.

    `before`: an id, where the page before ended.
    """

    callee: str = ""
    caller: str = ""
    user_id: str = ""
    domain: str = ""
    call_id: str = ""
    outcome: str = ""
    mode: str = ""
    from_at: int | None = None
    to_at: int | None = None
    before: str = ""
    limit: int = 50


class WalkedCall(msgspec.Struct, frozen=True):
    """What decides whether a call is shown in a list."""

    id: str
    app_ids: str
    callee: str
    caller: str
    user_id: str | None
    domain: str
    call_id: str
    mode: str
    outcome: str | None

    def is_wanted(self, wanted: CallsWanted) -> bool:
        """Whether it is what was asked for; a call that waits has the outcome WAITING."""
        return (
            wanted.callee in {"", self.callee}
            and wanted.caller in {"", self.caller}
            and wanted.user_id in {"", self.user_id or ""}
            and wanted.domain in {"", self.domain}
            and wanted.call_id in {"", self.call_id}
            and wanted.mode in {"", self.mode}
            and wanted.outcome in {"", self.outcome or "WAITING"}
        )
