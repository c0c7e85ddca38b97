"""Traces of pushes as people and programs read them. Pure functions."""

from __future__ import annotations

from ringback.messages.model import Considered
from ringback.messages.model_tracing import Sending, Trace
from ringback.messages.schema_native import (
    ConsideredPushToken,
    MessageDelivery,
    MessageStatus,
    PushAttempt,
    PushTrace,
    ShownPush,
)

_OVER = {
    "DELIVERED": "Nothing: the provider has taken it.",
    "FAILED": "Nothing: it is given up.",
}


def show_trace(trace: Trace) -> PushTrace:
    """The whole trace."""
    notice = trace.notice
    if notice is None:
        push = trace.sendings[0].push
        return PushTrace(
            notice_id=None,
            user_id=push.user_id,
            subject_kind="operation" if push.operation_id else "call",
            subject_id=push.operation_id or trace.call_record_id,
            timestamp_created=push.created_at,
            considered=[_considered(one) for one in trace.considered],
            pushes=[show_push(one) for one in trace.sendings],
        )
    return PushTrace(
        notice_id=notice.id,
        user_id=notice.user_id,
        subject_kind=notice.subject_kind,
        subject_id=notice.subject_id,
        timestamp_created=notice.created_at,
        considered=[_considered(one) for one in trace.considered],
        pushes=[show_push(one) for one in trace.sendings],
    )


def show_push(sending: Sending) -> ShownPush:
    """One push with its attempts and what happens next."""
    push, delivery = sending.push, sending.delivery
    waits = delivery is not None and delivery.state == "READY"
    return ShownPush(
        push_id=push.id,
        app_id=push.app_id,
        kind=push.kind,
        push_token_id=push.push_token_id,
        registration_id=push.registration_id,
        status=push.status,
        reason=push.reason,
        provider_id=push.provider_id,
        timestamp_created=push.created_at,
        attempts=[
            PushAttempt(one.attempt, one.at, one.outcome, one.detail, one.duration_ms) for one in sending.attempts
        ],
        next=_next(sending),
        timestamp_next_attempt=delivery.next_attempt_at if delivery is not None and waits else None,
    )


def show_message(trace: Trace) -> MessageStatus:
    """What became of a message; of a trace that has its notice."""
    assert trace.notice is not None
    notice = trace.notice
    pushes = {one.push.id: one.push for one in trace.sendings}
    deliveries = []
    for one in trace.considered:
        push = pushes.get(one.push_id or "")
        deliveries.append(
            MessageDelivery(
                app_id=one.app_id,
                registration_id=one.registration_id,
                device_pkid=one.device_pkid,
                push_token_id=one.push_token_id,
                kind=one.kind,
                status=push.status if push is not None else "NOT_SENT",
                reason=push.reason if push is not None else one.reason,
                push_id=one.push_id,
            )
        )
    return MessageStatus(notice.subject_id or notice.id, notice.id, notice.user_id, notice.created_at, deliveries)


def _next(sending: Sending) -> str:
    if sending.push.status != "QUEUED":
        return _OVER[sending.push.status]
    if sending.delivery is None:
        return "It is not known any more: the delivery is gone."
    if sending.delivery.state == "LEASED":
        return "It is being sent now."
    return "It is sent again." if sending.attempts else "It is sent as soon as there is room."


def _considered(one: Considered) -> ConsideredPushToken:
    return ConsideredPushToken(
        used=one.used,
        reason=one.reason,
        app_id=one.app_id,
        registration_id=one.registration_id,
        device_pkid=one.device_pkid,
        push_token_id=one.push_token_id,
        push_token=one.push_token,
        kind=one.kind,
        environment=one.environment,
        language=one.language,
        push_id=one.push_id,
    )
