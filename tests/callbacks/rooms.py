"""The room on a store, with a real outbox and a real way out, and stand-ins for the rooms whose things change."""

# ruff: noqa: ARG002 - stand-ins take what they do not need

from __future__ import annotations

import ipaddress
import os
from typing import Any

import msgspec

from ringback.audit import AuditLog
from ringback.callbacks import Announcer, CallbackChannel, CallbacksService
from ringback.callbacks.schema import CallbackContent
from ringback.callbacks.service import Known
from ringback.clock import ManualClock, SystemRandomness
from ringback.devices import Registration
from ringback.egress import Egress
from ringback.events import Events, OperationChanged, RegistrationChanged
from ringback.operations import FoundOperation, Operation
from ringback.outbox import Attempt, Circuit, Outbox, OutboxLimits, PastDelivery, read_history
from ringback.principal import Principal
from ringback.resolving import Resolver
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx

BANK = Principal("system_user", "bank-back-end", "integration")
SHOP = Principal("system_user", "shop-back-end", "integration")
QUICK = OutboxLimits(poll_seconds=0.02, attempt_seconds=60, drain_seconds=0.2)

insert_app = Command(
    "test_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ($1, '[]', 0, 1)"
)
sealed_authentications = Query("test_sealed", "What is sealed.", "SELECT authentication_sealed FROM callbacks")
all_details = Query("test_details", "The audit log.", "SELECT action, app_id, details FROM audit_log ORDER BY id")


def _blank(shape: type[msgspec.Struct]) -> dict[str, Any]:
    return dict.fromkeys(shape.__struct_fields__)


def registration(registration_id: str = "r1", **more: Any) -> Registration:
    known = {"id": registration_id, "app_id": "bank", "user_id": "alice", "status": "ACTIVE", "flags": ()}
    return Registration(**{**_blank(Registration), **known, **more})


def operation(operation_id: str = "o1", **more: Any) -> Operation:
    known = {
        "id": operation_id,
        "status": "PENDING",
        "operation_type": "login",
        "data": "A2",
        "parameters": "{}",
        "additional_data": "{}",
        "signature_types": '["possession_knowledge"]',
        "failure_count": 0,
        "max_failure_count": 5,
        "created_at": 1,
        "expires_at": 2,
    }
    return Operation(**{**_blank(Operation), **known, **more})


class Things:
    """Registrations and operations, how often they were asked for, and which apps there are."""

    def __init__(self) -> None:
        self.registrations: dict[str, Registration] = {"r1": registration()}
        self.operations: dict[str, FoundOperation] = {"o1": FoundOperation(operation(), frozenset({"bank"}))}
        self.apps = {BANK.name: frozenset({"bank"}), SHOP.name: frozenset({"shop"})}
        self.asked = 0

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        self.asked += 1
        return self.registrations.get(registration_id)

    async def with_apps(self, tx: Tx, operation_id: str) -> FoundOperation | None:
        self.asked += 1
        return self.operations.get(operation_id)

    async def exists(self, tx: Tx, app_id: str) -> bool:
        return app_id in {"bank", "shop"}

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        return self.apps.get(principal.name, frozenset())


class Room:
    """Everything of one process; a second one may share store and clock."""

    def __init__(
        self,
        store: Store,
        clock: ManualClock,
        *,
        circuit: Circuit | None = None,
        limits: OutboxLimits = QUICK,
        vault: Vault | None = None,
        answer_seconds: float = 30,
        names: Resolver | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.things = Things()
        self.egress = Egress(allow=[ipaddress.ip_network("127.0.0.0/8")], resolver=names)
        randomness = SystemRandomness()
        self.vault = vault or Vault(os.urandom(32), os.urandom(32), randomness)
        self.outbox = Outbox(store=store, clock=clock, randomness=randomness, limits=limits)
        self.service = CallbacksService(
            clock=clock,
            randomness=randomness,
            vault=self.vault,
            apps=self.things,
            access=self.things,
            audit=AuditLog(clock=clock, randomness=randomness),
            way_out=self.egress,
        )
        self.announcer = Announcer(
            clock=clock, registrations=self.things, operations=self.things, deliveries=self.outbox
        )
        self.events = Events()
        self.events.subscribe(self.announcer.hear)
        channel = CallbackChannel(
            store=store,
            clock=clock,
            callbacks=self.service,
            way_out=self.egress,
            timeout_seconds=answer_seconds,
        )
        channel.plug_into(self.outbox, circuit)

    async def start(self) -> Room:
        async def prepare(tx: Tx) -> None:
            await tx.run(insert_app, "bank")
            await tx.run(insert_app, "shop")

        await self.store.write(prepare)
        return self

    async def create(self, url: str, principal: Principal = BANK, app_id: str = "bank", **fields: Any) -> Known:
        content = content_of(url, **fields)
        created = await self.store.write(self.service.create, principal, app_id, content)
        self.announcer.forget()
        return created

    async def operation_changes(self, operation_id: str = "o1") -> None:
        self.clock.advance(0.001)
        event = OperationChanged(operation_id, "alice", "PENDING", "CREATED")
        await self.store.write(self.events.publish, event)

    async def registration_changes(self, registration_id: str = "r1") -> None:
        self.clock.advance(0.001)
        event = RegistrationChanged(registration_id, "bank", "alice", "ACTIVE")
        await self.store.write(self.events.publish, event)

    async def history(self, known: Known) -> list[tuple[PastDelivery, list[Attempt]]]:
        return await self.store.read(read_history, known.callback.id, None, 1000)

    async def states(self, known: Known) -> list[str]:
        return [one.state for one, _ in await self.history(known)]

    async def all(self, query: Query[Any]) -> list[Any]:
        async def read(tx: Tx) -> list[Any]:
            return await tx.all(query)

        return await self.store.read(read)


def content_of(url: str, **fields: Any) -> CallbackContent:
    """As it comes over the wire; `fields` by their names there."""
    sent = {"name": "hook", "type": "OPERATION_STATUS_CHANGE", "callbackUrl": url, **fields}
    return msgspec.json.decode(msgspec.json.encode(sent), type=CallbackContent)
