"""What phones call: the inbox (Mobile Token API, Inbox)."""

from __future__ import annotations

import time

from litestar.params import RawBody

from ringback.devices import MacTokenCheck, MacTokenOutcome, read_token_header
from ringback.errors import (
    AuthenticationFailed,
    InvalidActivation,
    InvalidInboxMessage,
    InvalidMobileRequest,
    MobileTokenFailed,
)
from ringback.http import Envelope, Ok, Req, Routes, decode, mobile
from ringback.messages.inbox import Inbox
from ringback.messages.model_inbox import InboxMessage, PhoneInbox
from ringback.messages.needs import Phones
from ringback.messages.schema_mobile import (
    MOST_SKIPPED,
    InboxCount,
    InboxIdRequest,
    InboxListRequest,
    InboxRequest,
    MobileInboxItem,
    MobileInboxMessage,
)
from ringback.protocols.powerauth.headers import TOKEN_HEADER
from ringback.store import Store, Tx

TAG = "Inbox"
_BASE = "/api/inbox"


def routes(store: Store, devices: Phones, inbox: Inbox) -> Routes:  # noqa: C901 - a list
    """The handlers."""

    async def authenticated(request: Req) -> PhoneInbox:
        """Whose inbox the request's MAC token proves."""
        return _inbox_of(await store.write(devices.check_mac_token, _check(request)))

    @mobile.post(
        f"{_BASE}/count",
        tag=TAG,
        operation_id="mobileInboxCount",
        summary="How many messages are unread.",
        request=InboxRequest,
        header=[TOKEN_HEADER],
    )
    async def inbox_count(request: Req) -> Envelope[InboxCount]:
        whose = await authenticated(request)
        return Envelope(InboxCount(await store.read(inbox.count, whose)))

    @mobile.post(
        f"{_BASE}/message/list",
        tag=TAG,
        operation_id="mobileInboxList",
        summary="A page of messages, newest first.",
        request=InboxListRequest,
        header=[TOKEN_HEADER],
    )
    async def inbox_list(request: Req, body: RawBody) -> Envelope[list[MobileInboxItem]]:
        whose = await authenticated(request)
        wanted = decode(body, InboxListRequest, optional=True).request_object
        if wanted.page * wanted.size > MOST_SKIPPED:
            raise InvalidMobileRequest(f"At most {MOST_SKIPPED} messages may lie before a page.")
        found = await store.read(inbox.page_of_phone, whose, wanted)
        return Envelope([_item(one) for one in found])

    @mobile.post(
        f"{_BASE}/message/detail",
        tag=TAG,
        operation_id="mobileInboxDetail",
        summary="A message with its body; it stays unread.",
        request=InboxIdRequest,
        header=[TOKEN_HEADER],
    )
    async def inbox_detail(request: Req, body: RawBody) -> Envelope[MobileInboxMessage]:
        whose = await authenticated(request)
        message_id = decode(body, InboxIdRequest).request_object.id
        found = await store.read(inbox.message_of_phone, whose, message_id)
        if found is None:
            raise InvalidInboxMessage
        return Envelope(_detail(found))

    @mobile.post(
        f"{_BASE}/message/read",
        tag=TAG,
        operation_id="mobileInboxRead",
        summary="The user has read a message.",
        request=InboxIdRequest,
        header=[TOKEN_HEADER],
    )
    async def inbox_read(request: Req, body: RawBody) -> Ok:
        check = _check(request)
        message_id = decode(body, InboxIdRequest).request_object.id

        async def read(tx: Tx) -> tuple[MacTokenOutcome, bool]:
            outcome = await devices.check_mac_token(tx, check)
            return outcome, outcome.valid and await inbox.read(tx, _inbox_of(outcome), message_id)

        outcome, known = await store.write(read)
        _inbox_of(outcome)
        if not known:
            raise InvalidInboxMessage
        return Ok()

    @mobile.post(
        f"{_BASE}/message/read-all",
        tag=TAG,
        operation_id="mobileInboxReadAll",
        summary="The user has read all messages that there are.",
        request=InboxRequest,
        header=[TOKEN_HEADER],
    )
    async def inbox_read_all(request: Req) -> Ok:
        whose = await authenticated(request)
        # What is stored while this runs stays unread. An id says where that begins, and no time does: the servers that
        # store messages have clocks of their own.
        newest_id = await store.read(inbox.newest, whose)
        # In small units, so that an inbox that nobody has read for years holds nobody up.
        while newest_id is not None and await store.write(inbox.read_all, whose, newest_id):
            pass
        return Ok()

    return Routes(public=[inbox_count, inbox_list, inbox_detail, inbox_read, inbox_read_all])


def format_time(at_ms: int) -> str:
    """`2022-08-25T22:34:58.702+00:00`, as the inbox of the reference writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000)) + f".{at_ms % 1000:03d}+00:00"


def _check(request: Req) -> MacTokenCheck:
    try:
        return MacTokenCheck(read_token_header(request.headers))
    except AuthenticationFailed as error:
        raise MobileTokenFailed(cause=error) from error


def _inbox_of(outcome: MacTokenOutcome) -> PhoneInbox:
    """Whose it is, or the refusal."""
    if not outcome.valid or outcome.user_id is None or outcome.app_id is None:
        raise InvalidActivation if outcome.proven else MobileTokenFailed
    return PhoneInbox(outcome.registration_id, outcome.user_id, outcome.app_id)


def _item(message: InboxMessage) -> MobileInboxItem:
    return MobileInboxItem(
        id=message.id,
        type=message.type,
        subject=message.subject,
        summary=message.summary,
        read=message.is_read,
        timestamp_created=format_time(message.created_at),
    )


def _detail(message: InboxMessage) -> MobileInboxMessage:
    return MobileInboxMessage(
        id=message.id,
        type=message.type,
        subject=message.subject,
        summary=message.summary,
        body=message.body,
        read=message.is_read,
        timestamp_created=format_time(message.created_at),
    )
