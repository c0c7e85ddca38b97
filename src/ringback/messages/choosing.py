"""Which push tokens hear a notice, and the sentence for each that does not. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.devices import PushTarget
    from ringback.messages.model import Notice

PUSHKIT = "apns-voip"
_SHOWN = 6
_SHORTEST_SHOWN = 24
_FOR_KEYS = frozenset({"operation", "inbox"})
"""What only a phone that has proved its keys is told of; for a UDS device a password was enough."""
_NOT_ACTIVE = {
    "CREATED": "the phone has not activated the registration yet",
    "PENDING_COMMIT": "the registration is not committed yet",
    "BLOCKED": "the registration is blocked",
}


def why_not(notice: Notice, target: PushTarget) -> str | None:
    """Why this push token is not used for this notice; None when it is."""
    if target.app_id not in notice.app_ids:
        return "the app is not one of the apps of whoever sent this"
    if notice.registration_id is not None and target.registration_id != notice.registration_id:
        return "only another registration was wanted"
    if target.registration_id is None and notice.subject_kind in _FOR_KEYS:
        return "a UDS device has no registration: it can neither approve operations nor read the inbox"
    if target.status is not None and target.status != "ACTIVE":
        return _NOT_ACTIVE.get(target.status, f"the registration is {target.status}")
    return _unusable(target)


def _unusable(target: PushTarget) -> str | None:
    if target.push_token_id is None:
        return "this phone has no push token"
    if target.suspended:
        return "the registration is blocked" if target.device_pkid is None else "the user is disabled"
    return "for calls only (PushKit)" if target.kind == PUSHKIT else None


def ends_of(push_token: str) -> str:
    """A push token as people may see it: its first and its last characters."""
    if len(push_token) < _SHORTEST_SHOWN:
        return "…"
    return f"{push_token[:_SHOWN]}…{push_token[-_SHOWN:]}"
