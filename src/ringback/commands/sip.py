"""Commands about domains and subscribers."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ringback.directory import (
    Address,
    ChangeDomain,
    ChangeSubscriber,
    CreateDomain,
    CreateSubscriber,
    Ha1,
    ImportedLine,
    NewSubscriber,
    Preferences,
    SetPreferences,
    SetSipPassword,
    Subscriber,
    effective,
    ha1_of,
)
from ringback.errors import RingbackError, StartRefused, SubscriberExists
from ringback.installation import Installation
from ringback.principal import Principal
from ringback.server import Rooms
from ringback.store import Tx

T = TypeVar("T")


# domains --------------------------------------------------------------------------------------------------------------


_NO_DOMAIN = "A domain is a host name: letters, digits and hyphens, with dots between them."


async def create_domain(
    installation: Installation, rooms: Rooms, *, domain: str, app_ids: list[str], by: str
) -> dict[str, Any]:
    """A new domain."""
    new = _converted({"domain": domain, "appIds": app_ids}, CreateDomain)
    arguments = (Principal("cli", by), new.domain, tuple(new.app_ids))
    made = await installation.store.write(rooms.sip_directory.domains.create, *arguments)
    return {"domain": made.name, "appIds": list(made.app_ids)}


async def list_domains(installation: Installation, rooms: Rooms, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Domains by name, from the first one after `after`."""
    found = await installation.store.read(rooms.sip_directory.domains.page, after, limit)
    return [{"domain": one.name, "appIds": list(one.app_ids), "createdAt": one.created_at} for one in found]


async def show_domain(installation: Installation, rooms: Rooms, *, domain: str) -> dict[str, Any]:
    """One domain with its preferences."""
    made = rooms.sip_directory
    found = await installation.store.read(made.domains.show, domain)
    shown = {"domain": found.name, "appIds": list(found.app_ids), "createdAt": found.created_at}
    held = effective(made.subscribers.built_in, found.preferences)
    return shown | {"preferences": msgspec.to_builtins(held)}


async def set_domain(
    installation: Installation,
    rooms: Rooms,
    *,
    domain: str,
    app_ids: list[str] | None,
    preferences: dict[str, Any],
    by: str,
) -> dict[str, Any]:
    """Other apps, other preferences; what is not said stays."""
    domains, principal = rooms.sip_directory.domains, Principal("cli", by)
    said = _converted(preferences, SetPreferences).said()
    apps = None if app_ids is None else _converted({"appIds": app_ids}, ChangeDomain).app_ids

    async def change(tx: Tx) -> None:
        if apps is not None and apps is not msgspec.UNSET:
            await domains.set_apps(tx, principal, domain, tuple(apps))
        await domains.set_preferences(tx, principal, domain, said, whole=False)

    await installation.store.write(change)
    return await show_domain(installation, rooms, domain=domain)


async def delete_domain(installation: Installation, rooms: Rooms, *, domain: str, by: str) -> dict[str, Any]:
    """Forgets a domain without subscribers."""
    await installation.store.write(rooms.sip_directory.domains.delete, Principal("cli", by), domain)
    return {"domain": domain}


# subscribers ----------------------------------------------------------------------------------------------------------


async def create_subscriber(
    installation: Installation,
    rooms: Rooms,
    *,
    address: str,
    user: str,
    display_name: str | None,
    password: str | None,
    by: str,
) -> dict[str, Any]:
    """A new subscriber; a password that is made here is returned this once."""
    at = _address(address)
    chosen = password or rooms.passwords.new_password()
    fields = {"username": at.username, "userId": user, "displayName": display_name, "password": chosen}
    wanted = _converted(fields, CreateSubscriber)
    realm = rooms.sip_directory.credentials.realm_of(at.domain)
    ha1 = {realm: ha1_of(at.username, realm, chosen)}
    new = NewSubscriber(at.domain, at.username, wanted.user_id, wanted.display_name, ha1=ha1)
    made = await installation.store.write(rooms.sip_directory.subscribers.create, Principal("cli", by), new)
    return {"subscriber": made.address, "userId": user, "password": None if password else chosen}


async def list_subscribers(
    installation: Installation, rooms: Rooms, *, domain: str, after: str, limit: int
) -> list[dict[str, Any]]:
    """Subscribers of a domain by name, from the first one after `after`."""
    found = await installation.store.read(rooms.sip_directory.subscribers.page, domain, after, limit)
    return [_shown(one) for one in found]


async def show_subscriber(installation: Installation, rooms: Rooms, *, address: str) -> dict[str, Any]:
    """One subscriber with its realms, its preferences and where it is reached."""
    made, at = rooms.sip_directory, _address(address)

    async def read(tx: Tx) -> dict[str, Any]:
        subscriber = await made.subscribers.show(tx, at.domain, at.username)
        domain = await made.domains.show(tx, at.domain)
        held = effective(made.subscribers.built_in, domain.preferences, subscriber.preferences)
        return _shown(subscriber) | {
            "realms": [note.realm for note in await made.credentials.notes(tx, subscriber.id)],
            "preferences": msgspec.to_builtins(held),
            "bindings": msgspec.to_builtins(await made.subscribers.bindings(tx, at.domain, at.username)),
        }

    return await installation.store.read(read)


async def set_subscriber(
    installation: Installation,
    rooms: Rooms,
    *,
    address: str,
    fields: dict[str, Any],
    preferences: dict[str, Any],
    by: str,
) -> dict[str, Any]:
    """Another user or name, whether it may be used, preferences; what is not said stays."""
    subscribers, principal, at = rooms.sip_directory.subscribers, Principal("cli", by), _address(address)
    wanted = msgspec.structs.asdict(_converted(fields, ChangeSubscriber))
    changed = {name: value for name, value in wanted.items() if value is not msgspec.UNSET}
    said = _converted(preferences, SetPreferences).said()

    async def change(tx: Tx) -> None:
        await subscribers.change(tx, principal, at.domain, at.username, changed)
        if said:
            await subscribers.set_preferences(tx, principal, at.domain, at.username, said, whole=False)

    await installation.store.write(change)
    return await show_subscriber(installation, rooms, address=address)


async def set_subscribers_password(
    installation: Installation, rooms: Rooms, *, address: str, password: str | None, realm: str | None, by: str
) -> dict[str, Any]:
    """Another password of SIP; one that is made here is returned this once."""
    at = _address(address)
    chosen = password or rooms.passwords.new_password()
    _converted({"password": chosen, "realm": realm}, SetSipPassword)
    arguments = (Principal("cli", by), at.domain, at.username, chosen, realm)
    changed = await installation.store.write(rooms.sip_directory.credentials.set_password, *arguments)
    return {"subscriber": changed.address, "password": None if password else chosen}


async def delete_subscriber(installation: Installation, rooms: Rooms, *, address: str, by: str) -> dict[str, Any]:
    """Forgets a subscriber."""
    at = _address(address)
    await installation.store.write(rooms.sip_directory.subscribers.delete, Principal("cli", by), at.domain, at.username)
    return {"subscriber": f"{at.username}@{at.domain.lower()}"}


# many at once ---------------------------------------------------------------------------------------------------------


async def check_subscribers(
    installation: Installation, rooms: Rooms, *, lines: list[dict[str, Any]], skip_existing: bool
) -> list[tuple[int, str]]:
    """What is wrong with lines of a file, by number; changes nothing."""
    wrong: list[tuple[int, str]] = []
    readable: list[tuple[int, NewSubscriber]] = []
    for fields in lines:
        try:
            line = _converted(fields, ImportedLine)
            readable.append((line.line, _imported(rooms, line)))
        except RingbackError as error:
            wrong.append((fields["line"], error.message))

    async def look(tx: Tx) -> list[tuple[int, str]]:
        made = rooms.sip_directory
        domains = {new.domain: await made.domains.find(tx, new.domain) for _, new in readable}
        refused = []
        for number, new in readable:
            if domains[new.domain] is None:
                refused.append((number, f"There is no domain {new.domain}."))
            elif not skip_existing and await made.subscribers.callee(tx, new.username, new.domain) is not None:
                refused.append((number, "This subscriber is there already."))
        return refused

    return sorted(wrong + await installation.store.read(look))


async def import_subscribers(
    installation: Installation, rooms: Rooms, *, lines: list[dict[str, Any]], skip_existing: bool, by: str
) -> dict[str, int]:
    """Adds the subscribers of lines that were checked: all of them or, when something is wrong by now, none."""
    subscribers, principal = rooms.sip_directory.subscribers, Principal("cli", by)
    read = [_converted(fields, ImportedLine) for fields in lines]
    imported = [(line.line, _imported(rooms, line)) for line in read]

    async def write(tx: Tx) -> int:
        added = 0
        for number, new in imported:
            if skip_existing and await subscribers.callee(tx, new.username, new.domain) is not None:
                continue
            try:
                await subscribers.create(tx, principal, new)
            except SubscriberExists as error:  # it is there; no error of the database
                raise StartRefused(f"Line {number}: {error.message}") from error
            added += 1
        return added

    added = await installation.store.write(write)
    return {"added": added, "skipped": len(imported) - added}


# inside ---------------------------------------------------------------------------------------------------------------


def _imported(rooms: Rooms, line: ImportedLine) -> NewSubscriber:
    """What a line says. Raises StartRefused."""
    at = _address(line.address)
    realm = line.realm or rooms.sip_directory.credentials.realm_of(at.domain)
    ha1: dict[str, Ha1] = {}
    if line.password is not None:
        if line.md5 is not None or line.sha256 is not None:
            raise StartRefused("A password or its hashes, not both.")
        ha1 = {realm: ha1_of(at.username, realm, line.password)}
    elif line.md5 is not None or line.sha256 is not None:
        md5, sha256 = (None if text is None else bytes.fromhex(text) for text in (line.md5, line.sha256))
        ha1 = {realm: Ha1(md5, sha256)}
    said = SetPreferences(line.mobile_push_enable, line.mobile_push_expiry).said()
    return NewSubscriber(
        at.domain.lower(),
        at.username,
        line.user_id,
        line.display_name,
        line.disabled,
        ha1,
        Preferences(**said),
    )


def _shown(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "subscriber": subscriber.address,
        "username": subscriber.username,
        "userId": subscriber.user_id,
        "displayName": subscriber.display_name,
        "disabled": subscriber.disabled,
        "createdAt": subscriber.created_at,
    }


def _address(text: str) -> Address:
    username, _, domain = text.removeprefix("sip:").rpartition("@")
    try:
        return msgspec.convert({"username": username, "domain": domain}, Address)
    except msgspec.ValidationError as error:
        hint = "A subscriber is username@domain: a name without spaces, and a host name."
        raise StartRefused(hint, cause=error) from error


def _converted(fields: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        hint = _NO_DOMAIN if str(error).endswith("`$.domain`") else f"{error}."
        raise StartRefused(hint, cause=error) from error
