"""What the native API takes and gives: messages with texts by language, and why a push was or was not sent."""

from typing import Annotated, Literal

import msgspec

from ringback.messages.model_tracing import PushStatus
from ringback.messages.schema_cloud import AppIds, Extras, Id, Name, Title, Visible

Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")]
LocArgs = Annotated[tuple[Name, ...], msgspec.Meta(max_length=20)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
Status = Literal["QUEUED", "DELIVERED", "FAILED", "NOT_SENT"]


class MessageText(msgspec.Struct, frozen=True):
    """A message in one language."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    message: Visible = ""


class CreateMessage(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A message to a user: to all phones, or to one of them.

    What people read is one of: `title` and `message`; `texts` by language, of which each phone gets its own, else
    English, else the first; `titleLocKey` and `messageLocKey`, for which the app has the texts. `silent`: none of them.
    `collapseId`: a newer message with the same one takes its place on the phone. `appIds`: only these apps of the back
    end. `timestampExpires`: then nobody need hear it any more (Unix milliseconds).

    A text that is too long for a push provider is shortened when it is sent. All else must fit every provider, also
    encrypted: together about 2,700 bytes.
    """

    user_id: Id
    registration_id: Id | None = None
    app_ids: AppIds | None = None
    silent: bool = False
    title: Title | None = None
    message: Visible | None = None
    texts: Annotated[dict[Language, MessageText], msgspec.Meta(max_length=50)] | None = None
    title_loc_key: Name | None = None
    title_loc_args: LocArgs = ()
    message_loc_key: Name | None = None
    message_loc_args: LocArgs = ()
    sound: Name | None = None
    badge: Annotated[int, msgspec.Meta(ge=0, le=99_999)] | None = None
    icon: Name | None = None
    category: Name | None = None
    thread: Name | None = None
    collapse_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    extras: Extras | None = None
    timestamp_expires: Moment | None = None


class CreatedMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The message is queued. `pushIds`: one for each push token that it goes to."""

    message_id: str
    push_ids: list[str]


class PushAttempt(msgspec.Struct, frozen=True, rename="camel"):
    """One attempt; `answer` is the provider's, or why there was none. `timestamp`: when it ended."""

    attempt: int
    timestamp: int
    outcome: str
    answer: str | None
    duration_milliseconds: int


class ShownPush(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A push. `next`: a sentence of what happens now; `providerId`: under which name the provider knows it."""

    push_id: str
    app_id: str
    kind: str
    push_token_id: str | None
    registration_id: str | None
    status: PushStatus
    reason: str | None
    provider_id: str | None
    timestamp_created: int
    attempts: list[PushAttempt]
    next: str
    timestamp_next_attempt: int | None


class ConsideredPushToken(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A push token, or a phone that has none: whether it was used, and if not, why.

    `pushToken`: only its first and last characters. `devicePkid`: of a UDS device.
    """

    used: bool
    reason: str | None
    app_id: str
    registration_id: str | None
    device_pkid: str | None
    push_token_id: str | None
    push_token: str | None
    kind: str | None
    environment: str | None
    language: str | None
    push_id: str | None


class PushTrace(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Why a user was or was not told something.

    `noticeId` is None for a push that belongs to no notice, such as a call's. `subjectKind`: operation, message, inbox,
    campaign, call or liveActivity; `subjectId`: which. That of a call is its id in `/api/v1/calls`, that of a wake-up
    its `wakeupId`.
    """

    notice_id: str | None
    user_id: str
    subject_kind: str
    subject_id: str | None
    timestamp_created: int
    considered: list[ConsideredPushToken]
    pushes: list[ShownPush]


class PushPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of traces, newest first."""

    items: list[PushTrace]
    next_cursor: str | None


class MessageDelivery(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of a message at one push token, or at a phone without any."""

    app_id: str
    registration_id: str | None
    device_pkid: str | None
    push_token_id: str | None
    kind: str | None
    status: Status
    reason: str | None
    push_id: str | None


class MessageStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a message, at each push token."""

    message_id: str
    notice_id: str
    user_id: str
    timestamp_created: int
    deliveries: list[MessageDelivery]
