"""What phones send and get (Mobile Token API, Inbox)."""

from typing import Annotated

import msgspec

from ringback.messages.model_inbox import MessageType

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
DEFAULT_SIZE = 100
LARGEST_SIZE = 1000
MOST_SKIPPED = 10_000
"""Messages before a page."""


class InboxPage(msgspec.Struct, frozen=True, rename="camel"):
    """Which messages, newest first."""

    page: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SIZE)] = DEFAULT_SIZE
    only_unread: bool = False


class InboxListRequest(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/inbox/message/list. SDKs exist that leave `requestObject` out."""

    request_object: InboxPage = InboxPage()


class InboxId(msgspec.Struct, frozen=True):
    """Which message."""

    id: Id


class InboxIdRequest(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/inbox/message/detail and /read."""

    request_object: InboxId


class InboxRequest(msgspec.Struct, frozen=True):
    """POST /api/inbox/count and /message/read-all: `{}`."""


class InboxCount(msgspec.Struct, frozen=True, rename="camel"):
    """How many messages the phone's user has not read; 10,000 stands for more as well."""

    count_unread: int


class MobileInboxItem(msgspec.Struct, frozen=True, rename="camel"):
    """A message in the list; `timestampCreated` is `2022-08-25T22:34:58.702+00:00`."""

    id: str
    type: MessageType
    subject: str
    summary: str
    read: bool
    timestamp_created: str


class MobileInboxMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message with its body."""

    id: str
    type: MessageType
    subject: str
    summary: str
    body: str
    read: bool
    timestamp_created: str
