"""The native API: messages with texts by language, and why a push was or was not sent."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.errors import invalid_field
from ringback.http import (
    Cursor,
    IdempotencyKeys,
    Limit,
    Req,
    Routes,
    decode,
    make_cursor,
    native,
    open_cursor,
    principal_of,
)
from ringback.messages.model_tracing import PushesWanted
from ringback.messages.schema_native import CreatedMessage, CreateMessage, MessageStatus, PushPage, PushTrace
from ringback.messages.sending import MessageSending
from ringback.messages.showing import show_message, show_trace
from ringback.messages.tracing import Tracing
from ringback.principal import Principal
from ringback.store import Store, Tx

TAG = "Messages"
IDEMPOTENCY_KEY = "Idempotency-Key"
_ID: dict[str, Any] = {"max_length": 255, "pattern": r"^[^\x00]*$"}


def routes(store: Store, sending: MessageSending, tracing: Tracing, idempotency_keys: IdempotencyKeys) -> Routes:
    """The handlers."""

    async def create(tx: Tx, principal: Principal, command: CreateMessage) -> CreatedMessage:
        told = await sending.create(tx, principal, command)
        return CreatedMessage(told.notice_id, list(told.push_ids))

    @native.post(
        "/messages",
        tag=TAG,
        operation_id="createMessage",
        summary="Sends a message to the phones of a user, each in its own language.",
        role="integration",
        status=201,
        request=CreateMessage,
        optional_header=[IDEMPOTENCY_KEY],
    )
    async def create_message(request: Req, body: RawBody) -> CreatedMessage:
        command = decode(body, CreateMessage)
        return await store.write(
            idempotency_keys.once, request, body, CreatedMessage, create, principal_of(request), command
        )

    @native.get(
        "/messages/{message_id:str}",
        tag=TAG,
        operation_id="getMessageStatus",
        summary="What became of a message, or of an inbox message, at each push token.",
        role="any",
    )
    async def get_message(request: Req, message_id: FromPath[str]) -> MessageStatus:
        return show_message(await store.read(tracing.of_message, principal_of(request), message_id))

    @native.get(
        "/pushes/{push_id:str}",
        tag=TAG,
        operation_id="getPush",
        summary="Which push tokens were considered, why each was or was not used, and what became of the pushes.",
        role="any",
    )
    async def get_push(request: Req, push_id: FromPath[str]) -> PushTrace:
        return show_trace(await store.read(tracing.of_push, principal_of(request), push_id))

    @native.get(
        "/pushes",
        tag=TAG,
        operation_id="listPushes",
        summary="The same of all that a user was told, or that is about an operation or a message, newest first.",
        role="any",
    )
    async def list_pushes(
        request: Req,
        user_id: Annotated[str, QueryParameter(name="userId", **_ID)] = "",
        operation_id: Annotated[str, QueryParameter(name="operationId", **_ID)] = "",
        message_id: Annotated[str, QueryParameter(name="messageId", **_ID)] = "",
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> PushPage:
        if sum(map(bool, (user_id, operation_id, message_id))) != 1:
            raise invalid_field("userId", "Send one of userId, operationId and messageId.")
        wanted = PushesWanted(user_id, operation_id or message_id, open_cursor(cursor), limit)
        found, following = await store.read(tracing.page, principal_of(request), wanted)
        return PushPage([show_trace(one) for one in found], None if following is None else make_cursor(following))

    return Routes(internal=[create_message, get_message, get_push, list_pushes])
