"""Messages that a back end sends: to all phones of a user, or to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.errors import PushMessageRefused, Violation, invalid_field
from ringback.messages.audience import chosen_apps
from ringback.messages.content import check_notice
from ringback.messages.extras import checked_extras
from ringback.messages.model import Notice, Style, Text, Told
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.messages.needs import AppAccess, Audit, Telling
    from ringback.messages.schema_cloud import SendMessage
    from ringback.messages.schema_native import CreateMessage
    from ringback.principal import Principal

MOST_COLLAPSE_ID_BYTES = 64
_encode = msgspec.json.Encoder().encode


class MessageSending:
    """Units of work. A user or a phone that is not known is no error: nobody is reached, and the notice says why."""

    def __init__(self, *, clock: Clock, access: AppAccess, messages: Telling, audit: Audit) -> None:
        self._clock = clock
        self._access = access
        self._messages = messages
        self._audit = audit

    async def send(self, tx: Tx, principal: Principal, command: SendMessage) -> Told:
        """POST /v2/messages/send. Raises AppNotFound, PushMessageRefused, InvalidRequest."""
        if not command.silent:
            for field in ("title", "message"):
                if not (getattr(command, field) or "").strip():
                    hint = f"{field.capitalize()} must not be blank"
                    raise PushMessageRefused(hint, violations=(Violation(field, None, hint),))
        notice = Notice(
            user_id=command.user_id,
            app_ids=tuple(await chosen_apps(tx, self._access, principal, None)),
            title=command.title or "",
            message=command.message or "",
            extras=checked_extras(command.extras),
            sound=command.sound,
            registration_id=command.registration_id,
            silent=bool(command.silent),
            subject_kind="message",
        )
        return await self._tell(tx, principal, notice)

    async def create(self, tx: Tx, principal: Principal, command: CreateMessage) -> Told:
        """POST /api/v1/messages. Raises AppNotFound, InvalidRequest."""
        self._check(command)
        notice = Notice(
            user_id=command.user_id,
            app_ids=tuple(await chosen_apps(tx, self._access, principal, command.app_ids)),
            title=command.title or "",
            message=command.message or "",
            texts={language: Text(one.title, one.message) for language, one in (command.texts or {}).items()},
            extras=checked_extras(command.extras),
            sound=command.sound,
            registration_id=command.registration_id,
            deadline_ms=command.timestamp_expires,
            silent=command.silent,
            style=Style(
                badge=command.badge,
                icon=command.icon,
                category=command.category,
                collapse_id=command.collapse_id,
                thread=command.thread,
                title_loc_key=command.title_loc_key,
                title_loc_args=command.title_loc_args,
                body_loc_key=command.message_loc_key,
                body_loc_args=command.message_loc_args,
            ),
            subject_kind="message",
        )
        return await self._tell(tx, principal, notice)

    async def _tell(self, tx: Tx, principal: Principal, notice: Notice) -> Told:
        check_notice(notice)
        told = await self._messages.tell(tx, notice)
        await self._audit.record(
            tx,
            principal,
            "message.send",
            subject_kind="message",
            subject_id=told.notice_id,
            app_id=notice.app_ids[0] if len(notice.app_ids) == 1 else None,
            user_id=notice.user_id,
            details={"pushes": len(told.push_ids), "silent": notice.silent},
        )
        return told

    def _check(self, command: CreateMessage) -> None:
        said = [bool((command.title or "").strip()), bool(command.texts), bool(command.title_loc_key)]
        if not command.silent and sum(said) != 1:
            raise invalid_field("title", "Send one of title, texts and titleLocKey.")
        if command.texts and (command.message or "").strip():
            raise invalid_field("message", "With texts, each of them has its message.")
        if len((command.collapse_id or "").encode()) > MOST_COLLAPSE_ID_BYTES:
            raise invalid_field("collapseId", f"At most {MOST_COLLAPSE_ID_BYTES} bytes in UTF-8.")
        expires = command.timestamp_expires
        if expires is not None and expires <= self._clock.now_ms():
            raise invalid_field("timestampExpires", "This time must be in the future.", expires)
