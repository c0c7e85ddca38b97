"""PowerAuth Cloud: operations (role integration)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request
from litestar.params import QueryParameter

from ringback.errors import OperationStateChangeRefused
from ringback.http import Ok, Routes, cloud, decode, principal_of
from ringback.operations.model import Operation
from ringback.operations.schema_cloud import CloudOperation, CreateOperation
from ringback.operations.service import OperationsService
from ringback.store import Store

Req = Request[Any, Any, Any]
TAG = "Operations"


def routes(store: Store, operations: OperationsService) -> Routes:
    """The handlers."""

    @cloud.post("/v2/operations", tag=TAG, operation_id="createOperation", request=CreateOperation)
    async def create_operation(request: Req, body: bytes) -> CloudOperation:
        command = decode(body, CreateOperation)
        return shown(await store.write(operations.create, principal_of(request), command))

    @cloud.get("/v2/operations/{operation_id:str}", tag=TAG, operation_id="getOperation")
    async def get_operation(request: Req, operation_id: str) -> CloudOperation:
        principal = principal_of(request)
        operation = await store.read(operations.get, principal, operation_id)
        if operations.is_overdue(operation):
            operation = await store.write(operations.get_current, principal, operation_id)
        return shown(operation)

    @cloud.delete("/v2/operations/{operation_id:str}", tag=TAG, operation_id="cancelOperation")
    async def cancel_operation(
        request: Req,
        operation_id: str,
        status_reason: Annotated[str | None, QueryParameter(name="statusReason", max_length=255)] = None,
    ) -> Ok:
        outcome = await store.write(operations.cancel, principal_of(request), operation_id, status_reason)
        if outcome == "NOT_PENDING":
            raise OperationStateChangeRefused
        return Ok()

    return Routes(internal=[create_operation, get_operation, cancel_operation])


def shown(operation: Operation) -> CloudOperation:
    """The operation as a back end sees it."""
    return CloudOperation(
        operation_id=operation.id,
        status=operation.status,
        template=operation.template,
        operation_type=operation.operation_type,
        parameters=operation.parameter_map(),
        failure_count=operation.failure_count,
        max_failure_count=operation.max_failure_count,
        timestamp_created=operation.created_at,
        timestamp_expires=operation.expires_at,
        data=operation.data,
        user_id=operation.user_id,
        external_id=operation.external_id,
        language=operation.language,
        flag=operation.activation_flag,
        registration_id=operation.registration_id,
        additional_data=operation.additional_map() or None,
        timestamp_finalized=operation.finalized_at,
        status_reason=operation.status_reason,
    )
