"""Making an operation from a template: one unit, reads first, then writes, which PostgreSQL takes in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.errors import AppNotFound, TemplateNotFound, invalid_field
from ringback.events import Events, OperationChanged
from ringback.languages import DEFAULT_LANGUAGE, choose, without_region
from ringback.messages import Notice
from ringback.operations import queries
from ringback.operations.data import build_data
from ringback.operations.model import Operation, Template
from ringback.operations.schema_cloud import CreateOperation
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.operations.needs import AppAccess, FanOut, Phones
    from ringback.operations.proximity import Proximity
    from ringback.operations.rendering import ReadyTexts
    from ringback.operations.templates import TemplatesService
    from ringback.principal import Principal

_encode = msgspec.json.Encoder(order="deterministic").encode
PUSH_TYPE = "mtoken.operationInit"


class Creation:
    """Makes operations."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        access: AppAccess,
        devices: Phones,
        messages: FanOut,
        audit: AuditLog,
        events: Events,
        templates: TemplatesService,
        proximity: Proximity,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._access = access
        self._devices = devices
        self._messages = messages
        self._audit = audit
        self._events = events
        self._templates = templates
        self._proximity = proximity

    async def create(self, tx: Tx, principal: Principal, command: CreateOperation) -> Operation:
        """See OperationsService.create."""
        app_ids = sorted(await self._access.apps_of(tx, principal))
        if not app_ids:
            raise AppNotFound
        template = await self._templates.for_creation(tx, command.template)
        if template is None:
            raise TemplateNotFound
        texts = await self._templates.ready_texts(tx, template.operation_type)
        registration_id, user_id = await self._scope(tx, command, app_ids)
        operation = self._build(command, template, registration_id, user_id)

        if user_id is not None and not operation.silent:
            shown = choose(texts, [without_region(command.language or DEFAULT_LANGUAGE)])
            await self._messages.fan_out(tx, _notice(operation, user_id, app_ids, shown))
        await tx.run(queries.insert_operation, *msgspec.structs.astuple(operation))
        await tx.run(queries.insert_operation_apps, operation.id, _encode(app_ids).decode())
        await self._audit.record(
            tx,
            principal,
            "operation.create",
            subject_kind="operation",
            subject_id=operation.id,
            app_id=app_ids[0] if len(app_ids) == 1 else None,
            user_id=operation.user_id,
            details={"template": template.name},
        )
        await self._events.publish(tx, OperationChanged(operation.id, operation.user_id, operation.status, "CREATED"))
        return operation

    async def _scope(self, tx: Tx, command: CreateOperation, app_ids: list[str]) -> tuple[str | None, str | None]:
        """The one phone that may answer, if any, and the user; the phone must be one that this back end may know of.

        Without a user the operation is the phone's user's.
        """
        registration_id = command.registration_id or command.activation_id
        if registration_id is None:
            return None, command.user_id
        field = "registrationId" if command.registration_id else "activationId"
        phone = await self._devices.registration(tx, registration_id)
        known = phone is not None and phone.app_id in app_ids
        if phone is None or not known or command.user_id not in {None, phone.user_id} or phone.status == "REMOVED":
            raise invalid_field(field, "There is no such registration of this user.", registration_id)
        return registration_id, phone.user_id

    def _build(
        self, command: CreateOperation, template: Template, registration_id: str | None, user_id: str | None
    ) -> Operation:
        parameters = command.parameters or {}
        operation_id = new_id(self._clock, self._randomness)
        checked = command.proximity_check_enabled
        if checked is None:
            checked = template.proximity_check_enabled or user_id is None
        now = self._clock.now_ms()
        expires_at = now + template.expiration_s * 1000
        if command.timestamp_expires is not None:
            if command.timestamp_expires <= now:
                raise invalid_field("timestampExpires", "This time must be in the future.", command.timestamp_expires)
            expires_at = command.timestamp_expires
        return Operation(
            id=operation_id,
            user_id=user_id,
            status="PENDING",
            template=template.name,
            operation_type=template.operation_type,
            data=build_data(template.data_template, parameters),
            parameters=_encode(parameters).decode() if parameters else "{}",
            additional_data="{}",
            external_id=command.external_id,
            activation_flag=command.flag or command.activation_flag,
            risk_flags=template.risk_flags,
            language=command.language,
            registration_id=registration_id,
            signature_types=template.signature_types,
            failure_count=0,
            max_failure_count=template.max_failure_count,
            proximity_seed_sealed=self._proximity.new_seed(operation_id) if checked else None,
            status_reason=None,
            silent=bool(command.silent),
            created_at=now,
            expires_at=expires_at,
            finalized_at=None,
            version=1,
        )


def _notice(operation: Operation, user_id: str, app_ids: list[str], texts: ReadyTexts | None) -> Notice:
    """The push that tells the user's phones."""
    parameters = operation.parameter_map()
    return Notice(
        user_id=user_id,
        app_ids=tuple(app_ids),
        title=operation.operation_type if texts is None else texts.title(parameters),
        message="" if texts is None else texts.message(parameters),
        extras={
            "messageType": PUSH_TYPE,
            "operationId": operation.id,
            "operationName": operation.operation_type,
        },
        sound="default",
        registration_id=operation.registration_id,
        operation_id=operation.id,
        deadline_ms=operation.expires_at,
    )
