"""What back ends send and get (PowerAuth Cloud, Communication)."""

from typing import Annotated, Any

import msgspec

from ringback.messages.model_inbox import MessageType

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Title = Annotated[str, msgspec.Meta(max_length=1024)]
Visible = Annotated[str, msgspec.Meta(max_length=10_000)]
Name = Annotated[str, msgspec.Meta(max_length=255)]
Extras = Annotated[dict[Name, Any], msgspec.Meta(max_length=100)]
AppIds = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)]


class SendMessage(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/messages/send. Without `registrationId` it goes to all phones of the user.

    `silent`: wakes the app and shows nothing; otherwise `title` and `message` are needed. `extras`: for the app, up to
    2,048 bytes as JSON. A text that is too long for a push provider is shortened when it is sent.
    """

    user_id: Id
    registration_id: Id | None = None
    silent: bool | None = None
    title: Title | None = None
    message: Visible | None = None
    sound: Name | None = None
    extras: Extras | None = None


class SentMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The message is queued. `pushes`: to how many push tokens; GET /api/v1/messages/{messageId} says what became."""

    message_id: str
    pushes: int
    status: str = "OK"


class SendToInbox(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/inbox/messages. `silent`: no push tells of it. `applications`: in these apps only."""

    user_id: Id
    type: MessageType
    subject: Title
    summary: Annotated[str, msgspec.Meta(max_length=4096)]
    body: Annotated[str, msgspec.Meta(max_length=200_000)]
    silent: bool | None = None
    applications: AppIds | None = None


class CloudInboxItem(msgspec.Struct, frozen=True, rename="camel"):
    """A message of a user's inbox in a list; `timestamp` in Unix milliseconds."""

    id: str
    user_id: str
    type: MessageType
    subject: str
    summary: str
    read: bool
    timestamp: int


class CloudInboxMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message of a user's inbox. `applications`: the back end's own ones in which it is shown."""

    id: str
    user_id: str
    type: MessageType
    subject: str
    summary: str
    body: str
    read: bool
    timestamp: int
    applications: list[str]


class CloudInboxList(msgspec.Struct, frozen=True):
    """A page of a user's inbox, newest first."""

    messages: list[CloudInboxItem]
