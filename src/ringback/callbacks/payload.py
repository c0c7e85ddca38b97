"""What a callback tells. Source: PowerAuth server, callback events; PowerAuth Cloud, Callback API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.callbacks.model import CallbackType
from ringback.callbacks.user_agent import parse_user_agent
from ringback.errors import invalid_field

if TYPE_CHECKING:
    from ringback.devices import Registration
    from ringback.events import CallChanged
    from ringback.operations import FoundOperation

_encode = msgspec.json.Encoder().encode

OF_OPERATIONS: dict[str, Callable[[FoundOperation], Any]] = {
    "userId": lambda found: found.operation.user_id,
    "applications": lambda found: sorted(found.app_ids),
    "operationType": lambda found: found.operation.operation_type,
    "parameters": lambda found: found.operation.parameter_map(),
    "additionalData": lambda found: _additional_data(found.operation.additional_map()),
    "activationFlag": lambda found: found.operation.activation_flag,
    "status": lambda found: found.operation.status,
    "data": lambda found: found.operation.data,
    "failureCount": lambda found: found.operation.failure_count,
    "maxFailureCount": lambda found: found.operation.max_failure_count,
    "signatureType": lambda found: found.operation.signature_type_list(),
    "authenticationCodeType": lambda found: found.operation.signature_type_list(),  # its name from 2.0 on
    "externalId": lambda found: found.operation.external_id,
    "timestampCreated": lambda found: found.operation.created_at,
    "timestampExpires": lambda found: found.operation.expires_at,
    "timestampFinalized": lambda found: found.operation.finalized_at,
}

OF_REGISTRATIONS: dict[str, Callable[[Registration], Any]] = {
    "userId": lambda registration: registration.user_id,
    "activationName": lambda registration: registration.name,
    "deviceInfo": lambda registration: registration.device_info,
    "platform": lambda registration: registration.platform,
    "protocol": lambda _: "powerauth",
    "activationFlags": lambda registration: list(registration.flags),
    "activationStatus": lambda registration: registration.status,
    "blockedReason": lambda registration: registration.blocked_reason,
    "applicationId": lambda registration: registration.app_id,
}

OF_CALLS: dict[str, Callable[[CallChanged], Any]] = {
    "change": lambda call: call.change,
    "mode": lambda call: call.mode,
    "callId": lambda call: call.call_id,
    "caller": lambda call: call.caller,
    "callerName": lambda call: call.caller_name,
    "callee": lambda call: call.callee,
    "domain": lambda call: call.domain,
    "userId": lambda call: call.user_id,
    "applications": lambda call: list(call.app_ids),
    "pushes": lambda call: call.pushes,
    "outcome": lambda call: call.outcome,
    "sipStatus": lambda call: call.sip_status,
    "reason": lambda call: call.reason,
    "timestampStarted": lambda call: call.started_at,
    "timestampPushed": lambda call: call.pushed_at,
    "timestampRegistered": lambda call: call.registered_at,
    "timestampEnded": lambda call: call.ended_at,
}

# Older versions list the id among the attributes; it is always told.
_IDS: dict[CallbackType, str] = {
    "OPERATION_STATUS_CHANGE": "operationId",
    "REGISTRATION_STATUS_CHANGE": "activationId",
    "CALL_STATUS_CHANGE": "wakeupId",
}
_SHORT_TYPES: dict[CallbackType, str] = {
    "OPERATION_STATUS_CHANGE": "OPERATION",
    "REGISTRATION_STATUS_CHANGE": "ACTIVATION",
    "CALL_STATUS_CHANGE": "CALL",
}
_KNOWN: dict[CallbackType, frozenset[str]] = {
    "OPERATION_STATUS_CHANGE": frozenset(OF_OPERATIONS) | {_IDS["OPERATION_STATUS_CHANGE"]},
    "REGISTRATION_STATUS_CHANGE": frozenset(OF_REGISTRATIONS) | {_IDS["REGISTRATION_STATUS_CHANGE"]},
    "CALL_STATUS_CHANGE": frozenset(OF_CALLS) | {_IDS["CALL_STATUS_CHANGE"]},
}


def check_attributes(kind: CallbackType, names: Iterable[str]) -> None:
    """Raises InvalidRequest for a name that callbacks of this type do not know."""
    for name in names:
        if name not in _KNOWN[kind]:
            raise invalid_field("attributes", f"Callbacks of type {kind} have no such attribute.", name)


def operation_payload(found: FoundOperation, names: Iterable[str], *, long_type_names: bool) -> bytes:
    """The JSON for a change of an operation: type, id, and the attributes that were chosen; null where it has none."""
    chosen = {name: OF_OPERATIONS[name](found) for name in names if name in OF_OPERATIONS}
    return _payload("OPERATION_STATUS_CHANGE", found.operation.id, chosen, long_type_names=long_type_names)


def registration_payload(registration: Registration, names: Iterable[str], *, long_type_names: bool) -> bytes:
    """The JSON for a change of a registration."""
    chosen = {name: OF_REGISTRATIONS[name](registration) for name in names if name in OF_REGISTRATIONS}
    return _payload("REGISTRATION_STATUS_CHANGE", registration.id, chosen, long_type_names=long_type_names)


def call_payload(call: CallChanged, names: Iterable[str], *, long_type_names: bool) -> bytes:
    """The JSON for a call that has begun or has ended."""
    chosen = {name: OF_CALLS[name](call) for name in names if name in OF_CALLS}
    return _payload("CALL_STATUS_CHANGE", call.call_record_id, chosen, long_type_names=long_type_names)


def _payload(kind: CallbackType, subject_id: str, chosen: dict[str, Any], *, long_type_names: bool) -> bytes:
    shown = kind if long_type_names else _SHORT_TYPES[kind]
    return _encode({"type": shown, _IDS[kind]: subject_id, **chosen})


def _additional_data(noted: dict[str, Any]) -> dict[str, Any]:
    """With `device`, what the phone that answered said about itself."""
    agent = noted.get("userAgent")
    device = parse_user_agent(agent) if isinstance(agent, str) else None
    return noted if device is None else {**noted, "device": device}
