"""System users as the PowerAuth Cloud admin API shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Username = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f:/?#]+$")]


class CreateUser(msgspec.Struct, frozen=True):
    """POST /powerauth-cloud/admin/users."""

    username: Username


class User(msgspec.Struct, frozen=True):
    """A system user."""

    username: str
    enabled: bool
    role: list[str]
    applications: list[str]


class UserWithPassword(User, frozen=True):
    """A system user in the one answer that shows the password."""

    password: str


class UserList(msgspec.Struct, frozen=True):
    """One page of system users, by name."""

    users: list[User]
