"""The room with stand-ins around it: what phones prove is decided by the test."""

# ruff: noqa: ARG002 - stand-ins take what they do not need

from __future__ import annotations

import os
from typing import Any

import msgspec

from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.devices import OfflineCheck, OfflinePayload, PushTarget, Registration, SignatureCheck, SignatureOutcome
from ringback.events import Event, Events, OperationChanged
from ringback.messages import MessagesService
from ringback.operations import CreateOperation, Operation, OperationsService, TemplatesService
from ringback.operations.answers import Answer
from ringback.outbox import Outbox
from ringback.principal import Principal
from ringback.protocols.powerauth.headers import SignatureHeader
from ringback.protocols.powerauth.versions import protocol_version
from ringback.push import Pushes
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx

BANK = Principal("system_user", "bank-back-end", "integration")
SHOP = Principal("system_user", "shop-back-end", "integration")
NOBODY = Principal("system_user", "new-back-end", "integration")

insert_app = Command(
    "test_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ($1, '[]', 0, 1)"
)
all_operations = Query("test_all_operations", "Statuses.", "SELECT id, status, failure_count, version FROM operations")
all_audit = Query("test_all_audit", "The audit log.", "SELECT action, principal_name FROM audit_log ORDER BY id")
audit_by_app = Query("test_audit_by_app", "Who reads it.", "SELECT action, app_id, user_id FROM audit_log ORDER BY id")
all_pushes = Query(
    "test_all_pushes", "Pushes.", "SELECT registration_id, kind, payload, status, reason, operation_id FROM pushes"
)


def phone(registration_id: str, user_id: str = "alice", app_id: str = "bank", **more: Any) -> Registration:
    blank: dict[str, Any] = dict.fromkeys(Registration.__struct_fields__)
    return Registration(
        **{
            **blank,
            "id": registration_id,
            "app_id": app_id,
            "user_id": user_id,
            "status": "ACTIVE",
            "flags": (),
            **more,
        }
    )


def target(registration_id: str, app_id: str, kind: str | None, **more: Any) -> PushTarget:
    """A push token of an active registration; none with `kind` None."""
    if kind is None:
        return PushTarget(app_id, registration_id, status="ACTIVE")
    told: dict[str, Any] = {
        "status": "ACTIVE",
        "push_token_id": f"{registration_id}-{kind}",
        "push_token": f"{registration_id}-{kind}-push-token-of-a-phone",
        "suspended": False,
        **more,
    }
    return PushTarget(app_id, registration_id, kind=kind, **told)


class FakePhones:
    """A signature is right when its text is `right`."""

    def __init__(self) -> None:
        self.phones = {one.id: one for one in (phone("p1"), phone("p2", "bob"), phone("p3", app_id="shop"))}
        self.targets: list[PushTarget] = []

    async def check_signature(
        self, tx: Tx, check: SignatureCheck, *, allowed_types: frozenset[str] | None = None
    ) -> SignatureOutcome:
        assert allowed_types is None or check.header.signature_type in allowed_types
        registration = self.phones.get(check.header.activation_id)
        return SignatureOutcome(
            valid=registration is not None and check.header.signature == "right",
            registration_id=check.header.activation_id,
            user_id=registration.user_id if registration else None,
            app_id=registration.app_id if registration else None,
            status=registration.status if registration else "REMOVED",
            blocked_reason=None,
            signature_type=check.header.signature_type,
            remaining_attempts=5,
            flags=registration.flags if registration else (),
            registration=registration,
        )

    async def check_mac_token(self, tx: Tx, check: Any) -> Any:
        raise NotImplementedError

    async def check_offline_signature(
        self, tx: Tx, check: OfflineCheck, *, only_apps: frozenset[str] | None = None
    ) -> SignatureOutcome:
        raise NotImplementedError

    def offline_payload(self, registration: Registration, data: str, *, totp: str | None = None) -> OfflinePayload:
        raise NotImplementedError

    async def app_roles(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        return ()

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        return self.phones.get(registration_id)

    async def push_targets(self, tx: Tx, user_id: str) -> list[PushTarget]:
        return [one for one in self.targets if self.phones[one.registration_id or ""].user_id == user_id]


class FakeAccess:
    def __init__(self) -> None:
        self.apps = {BANK.name: frozenset({"bank"}), SHOP.name: frozenset({"shop"})}

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        return self.apps.get(principal.name, frozenset())


class Room:
    """The services over a store with the apps `bank` and `shop`, and the two templates."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.phones = FakePhones()
        self.access = FakeAccess()
        self.published: list[OperationChanged] = []
        randomness = SystemRandomness()
        audit = AuditLog(clock=clock, randomness=randomness)
        events = Events()
        events.subscribe(self._hear)
        self.outbox = Outbox(store=store, clock=clock, randomness=randomness)
        pushes = Pushes(clock=clock, randomness=randomness, outbox=self.outbox, kinds={"local"})
        self.templates = TemplatesService(clock=clock, audit=audit)
        self.operations = OperationsService(
            clock=clock,
            randomness=randomness,
            access=self.access,
            devices=self.phones,
            messages=MessagesService(clock=clock, randomness=randomness, devices=self.phones, pushes=pushes),
            audit=audit,
            events=events,
            templates=self.templates,
            vault=Vault(os.urandom(32), os.urandom(32), randomness),
        )

    async def _hear(self, tx: Tx, event: Event) -> None:
        assert isinstance(event, OperationChanged)
        self.published.append(event)

    async def start(self) -> Room:
        async def prepare(tx: Tx) -> None:
            await tx.run(insert_app, "bank")
            await tx.run(insert_app, "shop")
            await self.templates.seed_templates(tx)

        await self.store.write(prepare)
        return self

    async def create(self, principal: Principal = BANK, **fields: Any) -> Operation:
        """An operation of alice; a later one has a later id, which within a millisecond is chance."""
        self.clock.advance(0.001)
        command = CreateOperation(**{"template": "login", "user_id": "alice", **fields})
        return await self.store.write(self.operations.create, principal, command)

    async def look(self, operation: Operation, principal: Principal = BANK) -> Operation:
        return await self.store.read(self.operations.get, principal, operation.id)

    async def authorize(self, operation_id: str, registration_id: str = "p1", **more: Any) -> str:
        return await self.store.write(self.operations.authorize, answer(operation_id, registration_id, **more))

    async def reject(self, operation_id: str, registration_id: str = "p1", **more: Any) -> str:
        return await self.store.write(self.operations.reject, answer(operation_id, registration_id, **more))

    async def all(self, query: Query[Any]) -> list[Any]:
        async def read(tx: Tx) -> list[Any]:
            return await tx.all(query)

        return await self.store.read(read)


def answer(
    operation_id: str,
    registration_id: str,
    *,
    signature: str = "right",
    factors: str = "possession_knowledge",
    data: str = "A2",
    reason: str | None = None,
    otp: str | None = None,
) -> Answer:
    header = SignatureHeader(
        version=protocol_version("3.3"),
        activation_id=registration_id,
        application_key="",
        nonce=b"",
        signature_type=factors,
        signature=signature,
    )
    check = SignatureCheck(method="POST", uri_id="/operation/authorize", header=header, body=b"")
    return Answer(
        check=check,
        operation_id=operation_id,
        address="192.0.2.1",
        user_agent="Phone/1",
        data=data,
        otp=otp,
        reason=reason,
    )


def with_flags(registration: Registration, *flags: str) -> Registration:
    return msgspec.structs.replace(registration, flags=flags)
