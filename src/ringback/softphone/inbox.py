"""What a phone does with its inbox: count, list, show, mark as read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ringback.softphone.errors import InboxMessageUnknown, RefusedByServer
from ringback.softphone.wire import Plain, StatusOnly

if TYPE_CHECKING:
    from ringback.softphone.wire import PhoneRequest

T = TypeVar("T")
_BASE = "/api/inbox"


class InboxItem(msgspec.Struct, frozen=True, rename="camel"):
    """A message in the list."""

    id: str
    type: str
    subject: str
    summary: str
    read: bool
    timestamp_created: str


class InboxMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message with its body."""

    id: str
    type: str
    subject: str
    summary: str
    body: str
    read: bool
    timestamp_created: str


class _Count(msgspec.Struct, frozen=True, rename="camel"):
    count_unread: int


class InboxOfPhone(ABC):
    """The part of `Phone` that is about the inbox."""

    @abstractmethod
    async def _send(self, request: PhoneRequest, shape: type[T]) -> T: ...

    @abstractmethod
    async def _token_request(self, path: str, content: object) -> PhoneRequest: ...

    async def count_unread(self) -> int:
        """How many messages nobody has read yet."""
        answer = await self._send(await self._token_request(f"{_BASE}/count", {}), Plain[_Count])
        return answer.response_object.count_unread

    async def list_inbox(self, *, page: int = 0, size: int = 100, only_unread: bool = False) -> list[InboxItem]:
        """A page of messages, newest first; pages count from 0."""
        wanted = {"page": page, "size": size, "onlyUnread": only_unread}
        request = await self._token_request(f"{_BASE}/message/list", wanted)
        return (await self._send(request, Plain[list[InboxItem]])).response_object

    async def inbox_message(self, message_id: str) -> InboxMessage:
        """One message; it stays unread. Raises InboxMessageUnknown."""
        return (await self._ask_about("detail", message_id, Plain[InboxMessage])).response_object

    async def mark_read(self, message_id: str) -> None:
        """The owner has read it. Raises InboxMessageUnknown."""
        await self._ask_about("read", message_id, StatusOnly)

    async def mark_all_read(self) -> None:
        """The owner has read all of them."""
        await self._send(await self._token_request(f"{_BASE}/message/read-all", {}), StatusOnly)

    async def _ask_about(self, what: str, message_id: str, shape: type[T]) -> T:
        request = await self._token_request(f"{_BASE}/message/{what}", {"id": message_id})
        try:
            return await self._send(request, shape)
        except RefusedByServer as error:
            if error.server_code == "INVALID_REQUEST":
                raise InboxMessageUnknown(cause=error) from error
            raise
