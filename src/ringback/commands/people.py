"""Commands about the people of the directory, who may log in."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ringback.directory import CreateUser
from ringback.errors import StartRefused
from ringback.installation import Installation
from ringback.principal import Principal
from ringback.server import Rooms

T = TypeVar("T")


async def create_person(
    installation: Installation, rooms: Rooms, *, user: str, display_name: str | None, password: str | None, by: str
) -> dict[str, Any]:
    """A user of the directory; a password that is made here is returned this once."""
    chosen = password or rooms.passwords.new_password()
    new = _converted({"userId": user, "displayName": display_name, "password": chosen}, CreateUser)
    hashed = await rooms.passwords.hash_password(chosen)
    arguments = (Principal("cli", by), new.user_id, new.display_name, hashed, False)
    await installation.store.write(rooms.users.create, *arguments)
    return {"userId": user, "password": None if password else chosen}


async def set_persons_password(
    installation: Installation, rooms: Rooms, *, user: str, password: str | None, by: str
) -> dict[str, Any]:
    """Another password of a user; one that is made here is returned this once."""
    chosen = password or rooms.passwords.new_password()
    _converted({"userId": user, "password": chosen}, CreateUser)
    hashed = await rooms.passwords.hash_password(chosen)
    await installation.store.write(rooms.users.set_password, Principal("cli", by), user, hashed)
    return {"userId": user, "password": None if password else chosen}


async def set_person_disabled(
    installation: Installation, rooms: Rooms, *, user: str, disabled: bool, by: str
) -> dict[str, Any]:
    """Keeps a user out, or lets it in again."""
    principal = Principal("cli", by)
    changed = await installation.store.write(rooms.users.change, principal, user, msgspec.UNSET, disabled)
    return {"userId": user, "disabled": changed.disabled}


async def list_persons(installation: Installation, rooms: Rooms, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Users by id, from the first one after `after`."""
    found = await installation.store.read(rooms.users.page, after, limit)
    return [
        {
            "userId": user.id,
            "displayName": user.display_name,
            "disabled": user.disabled,
            "createdAt": user.created_at,
            "passwordAt": user.password_at,
        }
        for user in found
    ]


async def delete_person(installation: Installation, rooms: Rooms, *, user: str, by: str) -> dict[str, Any]:
    """Forgets the login of a user, and its UDS devices."""
    await installation.store.write(rooms.users.delete, Principal("cli", by), user)
    return {"userId": user}


def _converted(fields: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        raise StartRefused(f"{error}.", cause=error) from error
