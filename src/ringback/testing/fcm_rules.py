"""What FCM's HTTP v1 API demands of a message, and how it writes its refusals.

A refusal has a status of google.rpc, and details of one of two kinds: `FcmError` speaks about the push token or the
quota, `BadRequest` about a field of the request. Both come with 400 INVALID_ARGUMENT; only the first one says that the
push token is bad.

Source: REST reference of `projects.messages`, `FcmError`, `google.rpc.BadRequest` and `QuotaFailure`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ringback.testing.double import Answer

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
STATUSES = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token."),
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "The sending limit of the message target was exceeded."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The server is overloaded."),
    "INTERNAL": (500, "INTERNAL", "An unknown internal error occurred."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "The APNs certificate or the web push key was refused."),
    "UNSPECIFIED_ERROR": (500, "INTERNAL", "No more information is available about this error."),
}
"""Every error code of FCM: HTTP status, status of google.rpc, and a sentence."""

LIMIT = 4096
LONGEST_TTL_SECONDS = 2_419_200
_TTL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?s")
_RESERVED = re.compile(r"from|message_type|notification|google.*|gcm.*")
_MESSAGE = {
    "name", "data", "notification", "android", "webpush", "apns", "fcm_options", "token", "fid", "topic", "condition",
}  # fmt: skip
_ANDROID = {
    "collapse_key", "priority", "ttl", "restricted_package_name", "data", "notification", "fcm_options",
    "direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok",
}  # fmt: skip
TARGETS_OF_ONE = ("token", "fid")
"""A registration token, or the Firebase installation id that newer clients name in its place."""
_TARGETS = (*TARGETS_OF_ONE, "topic", "condition")


class BadField(Exception):
    """A field of the request is wrong. `args`: the path of the field and what is wrong."""


def fcm_error(code: str, *, status: int = 0, retry_after: str = "", message: str = "") -> Answer:
    """A refusal by error code. An unknown code needs its HTTP status."""
    known, rpc, sentence = STATUSES.get(code, (status, "UNKNOWN", "An error."))
    details: list[dict[str, object]] = [{"@type": FCM_ERROR, "errorCode": code}]
    headers = (("retry-after", retry_after),) if retry_after else ()
    return error(status or known, rpc, message or sentence, details, headers=headers, reason=code)


def project_quota(project_id: str, *, retry_after: str) -> Answer:
    """QUOTA_EXCEEDED that names the project: it is not a phone that was sent too much."""
    violation = {"subject": f"project:{project_id}", "description": "Message rate exceeded."}
    details: list[dict[str, object]] = [
        {"@type": FCM_ERROR, "errorCode": "QUOTA_EXCEEDED"},
        {"@type": QUOTA_FAILURE, "violations": [violation]},
    ]
    headers = (("retry-after", retry_after),)
    status, rpc, sentence = STATUSES["QUOTA_EXCEEDED"]
    return error(status, rpc, sentence, details, headers=headers, reason="QUOTA_EXCEEDED")


def bad_request(field: str, description: str) -> Answer:
    """400 INVALID_ARGUMENT that names a field."""
    details: list[dict[str, object]] = [
        {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": description}]}
    ]
    said = f"Invalid value at '{field}': {description}" if field else description
    return error(400, "INVALID_ARGUMENT", said, details, reason=f"bad request: {field}")


def error(
    status: int,
    rpc_status: str,
    message: str,
    details: list[dict[str, object]] | None = None,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    reason: str = "",
) -> Answer:
    """Google's envelope of every error."""
    inner: dict[str, object] = {"code": status, "message": message, "status": rpc_status}
    if details:
        inner["details"] = details
    body = msgspec.json.encode({"error": inner})
    return Answer(status, (("content-type", "application/json; charset=UTF-8"), *headers), body, reason or rpc_status)


def check(document: object) -> dict[str, Any]:
    """The message of a request whose shape is right; BadField otherwise. Both `snake_case` and `camelCase` are read."""
    request = _fields(document, "", {"message", "validate_only"})
    message = _fields(request.get("message"), "message", _MESSAGE)
    targets = [name for name in _TARGETS if message.get(name)]
    if len(targets) != 1:
        raise BadField("message", "Exactly one of token, fid, topic or condition has to be there.")
    if not isinstance(message[targets[0]], str):
        raise BadField(f"message.{targets[0]}", "Not a string.")
    _data(message.get("data"), "message.data")
    if message.get("android") is not None:
        _android(_fields(message["android"], "message.android", _ANDROID))
    for name in ("notification", "webpush", "apns", "fcm_options"):
        if message.get(name) is not None and not isinstance(message[name], dict):
            raise BadField(f"message.{name}", "Not an object.")
    return message


def size(message: dict[str, Any]) -> int:
    """Bytes that count: names and values of the data and of the notification."""
    android = message.get("android") or {}
    parts = [message.get("data"), message.get("notification"), android.get("data"), android.get("notification")]
    return sum(len(name.encode()) + _length(value) for part in parts if part for name, value in part.items())


def _length(value: object) -> int:
    return len(value.encode()) if isinstance(value, str) else len(msgspec.json.encode(value))


def _fields(value: object, path: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadField(path, "Not an object." if value is not None else "Missing.")
    found = {_snake(name): inner for name, inner in value.items()}
    for name in found:
        if name not in known:
            raise BadField(path, f'Unknown name "{name}": Cannot find field.')
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _data(data: object, path: str) -> None:
    if data is None:
        return
    if not isinstance(data, dict):
        raise BadField(path, "Not an object.")
    for place, (name, value) in enumerate(data.items()):
        if not isinstance(value, str):
            raise BadField(f"{path}[{place}].value", "Not a string.")
        if _RESERVED.fullmatch(name):
            raise BadField(f"{path}[{place}].key", f"Invalid data payload key: {name}")


def _android(android: dict[str, Any]) -> None:
    wrong: dict[str, Callable[[Any], bool]] = {
        "priority": lambda value: not isinstance(value, str) or value.upper() not in {"NORMAL", "HIGH"},
        "ttl": lambda value: not isinstance(value, str) or _TTL.fullmatch(value) is None,
        "collapse_key": lambda value: not isinstance(value, str),
    }
    for name, is_wrong in wrong.items():
        if name in android and is_wrong(android[name]):
            raise BadField(f"message.android.{name}", f"Not a valid {name}.")
    if "ttl" in android and float(android["ttl"][:-1]) > LONGEST_TTL_SECONDS:
        raise BadField("message.android.ttl", "Not between 0 and 4 weeks.")
    _data(android.get("data"), "message.android.data")
