"""What the command line can ask of an installation, the same whether a server runs or not.

Each takes plain arguments and returns plain values, so that it can travel over the control socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ringback.access import CreateUser
from ringback.apps import push_credential_content
from ringback.directory import CreateUser as CreatePerson
from ringback.errors import StartRefused
from ringback.installation import Installation, key_file_of, rotate_instance_key
from ringback.messages import NewCampaign, PushesWanted, UserIds, campaign_detail, campaign_item, show_trace
from ringback.principal import Principal
from ringback.server import Rooms
from ringback.store import locate
from ringback.store.backup import backup

T = TypeVar("T")


async def create_user(installation: Installation, rooms: Rooms, *, name: str, role: str, by: str) -> dict[str, str]:
    """A new system user; the password is returned this once."""
    if role not in ("admin", "integration"):
        raise StartRefused("The role is admin or integration.")
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


async def create_person(
    installation: Installation, rooms: Rooms, *, user: str, display_name: str | None, password: str | None, by: str
) -> dict[str, Any]:
    """A user of the directory; a password that is made here is returned this once."""
    chosen = password or rooms.passwords.new_password()
    new = _converted({"userId": user, "displayName": display_name, "password": chosen}, CreatePerson)
    hashed = await rooms.passwords.hash_password(chosen)
    arguments = (Principal("cli", by), new.user_id, new.display_name, hashed, False)
    await installation.store.write(rooms.users.create, *arguments)
    return {"userId": user, "password": None if password else chosen}


async def set_persons_password(
    installation: Installation, rooms: Rooms, *, user: str, password: str | None, by: str
) -> dict[str, Any]:
    """Another password of a user; one that is made here is returned this once."""
    chosen = password or rooms.passwords.new_password()
    _converted({"userId": user, "password": chosen}, CreatePerson)
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


async def create_campaign(installation: Installation, rooms: Rooms, *, content: Any, by: str) -> Any:
    """A new campaign, to be started."""
    try:
        command = msgspec.convert(content, NewCampaign)
    except msgspec.ValidationError as error:
        raise StartRefused(f"The campaign cannot be made: {error}.", cause=error) from error
    made = await installation.store.write(rooms.campaigns.create, Principal("cli", by), command)
    return msgspec.to_builtins(campaign_item(made))


async def add_campaign_users(
    installation: Installation, rooms: Rooms, *, campaign_id: str, users: list[str], by: str
) -> Any:
    """More users of a campaign that was not started."""
    try:
        named = msgspec.convert(users, UserIds)
    except msgspec.ValidationError as error:
        raise StartRefused(f"A user id has 1 to 255 characters: {error}.", cause=error) from error
    changed = await installation.store.write(rooms.campaigns.add_users, Principal("cli", by), campaign_id, named)
    return msgspec.to_builtins(campaign_item(changed))


async def start_campaign(installation: Installation, rooms: Rooms, *, campaign_id: str, by: str) -> Any:
    """Begins to tell the users."""
    principal, store = Principal("cli", by), installation.store
    reached = await store.read(rooms.campaigns.count_reached, principal, campaign_id)
    return msgspec.to_builtins(campaign_item(await store.write(rooms.campaigns.start, principal, campaign_id, reached)))


async def show_campaign(installation: Installation, rooms: Rooms, *, campaign_id: str, by: str) -> Any:
    """How far a campaign is."""
    campaign = await installation.store.read(rooms.campaigns.get, Principal("cli", by), campaign_id)
    pushes = await installation.store.read(rooms.campaigns.pushes, campaign_id)
    return msgspec.to_builtins(campaign_detail(campaign, pushes))


async def why_push(
    installation: Installation,
    rooms: Rooms,
    *,
    push_id: str = "",
    user_id: str = "",
    limit: int = 10,
) -> Any:
    """What became of a push or a notice, or of the newest notices of a user; whoever runs the server sees all apps."""
    store = installation.store
    if push_id:
        found = [await store.read(rooms.tracing.trace, None, push_id)]
    else:
        found, _ = await store.read(rooms.tracing.traces, None, PushesWanted(user_id, limit=limit))
    return msgspec.to_builtins([show_trace(one) for one in found])


async def put_push_credential(
    installation: Installation,  # noqa: ARG001
    rooms: Rooms,
    *,
    app: str,
    kind: str,
    content: dict[str, Any],
    by: str,
) -> Any:
    """What an app pushes with, in the place of what it had of this kind."""
    checked = push_credential_content(kind, content)
    return msgspec.to_builtins(await rooms.push.desk.put(Principal("cli", by), app, checked))


async def list_push_credentials(installation: Installation, rooms: Rooms, *, app: str) -> Any:  # noqa: ARG001
    """What an app pushes with."""
    return msgspec.to_builtins(await rooms.push.desk.all(app))


async def clear_push_credentials(
    installation: Installation,  # noqa: ARG001
    rooms: Rooms,
    *,
    app: str,
    kind: Any,
    by: str,
) -> Any:
    """Forgets one push credential of an app, or without a kind all of them."""
    principal = Principal("cli", by)
    await (rooms.push.desk.remove(principal, app, kind) if kind else rooms.push.desk.clear(principal, app))
    return {"app": app}


async def try_push_credential(installation: Installation, rooms: Rooms, *, app: str, kind: Any) -> Any:  # noqa: ARG001
    """Asks the provider whether it takes a push credential."""
    return msgspec.to_builtins(await rooms.push.desk.try_out(app, kind))


COMMANDS: dict[str, Callable[..., Awaitable[Any]]] = {
    "create_user": create_user,
    "user_create": create_person,
    "user_password": set_persons_password,
    "user_disabled": set_person_disabled,
    "user_list": list_persons,
    "user_delete": delete_person,
    "backup": backup_database,
    "rotate_keys": rotate_keys,
    "create_campaign": create_campaign,
    "add_campaign_users": add_campaign_users,
    "start_campaign": start_campaign,
    "show_campaign": show_campaign,
    "why_push": why_push,
    "put_push_credential": put_push_credential,
    "list_push_credentials": list_push_credentials,
    "clear_push_credentials": clear_push_credentials,
    "try_push_credential": try_push_credential,
}
