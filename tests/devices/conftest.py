"""The room on a store of each kind, with real apps, audit and events, and phones to drive it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from ringback.apps import AppsService
from ringback.apps.model import AppCredentials
from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.devices import DeviceLimits, DevicesService, Registration, SignatureCheck, SignatureOutcome
from ringback.devices.needs import Identities, UserInfo
from ringback.devices.schema import CommitRegistration, CreatedRegistration, CreateRegistration
from ringback.events import Event, Events
from ringback.principal import Principal
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.push import PushTokens
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx
from tests.devices.phone import PK, TestPhone

BANK = Principal("system_user", "bank-back-end", "integration")
OTHER = Principal("system_user", "other-back-end", "integration")
_all_actions = Query("all_actions", "Test.", "SELECT action FROM audit_log ORDER BY id")
_details = Query("details", "Test.", "SELECT details FROM audit_log WHERE action = $1 ORDER BY id")
_set_counter = Command("set_counter", "Test.", "UPDATE registrations SET ctr_data = $2 WHERE id = $1")


class Access:
    """Who may use which apps, in a dictionary."""

    def __init__(self) -> None:
        self.allowed = {BANK.name: frozenset({"bank"}), OTHER.name: frozenset({"other"})}

    async def apps_of(self, _: Tx, principal: Principal) -> frozenset[str]:
        return self.allowed.get(principal.name, frozenset())


@dataclass
class Room:
    """The devices room and what a test asks about it."""

    store: Store
    clock: ManualClock
    devices: DevicesService
    access: Access
    apps: dict[str, AppCredentials] = field(default_factory=dict)
    published: list[Event] = field(default_factory=list)

    async def create(self, user_id: str = "jan", app_id: str = "bank", **fields: Any) -> CreatedRegistration:
        principal = BANK if app_id == "bank" else OTHER
        command = CreateRegistration(user_id=user_id, app_id=app_id, **fields)
        return await self.store.write(self.devices.create_registration, principal, command)

    def phone(self, app_id: str = "bank", version: str = "3.3") -> TestPhone:
        return TestPhone(self.apps[app_id].mobile_sdk_config, self.clock, version)

    async def temporary_key(self, phone: TestPhone, *, activation: bool = False) -> TemporaryKey | None:
        """A new one; None for a phone whose version has none."""
        if not phone.version.temporary_keys:
            return None
        jwt, challenge = phone.temporary_key_request(activation=activation)
        answer = await self.devices.create_temporary_key(self.store, jwt)
        return phone.temporary_key(answer, challenge, activation=activation)

    async def activate(self, phone: TestPhone, code: str, address: str = "192.0.2.1", **options: Any) -> None:
        body, sessions = phone.activation_request(await self.temporary_key(phone), code, **options)
        answer = await self.devices.create_activation(self.store, phone.encryption_header, body, address)
        phone.finish_activation(answer, sessions)

    async def active_phone(
        self, user_id: str = "jan", app_id: str = "bank", version: str = "3.3", **fields: Any
    ) -> TestPhone:
        created = await self.create(user_id, app_id, **fields)
        phone = self.phone(app_id, version)
        await self.activate(phone, created.activation_code)
        if fields.get("commit_phase") != "ON_KEY_EXCHANGE":
            principal = BANK if app_id == "bank" else OTHER
            command = CommitRegistration()
            await self.store.write(self.devices.commit_registration, principal, created.registration_id, command)
        return phone

    async def mac_token(self, phone: TestPhone, signature_type: str = "possession") -> None:
        body, session = phone.mac_token_request(await self.temporary_key(phone, activation=True))
        header = phone.sign("POST", "/pa/token/create", body, signature_type)
        phone.finish_mac_token(await self.devices.create_mac_token(self.store, header, body), session)

    async def check(self, phone: TestPhone, signature_type: str = PK, **options: Any) -> SignatureOutcome:
        self.clock.advance(0.001)  # so that audit rows of different checks are in order
        header = phone.sign("POST", "/login", b"log", signature_type, **options)
        return await self.store.write(self.devices.check_signature, SignatureCheck("POST", "/login", header, b"log"))

    async def registration(self, registration_id: str) -> Registration:
        found = await self.store.read(self.devices.registration, registration_id)
        assert found is not None
        return found

    async def status(self, registration_id: str) -> str:
        return (await self.registration(registration_id)).status

    async def actions(self) -> list[str]:
        return [action for (action,) in await self.store.read(_all, _all_actions)]

    async def details(self, action: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(text) for (text,) in await self.store.read(_all, _details, action)]

    async def set_server_counter(self, registration_id: str, counter: bytes) -> None:
        await self.store.write(run, _set_counter, registration_id, counter)


async def _all(tx: Tx, query: Query[Any], *args: Any) -> list[Any]:
    return await tx.all(query, *args)


async def run(tx: Tx, command: Command, *args: Any) -> None:
    await tx.run(command, *args)


def make_room(
    store: Store,
    clock: ManualClock,
    *,
    identities: Identities | None = None,
    user_info: UserInfo | None = None,
    **limits: int,
) -> Room:
    source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
    vault = Vault(os.urandom(32), os.urandom(32), SystemRandomness())
    audit = AuditLog(**source)
    access = Access()
    events = Events()
    apps = AppsService(vault=vault, audit=audit, **source)
    devices = DevicesService(
        vault=vault,
        apps=apps,
        access=access,
        audit=audit,
        events=events,
        push_tokens=PushTokens(vault=vault, events=events, **source),
        limits=DeviceLimits(**limits),
        configuration=apps,
        identities=identities,
        user_info=user_info,
        **source,
    )
    room = Room(store, clock, devices, access)

    async def remember(_: Tx, event: Event) -> None:
        room.published.append(event)

    events.subscribe(remember)
    room.apps_service = apps  # type: ignore[attr-defined]
    return room


async def furnish(room: Room) -> Room:
    apps: AppsService = room.apps_service  # type: ignore[attr-defined]
    for app_id in ("bank", "other"):
        room.apps[app_id] = await room.store.write(apps.create, Principal("cli", "test"), app_id, ["BANKING"])
    return room


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    """The room with apps `bank` and `other`, each with a back end."""
    return await furnish(make_room(store, clock))
