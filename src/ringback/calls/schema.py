"""What the native API shows of calls."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ringback.messages import ShownPush


class CallItem(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A call that had to wake a phone, in a list.

    `callId`: SIP's Call-ID, or the name that the back end gave it. `outcome`: None while it waits. `sipStatus`: what
    the caller was answered at last, 0 = nothing by this server. Times are Unix milliseconds.
    """

    id: str
    mode: str
    call_id: str
    caller: str
    caller_name: str | None
    callee: str
    user_id: str | None
    status: str
    outcome: str | None
    sip_status: int
    reason: str | None
    push_count: int
    timestamp_started: int
    timestamp_pushed: int | None
    timestamp_registered: int | None
    timestamp_ended: int | None


class CallPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of calls, newest first."""

    items: list[CallItem]
    next_cursor: str | None


class CallDurations(msgspec.Struct, frozen=True, rename="camel"):
    """How long it took, in milliseconds; None where it did not come to that.

    `total`: from the arrival of the call to its end. `untilPush`: to the pushes. `pushToRegister`: from the pushes to
    the first REGISTER. `registerToEnd`: from there to the end, for instance the deflect.
    """

    total: int | None
    until_push: int | None
    push_to_register: int | None
    register_to_end: int | None


class CallStep(msgspec.Struct, frozen=True, rename="camel"):
    """Something that happened, so many milliseconds after the call came."""

    at_milliseconds: int
    step: str
    details: dict[str, Any]


class ConsideredForCall(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A push token of the callee, whether the call was pushed to it, and if not, why. `pushToken`: only its ends."""

    used: bool
    reason: str | None
    app_id: str
    kind: str
    push_token_id: str
    push_token: str
    registration_id: str | None
    device_pkid: str | None
    sip_instance: str | None
    environment: str | None
    push_id: str | None


class CallDetail(CallItem, frozen=True, rename="camel", kw_only=True):
    """A call with everything that is known of it. `timestampDeadline`: when the caller is given up."""

    timestamp_deadline: int
    durations: CallDurations
    trace: list[CallStep]
    considered: list[ConsideredForCall]
    pushes: list[ShownPush]


class CallOfPush(msgspec.Struct, frozen=True, rename="camel"):
    """The call that a phone was woken for: its Call-ID."""

    call_id: str


_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewWakeup(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A call that a proxy holds until a phone is awake.

    `callee`: `user@domain`, or a SIP URI. `caller`: a URI or a number. `callId`: SIP's Call-ID; with the callee it
    names the call. `timeoutSeconds`: how long the proxy holds it; by default what the callee's preferences say.
    """

    callee: _Line
    caller: _Line
    call_id: _Line
    caller_name: Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] | None = None


class WakeupPush(msgspec.Struct, frozen=True, rename="camel"):
    """A phone that was pushed."""

    push_id: str
    app_id: str
    registration_id: str | None
    device_pkid: str | None


class ShownWakeup(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A wake-up. `state`: WAITING, REGISTERED (a phone of the callee is there) or ENDED, then with its `outcome`."""

    wakeup_id: str
    state: str
    outcome: str | None
    reason: str | None
    pushes: list[WakeupPush]
    timestamp_started: int
    timestamp_registered: int | None
    timestamp_ended: int | None
    timestamp_deadline: int
