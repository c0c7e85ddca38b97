"""Calls as people and programs read them. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls.model import CallRow, Considered, Step
from ringback.calls.schema import (
    CallDetail,
    CallDurations,
    CallItem,
    CallStep,
    ConsideredForCall,
    ShownWakeup,
    WakeupPush,
)
from ringback.messages import show_push

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.calls.push_only import Wakeup
    from ringback.messages import Sending

considered_of = msgspec.json.Decoder(list[Considered]).decode
_steps_of = msgspec.json.Decoder(list[Step]).decode


def show_item(row: CallRow) -> CallItem:
    """A line of a list."""
    return CallItem(
        id=row.id,
        mode=row.mode,
        call_id=row.call_id,
        caller=row.caller,
        caller_name=row.caller_name,
        callee=row.callee,
        user_id=row.user_id,
        status=row.status,
        outcome=row.outcome,
        sip_status=row.sip_status,
        reason=row.reason,
        push_count=row.pushes,
        timestamp_started=row.started_at,
        timestamp_pushed=row.pushed_at,
        timestamp_registered=row.registered_at,
        timestamp_ended=row.ended_at,
    )


def show_detail(row: CallRow, considered: Sequence[Considered], sendings: Sequence[Sending]) -> CallDetail:
    """Everything; `considered` and `sendings` as far as the reader may know them."""
    return CallDetail(
        **msgspec.structs.asdict(show_item(row)),
        timestamp_deadline=row.deadline_at,
        durations=CallDurations(
            total=_between(row.started_at, row.ended_at),
            until_push=_between(row.started_at, row.pushed_at),
            push_to_register=_between(row.pushed_at, row.registered_at),
            register_to_end=_between(row.registered_at, row.ended_at),
        ),
        trace=_trace(row),
        considered=[_considered(one) for one in considered],
        pushes=[show_push(one) for one in sendings],
    )


def show_wakeup(wakeup: Wakeup) -> ShownWakeup:
    """What the proxy is told."""
    row = wakeup.row
    return ShownWakeup(
        wakeup_id=row.id,
        state=wakeup.state,
        outcome=row.outcome,
        reason=row.reason,
        pushes=[WakeupPush(one.push_id, one.app_id, one.registration_id, one.device_pkid) for one in wakeup.pushes],
        timestamp_started=row.started_at,
        timestamp_registered=row.registered_at,
        timestamp_ended=row.ended_at,
        timestamp_deadline=row.deadline_at,
    )


def _trace(row: CallRow) -> list[CallStep]:
    """What the process noted that held the call, and between that how the row says that it ended."""
    steps = [CallStep(one.at_ms, one.step, one.details) for one in _steps_of(row.trace)]
    if row.ended_at is not None:
        details = {"outcome": row.outcome, "sipStatus": row.sip_status or None, "reason": row.reason}
        said = {name: value for name, value in details.items() if value is not None}
        steps.append(CallStep(row.ended_at - row.started_at, "ended", said))
    return sorted(steps, key=lambda one: one.at_milliseconds)


def _between(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else max(0, end - start)


def _considered(one: Considered) -> ConsideredForCall:
    return ConsideredForCall(
        used=one.used,
        reason=one.reason,
        app_id=one.app_id,
        kind=one.kind,
        push_token_id=one.push_token_id,
        push_token=one.push_token,
        registration_id=one.registration_id,
        device_pkid=one.device_pkid,
        sip_instance=one.sip_instance,
        environment=one.environment,
        push_id=one.push_id,
    )
