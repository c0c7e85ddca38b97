"""What there is to tell a user, and why which phone was told or was not."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SubjectKind = Literal["operation", "message", "inbox", "campaign", "call", "liveActivity"]


class Text(msgspec.Struct, frozen=True):
    """What people read, in one language."""

    title: str
    message: str


class Style(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How phones present it. `…_loc_key`, `…_loc_args`: the app has the text, in the phone's language."""

    sound: str | None = None
    badge: int | None = None
    icon: str | None = None
    category: str | None = None
    collapse_id: str | None = None
    thread: str | None = None
    title_loc_key: str | None = None
    title_loc_args: tuple[str, ...] = ()
    body_loc_key: str | None = None
    body_loc_args: tuple[str, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """One thing to tell a user.

    `app_ids`: the apps whose phones hear it; `registration_id`: only this phone. `title` and `message` are what people
    read; `texts`, by language, take their place: each phone gets its own language. `extras` is for the app, not for
    the reader. `silent`: wakes the app and shows nothing. After `deadline_ms` nobody need hear it any more.
    `subject_id`: what it is about; by default `operation_id`, and of a message its own id.
    """

    user_id: str
    app_ids: tuple[str, ...]
    title: str = ""
    message: str = ""
    extras: dict[str, Any] = {}
    sound: str | None = None
    registration_id: str | None = None
    operation_id: str | None = None
    deadline_ms: int | None = None
    texts: dict[str, Text] = {}
    style: Style = Style()
    silent: bool = False
    subject_kind: SubjectKind = "operation"
    subject_id: str | None = None
    campaign_id: str | None = None


class Considered(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A push token, or a phone without any, and whether it was used; stored as JSON.

    `reason`: why it was not used, in words. `push_token`: only its ends. `push_id`: of the push, where it was used.
    """

    app_id: str
    used: bool
    reason: str | None = None
    push_token_id: str | None = None
    push_token: str | None = None
    registration_id: str | None = None
    device_pkid: str | None = None
    kind: str | None = None
    environment: str | None = None
    language: str | None = None
    push_id: str | None = None


class Told(msgspec.Struct, frozen=True):
    """What came of a notice: its id, and the ids of the pushes."""

    notice_id: str
    push_ids: tuple[str, ...]


class NoticeRow(msgspec.Struct, frozen=True):
    """A notice as it is stored. `app_ids`: JSON list; `considered`: JSON list of `Considered`."""

    id: str
    user_id: str
    app_ids: str
    subject_kind: SubjectKind
    subject_id: str | None
    considered: str
    created_at: int
