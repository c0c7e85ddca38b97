"""Users of the directory as the native API shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from ringback.directory.passwords import LONGEST, SHORTEST

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f:/?#]+$")]
DisplayName = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
ChosenPassword = Annotated[str, msgspec.Meta(min_length=SHORTEST, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CreateUser(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/v1/users. Without a password nobody can log in as the user until one is set."""

    user_id: UserId
    display_name: DisplayName | None = None
    password: ChosenPassword | None = None
    disabled: bool = False


class ChangeUser(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /api/v1/users/{userId}: what is absent stays; `displayName` null is none."""

    display_name: DisplayName | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class SetPassword(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /api/v1/users/{userId}/password. Without a password one is made, and shown this once."""

    password: ChosenPassword | None = None


class DirectoryUser(msgspec.Struct, frozen=True, rename="camel"):
    """A user. `passwordAt`: since when it has its password, in Unix milliseconds; null = it has none."""

    user_id: str
    display_name: str | None
    disabled: bool
    created_at: int
    password_at: int | None


class DirectoryUserPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some users, by id; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[DirectoryUser]
    next_cursor: str | None


class PasswordSet(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The new password, where the server made it."""

    user_id: str
    password: str | None = None
