"""Commands about the installation itself: its system users, its database, its keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from ringback.access import CreateUser
from ringback.errors import StartRefused
from ringback.installation import Installation, key_file_of, rotate_instance_key
from ringback.principal import Principal
from ringback.server import Rooms
from ringback.store import locate
from ringback.store.backup import backup


async def create_user(installation: Installation, rooms: Rooms, *, name: str, role: str, by: str) -> dict[str, str]:
    """A new system user; the password is returned this once."""
    if role not in ("admin", "integration", "sip-proxy"):
        raise StartRefused("The role is admin, integration or sip-proxy.")
    try:
        msgspec.convert({"username": name}, CreateUser)
    except msgspec.ValidationError as error:
        raise StartRefused(
            "A user name has 1 to 255 characters, none of them a colon, slash, question mark, hash or control.",
            cause=error,
        ) from error
    principal = Principal("cli", by)
    created = await installation.store.write(rooms.access.create_user, principal, name, role)
    return {"username": name, "role": role, "password": created.password}


async def backup_database(installation: Installation, rooms: Rooms, *, target: str) -> dict[str, str]:  # noqa: ARG001
    """A backup into a new file, in a thread: the copy runs in C."""
    settings = installation.settings
    location = locate(settings.database_url or None, settings.data_folder)
    await asyncio.to_thread(backup, location, Path(target))
    return {"file": target}


async def rotate_keys(installation: Installation, rooms: Rooms) -> dict[str, Any]:  # noqa: ARG001
    """A new instance key; the old one is kept aside."""
    key_file = key_file_of(installation.settings)
    key_id, kept = await rotate_instance_key(installation.store, key_file, installation.clock, installation.randomness)
    return {"instance_key": key_id, "key_file": str(key_file.path), "kept": [str(path) for path in kept]}
