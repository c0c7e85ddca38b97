"""Making an operation from a template: one unit, reads first, then writes, which PostgreSQL takes in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.errors import AppNotFound, TemplateNotFound, invalid_field
from ringback.events import Events, OperationChanged
from ringback.messages import Notice
from ringback.operations import queries
from ringback.operations.data import build_data, render_text
from ringback.operations.model import DEFAULT_LANGUAGE, Operation, Template
from ringback.operations.schema_cloud import CreateOperation
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.operations.needs import AppAccess, FanOut, Phones
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
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._access = access
        self._devices = devices
        self._messages = messages
        self._audit = audit
        self._events = events
        self._templates = templates

    async def create(self, tx: Tx, principal: Principal, command: CreateOperation) -> Operation:
        """See OperationsService.create."""
        if command.proximity_check_enabled:
            raise invalid_field("proximityCheckEnabled", "The proximity check is not available yet.")
        app_ids = sorted(await self._access.apps_of(tx, principal))
        if not app_ids:
            raise AppNotFound
        language = _language(command.language)
        found = await self._templates.for_creation(tx, command.template, language)
        if found is None:
            raise TemplateNotFound
        template, title, message = found
        if template.proximity_check_enabled:
            raise invalid_field("template", "This template asks for the proximity check, which is not available yet.")
        if command.registration_id is not None:
            await self._check_scope(tx, command, app_ids)
        parameters = command.parameters or {}
        operation = self._build(command, template, parameters)

        if operation.user_id is not None and not operation.silent:
            notice = Notice(
                user_id=operation.user_id,
                app_ids=tuple(app_ids),
                title=render_text(title or operation.operation_type, parameters),
                message=render_text(message or "", parameters),
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
            await self._messages.fan_out(tx, notice)
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

    async def _check_scope(self, tx: Tx, command: CreateOperation, app_ids: list[str]) -> None:
        """An operation for one phone: it must be a phone of that user that this back end may know of."""
        phone = await self._devices.registration(tx, command.registration_id or "")
        known = phone is not None and phone.app_id in app_ids
        if phone is None or not known or command.user_id not in {None, phone.user_id} or phone.status == "REMOVED":
            hint = "There is no such registration of this user."
            raise invalid_field("registrationId", hint, command.registration_id)

    def _build(self, command: CreateOperation, template: Template, parameters: dict[str, str]) -> Operation:
        now = self._clock.now_ms()
        expires_at = now + template.expiration_s * 1000
        if command.timestamp_expires is not None:
            if command.timestamp_expires <= now:
                raise invalid_field("timestampExpires", "This time must be in the future.", command.timestamp_expires)
            expires_at = command.timestamp_expires
        return Operation(
            id=new_id(self._clock, self._randomness),
            user_id=command.user_id,
            status="PENDING",
            template=template.name,
            operation_type=template.operation_type,
            data=build_data(template.data_template, parameters),
            parameters=_encode(parameters).decode() if parameters else "{}",
            additional_data="{}",
            external_id=command.external_id,
            activation_flag=command.flag,
            risk_flags=template.risk_flags,
            language=command.language,
            registration_id=command.registration_id,
            signature_types=template.signature_types,
            failure_count=0,
            max_failure_count=template.max_failure_count,
            status_reason=None,
            silent=bool(command.silent),
            created_at=now,
            expires_at=expires_at,
            finalized_at=None,
            version=1,
        )


def _language(asked: str | None) -> str:
    """`cs-CZ` and `cs_CZ` mean the texts of `cs`."""
    return (asked or DEFAULT_LANGUAGE).lower().replace("_", "-").partition("-")[0]
