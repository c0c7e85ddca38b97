"""The inbox: messages that stay until they are read, and longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.errors import InboxMessageNotFound, InboxRefused, Violation
from ringback.messages import queries_inbox as queries
from ringback.messages.audience import chosen_apps
from ringback.messages.model import Notice
from ringback.messages.model_inbox import InboxMessage, PhoneInbox
from ringback.principal import device
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.messages.needs import AppAccess, Audit, Telling
    from ringback.messages.schema_cloud import SendToInbox
    from ringback.messages.schema_mobile import InboxPage
    from ringback.principal import Principal

PUSH_TYPE = "mtoken.inboxMessage.new"
READ_AT_A_TIME = 500
_encode = msgspec.json.Encoder().encode


class Inbox:
    """Units of work. A message belongs to a user and is shown in some apps; read in one of them, it is read."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, access: AppAccess, messages: Telling, audit: Audit
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._access = access
        self._messages = messages
        self._audit = audit

    # back ends --------------------------------------------------------------------------------------------------------

    async def send(self, tx: Tx, principal: Principal, command: SendToInbox) -> tuple[InboxMessage, list[str]]:
        """A new message, and a push that tells of it; returns it and its apps. Raises AppNotFound, InboxRefused."""
        app_ids = await chosen_apps(tx, self._access, principal, command.applications)
        for field in ("subject", "summary", "body"):
            if not getattr(command, field).strip():
                raise _blank(field)
        message = InboxMessage(
            id=new_id(self._clock, self._randomness),
            user_id=command.user_id,
            type=command.type,
            subject=command.subject,
            summary=command.summary,
            body=command.body,
            is_read=False,
            read_at=None,
            created_at=self._clock.now_ms(),
        )
        if not command.silent:
            await self._messages.tell(tx, _notice(message, app_ids))
        await tx.run(queries.insert_message, *msgspec.structs.astuple(message))
        await tx.run(queries.insert_places, message.user_id, message.id, _encode(app_ids).decode())
        await self._record(tx, principal, "inbox.send", message, app_ids)
        return message, app_ids

    async def page(
        self,
        tx: Tx,
        principal: Principal,
        user_id: str,
        only_unread: bool,  # noqa: FBT001 - units take their arguments by position
        limit: int,
        skipped: int,
    ) -> list[InboxMessage]:
        """A page of a user's messages in the principal's apps, newest first."""
        app_ids = await self._access.apps_of(tx, principal)
        if not app_ids or "\0" in user_id:
            return []
        query = queries.unread_page_of_user if only_unread else queries.page_of_user
        known = _encode(sorted(app_ids)).decode()
        return await self._messages_by_ids(tx, await tx.all(query, user_id, known, limit, skipped))

    async def get(self, tx: Tx, principal: Principal, message_id: str) -> tuple[InboxMessage, list[str]]:
        """A message, and in which of the principal's apps it is shown. Raises InboxMessageNotFound."""
        if "\0" in message_id:
            raise InboxMessageNotFound
        message = await tx.one(queries.message_by_id, message_id)
        shown_in = set(await tx.all(queries.apps_of_message, message_id))
        shown = sorted(shown_in & await self._access.apps_of(tx, principal))
        if message is None or not shown:
            raise InboxMessageNotFound
        return message, shown

    async def delete(self, tx: Tx, principal: Principal, message_id: str) -> None:
        """Takes a message out of the principal's apps; forgets it when no app shows it. Raises InboxMessageNotFound."""
        message, app_ids = await self.get(tx, principal, message_id)
        if await tx.one(queries.message_to_delete, message.id) is None:
            raise InboxMessageNotFound
        left = set(await tx.all(queries.apps_of_message, message.id)) - set(app_ids)
        await tx.run(queries.delete_places, message.id, _encode(app_ids).decode())
        if not left:
            await tx.run(queries.delete_message, message.id)
        await self._record(tx, principal, "inbox.delete", message, app_ids)

    # phones -----------------------------------------------------------------------------------------------------------

    async def count(self, tx: Tx, inbox: PhoneInbox) -> int:
        """How many messages are unread; at most 10,000 are counted."""
        return await tx.one(queries.count_unread, inbox.user_id, inbox.app_id) or 0

    async def page_of_phone(self, tx: Tx, inbox: PhoneInbox, wanted: InboxPage) -> list[InboxMessage]:
        """A page of what the phone may see, newest first."""
        query = queries.unread_page_of_phone if wanted.only_unread else queries.page_of_phone
        skipped = wanted.page * wanted.size
        return await self._messages_by_ids(tx, await tx.all(query, inbox.user_id, inbox.app_id, wanted.size, skipped))

    async def message_of_phone(self, tx: Tx, inbox: PhoneInbox, message_id: str) -> InboxMessage | None:
        """One message; None when this phone has none of this id."""
        if await tx.one(queries.place, inbox.user_id, inbox.app_id, message_id) is None:
            return None
        return await tx.one(queries.message_by_id, message_id)

    async def read(self, tx: Tx, inbox: PhoneInbox, message_id: str) -> bool:
        """The user has read a message; False when this phone has none of this id. Read again, it stays as it is."""
        message = await self.message_of_phone(tx, inbox, message_id)
        if message is None:
            return False
        if not message.is_read:
            await self._mark(tx, [message.id])
            await self._record(tx, device(inbox.registration_id), "inbox.read", message, [inbox.app_id])
        return True

    async def newest(self, tx: Tx, inbox: PhoneInbox) -> str | None:
        """The id of the newest message that the phone may see."""
        return await tx.one(queries.newest, inbox.user_id, inbox.app_id)

    async def read_all(self, tx: Tx, inbox: PhoneInbox, newest_id: str) -> bool:
        """The user has read what came up to this message: up to 500 messages; True when there may be more."""
        found = await tx.all(queries.oldest_unread, inbox.user_id, inbox.app_id, newest_id, READ_AT_A_TIME)
        if not found:
            return False
        await self._mark(tx, found)
        await self._audit.record(
            tx,
            device(inbox.registration_id),
            "inbox.read_all",
            subject_kind="registration",
            subject_id=inbox.registration_id,
            app_id=inbox.app_id,
            user_id=inbox.user_id,
            details={"messages": len(found)},
        )
        return len(found) == READ_AT_A_TIME

    # inside -----------------------------------------------------------------------------------------------------------

    async def _mark(self, tx: Tx, message_ids: Sequence[str]) -> None:
        listed = _encode(message_ids).decode()
        await tx.run(queries.mark_messages_read, listed, self._clock.now_ms())
        await tx.run(queries.mark_places_read, listed)

    @staticmethod
    async def _messages_by_ids(tx: Tx, ids: Sequence[str]) -> list[InboxMessage]:
        if not ids:
            return []
        found = await tx.all(queries.messages_by_ids, _encode(ids).decode())
        return sorted(found, key=lambda one: one.id, reverse=True)

    async def _record(
        self, tx: Tx, principal: Principal, action: str, message: InboxMessage, app_ids: Sequence[str]
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="inbox_message",
            subject_id=message.id,
            app_id=app_ids[0] if len(app_ids) == 1 else None,
            user_id=message.user_id,
        )


def _notice(message: InboxMessage, app_ids: Sequence[str]) -> Notice:
    return Notice(
        user_id=message.user_id,
        app_ids=tuple(app_ids),
        title=message.subject,
        message=message.summary,
        extras={"messageType": PUSH_TYPE, "inboxId": message.id},
        sound="default",
        subject_kind="inbox",
        subject_id=message.id,
    )


def _blank(field: str) -> InboxRefused:
    hint = "Must not be blank."
    return InboxRefused(f"{field}: {hint}", violations=(Violation(field, None, hint),))
