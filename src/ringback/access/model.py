"""System users."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["admin", "integration", "sip-proxy"]
"""`sip-proxy`: it may ask for what proves subscribers, and have phones woken; nothing else."""
PASSWORD_PURPOSE = "system_user_password"  # noqa: S105 - the name of a purpose
PASSWORD_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"  # noqa: S105 - an alphabet
PASSWORD_LENGTH = 24
"""24 of 57 characters: 139 bits, so that a keyed hash is enough to store it (design: secrets that we generate)."""


class SystemUser(msgspec.Struct, frozen=True):
    """A back end or an administrator that calls our API."""

    username: str
    role: Role
    password_fingerprint: bytes
    enabled: bool
    created_at: int
    version: int


class GrantedApp(msgspec.Struct, frozen=True):
    """A row of system_user_apps: the user may use the app."""

    username: str
    app_id: str


class UserWithApps(msgspec.Struct, frozen=True):
    """A system user and the apps that were given to it."""

    user: SystemUser
    apps: tuple[str, ...] = ()


class CreatedUser(msgspec.Struct, frozen=True):
    """A user with its new password, which is shown this once."""

    user: SystemUser
    password: str

    def __repr__(self) -> str:
        return f"CreatedUser({self.user.username}, password not shown)"
