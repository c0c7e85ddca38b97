"""Lists of registrations and their labels over the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.devices.schema import RegistrationItem, Text255

Flag = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class RegistrationSummary(RegistrationItem, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A registration in the list of an app."""

    user_id: str


class RegistrationPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some registrations, oldest first; `nextCursor` asks for the next ones, null when these were the last.

    A page may be short, or empty, and yet have a `nextCursor`.
    """

    items: list[RegistrationSummary]
    next_cursor: str | None


class ChangeFlags(msgspec.Struct, frozen=True, rename="camel"):
    """POST, PUT and DELETE /v2/registrations/{id}/flags."""

    flags: Annotated[list[Flag], msgspec.Meta(max_length=100)]
    external_user_id: Text255 | None = None


class RegistrationFlags(msgspec.Struct, frozen=True, rename="camel"):
    """The flags of a registration: labels that mean something to the back end, and to operations that need one."""

    registration_id: str
    flags: tuple[str, ...]


class ChangeName(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /v2/registrations/{id}/name."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    external_user_id: Text255 | None = None
