"""A message in a user's inbox."""

from __future__ import annotations

from typing import Literal

import msgspec

MessageType = Literal["text", "html"]


class InboxMessage(msgspec.Struct, frozen=True):
    """A message as it is stored. It is read once for all apps that show it."""

    id: str
    user_id: str
    type: MessageType
    subject: str
    summary: str
    body: str
    is_read: bool
    read_at: int | None
    created_at: int


class PhoneInbox(msgspec.Struct, frozen=True):
    """Whose inbox in which app, as a MAC token proved."""

    registration_id: str
    user_id: str
    app_id: str
