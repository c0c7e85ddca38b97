"""PowerAuth Cloud: messages and the inbox (role integration)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.http import (
    DEFAULT_PAGE_SIZE,
    Ok,
    PageNumber,
    PageSize,
    Req,
    Routes,
    cloud,
    decode,
    principal_of,
    rows_before,
)
from ringback.messages.inbox import Inbox
from ringback.messages.model_inbox import InboxMessage
from ringback.messages.schema_cloud import (
    CloudInboxItem,
    CloudInboxList,
    CloudInboxMessage,
    SendMessage,
    SendToInbox,
    SentMessage,
)
from ringback.messages.sending import MessageSending
from ringback.store import Store

PUSH_TAG = "Push Notifications"
INBOX_TAG = "Inbox"
MESSAGES = "/v2/inbox/messages"
_USER: dict[str, Any] = {"min_length": 1, "max_length": 255, "pattern": r"^[^\x00]*$"}
_WAY_OUT = "Delete messages that are of no use any more."


def routes(store: Store, sending: MessageSending, inbox: Inbox) -> Routes:
    """The handlers."""

    # The operation ids of the tutorial; the reference calls this one by the name of another of its calls.
    @cloud.post(
        "/v2/messages/send",
        tag=PUSH_TAG,
        operation_id="applicationDetail",
        summary="Sends a push message to all phones of a user, or to one.",
        request=SendMessage,
    )
    async def send_message(request: Req, body: RawBody) -> SentMessage:
        told = await store.write(sending.send, principal_of(request), decode(body, SendMessage))
        return SentMessage(told.notice_id, len(told.push_ids))

    @cloud.post(
        MESSAGES,
        tag=INBOX_TAG,
        operation_id="sendMessage",
        summary="Puts a message into a user's inbox.",
        request=SendToInbox,
    )
    async def send_to_inbox(request: Req, body: RawBody) -> CloudInboxMessage:
        return _detail(*await store.write(inbox.send, principal_of(request), decode(body, SendToInbox)))

    @cloud.get(
        MESSAGES,
        tag=INBOX_TAG,
        operation_id="getMessageList",
        summary="The messages of a user's inbox in the applications of the back end, newest first.",
    )
    async def list_messages(
        request: Req,
        user_id: Annotated[str, QueryParameter(name="userId", **_USER)],
        only_unread: Annotated[bool, QueryParameter(name="onlyUnread")] = False,  # noqa: FBT002 - a query parameter
        page_number: PageNumber = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
    ) -> CloudInboxList:
        skipped = rows_before(page_number, page_size, _WAY_OUT)
        found = await store.read(inbox.page, principal_of(request), user_id, only_unread, page_size, skipped)
        return CloudInboxList([_item(one) for one in found])

    @cloud.get(f"{MESSAGES}/{{message_id:str}}", tag=INBOX_TAG, operation_id="getMessage", summary="One message.")
    async def get_message(request: Req, message_id: FromPath[str]) -> CloudInboxMessage:
        return _detail(*await store.read(inbox.get, principal_of(request), message_id))

    @cloud.delete(
        f"{MESSAGES}/{{message_id:str}}",
        tag=INBOX_TAG,
        operation_id="deleteMessage",
        summary="Takes a message out of the user's inbox.",
    )
    async def delete_message(request: Req, message_id: FromPath[str]) -> Ok:
        await store.write(inbox.delete, principal_of(request), message_id)
        return Ok()

    return Routes(internal=[send_message, send_to_inbox, list_messages, get_message, delete_message])


def _item(message: InboxMessage) -> CloudInboxItem:
    return CloudInboxItem(
        id=message.id,
        user_id=message.user_id,
        type=message.type,
        subject=message.subject,
        summary=message.summary,
        read=message.is_read,
        timestamp=message.created_at,
    )


def _detail(message: InboxMessage, app_ids: list[str]) -> CloudInboxMessage:
    return CloudInboxMessage(
        id=message.id,
        user_id=message.user_id,
        type=message.type,
        subject=message.subject,
        summary=message.summary,
        body=message.body,
        read=message.is_read,
        timestamp=message.created_at,
        applications=app_ids,
    )
