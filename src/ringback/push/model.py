"""A push, its states, and one that waits in a mailbox."""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback.push.content import Content

Status = Literal["QUEUED", "DELIVERED", "FAILED"]
Event = Literal["DELIVERED", "GIVE_UP"]

LIVE_ACTIVITY = "apns-liveactivity"
"""The kind of push token of one Live Activity; it is kept in the push, not among the push tokens of phones."""

TRANSITIONS: dict[tuple[Status, Event], Status] = {
    ("QUEUED", "DELIVERED"): "DELIVERED",
    ("QUEUED", "GIVE_UP"): "FAILED",
}


class NewPush(msgspec.Struct, frozen=True, kw_only=True):
    """What to push, to which push token, and about which operation, if any.

    `content`: its `push_id` and `created_at` are filled in when it is queued. `notice_id`, `campaign_id`: what it
    belongs to.
    """

    app_id: str
    user_id: str
    kind: str
    content: Content
    push_token_id: str | None = None
    registration_id: str | None = None
    operation_id: str | None = None
    deadline_ms: int | None = None
    notice_id: str | None = None
    campaign_id: str | None = None


class Push(msgspec.Struct, frozen=True):
    """A push as it is stored. `payload`: its content as JSON; for `local` the JSON that the phone gets."""

    id: str
    notice_id: str | None
    campaign_id: str | None
    app_id: str
    user_id: str
    registration_id: str | None
    push_token_id: str | None
    kind: str
    payload: str
    operation_id: str | None
    created_at: int
    status: Status
    reason: str | None
    provider_id: str | None = None


class RungPush(msgspec.Struct, frozen=True, gc=False):
    """How far the push of a call is that another one takes back."""

    id: str
    status: Status
    reason: str | None


class WaitingPush(msgspec.Struct, frozen=True, gc=False):
    """A push that is about to be sent, and its push token as it is now, if it is still there."""

    id: str
    app_id: str
    registration_id: str | None
    push_token_id: str | None
    kind: str
    payload: str
    status: Status
    has_token: bool
    push_token: str | None
    environment: str | None
    encryption_key_sealed: bytes | None
    suspended: bool | None
    registered_at: int | None
    takes_back: RungPush | None = None
    """The push of a call that it takes back; not read with the others."""

    def __repr__(self) -> str:
        return f"WaitingPush({self.kind} {self.id})"


class LocalPush(msgspec.Struct, frozen=True):
    """A push in the mailbox of a registration; ids rise in the order in which they were put in."""

    id: str
    payload: str


class OutgoingPush(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A push that is ready for its provider: what every provider is given.

    `id`: the push's row, stable over all attempts. `environment`: of an APNs push token, `production` or `development`;
    None = not known. `encryption_key`: 32 bytes, where the content must be encrypted for the app. `deadline_at`: when
    nobody need hear it any more, in Unix milliseconds. `urgent`: a call, or something that somebody waits for.
    `registered_at`: when the app last told the push token.
    """

    id: str
    app_id: str
    user_id: str
    kind: str
    push_token: str
    content: Content
    push_token_id: str | None = None
    environment: str | None = None
    encryption_key: bytes | None = None
    deadline_at: int | None = None
    urgent: bool = False
    registered_at: int = 0

    def __repr__(self) -> str:
        """Without the key and the push token, so that neither gets into a log."""
        return f"OutgoingPush({self.kind} {self.id})"
