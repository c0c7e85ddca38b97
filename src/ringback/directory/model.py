"""What is kept about a user."""

from __future__ import annotations

from typing import Any

import msgspec


class User(msgspec.Struct, frozen=True):
    """A person that may log in: a row of `users`. `password_hash`: argon2id, encoded; None = there is no password."""

    id: str
    display_name: str | None
    password_hash: str | None
    disabled: bool
    created_at: int
    password_at: int | None
    version: int

    def __repr__(self) -> str:
        return f"User({self.id})"


class StoredClaims(msgspec.Struct, frozen=True):
    """The claims of a user of an app: a row of `user_claims`. `updated_at`: Unix milliseconds."""

    claims: dict[str, Any]
    updated_at: int
    version: int


def claims_row(claims: str, updated_at: int, version: int) -> StoredClaims:
    """A row of the database; the claims are JSON there."""
    return StoredClaims(msgspec.json.decode(claims, type=dict[str, Any]), updated_at, version)
