"""A push, its states, and one that waits in a mailbox."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["QUEUED", "DELIVERED", "FAILED"]
Event = Literal["DELIVERED", "GIVE_UP"]

TRANSITIONS: dict[tuple[Status, Event], Status] = {
    ("QUEUED", "DELIVERED"): "DELIVERED",
    ("QUEUED", "GIVE_UP"): "FAILED",
}


class NewPush(msgspec.Struct, frozen=True):
    """What to push, to which push token, and about which operation, if any.

    `content` is what the phone gets, beside `pushId` and `timestampCreated`.
    """

    app_id: str
    user_id: str
    registration_id: str
    kind: str
    push_token: str
    content: dict[str, object]
    operation_id: str | None = None
    deadline_ms: int | None = None


class Push(msgspec.Struct, frozen=True):
    """A push as it is stored. `payload` is the JSON that the phone gets."""

    id: str
    app_id: str
    user_id: str
    registration_id: str
    kind: str
    payload: str
    operation_id: str | None
    created_at: int
    status: Status
    reason: str | None


class LocalPush(msgspec.Struct, frozen=True):
    """A push in the mailbox of a registration; ids rise in the order in which they were put in."""

    id: str
    payload: str
