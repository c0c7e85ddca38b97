"""PowerAuth Cloud: operations (role integration)."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from ringback.errors import OperationStateChangeRefused
from ringback.http import (
    DEFAULT_PAGE_SIZE,
    Ok,
    PageNumber,
    PageSize,
    Req,
    Routes,
    cloud,
    decode,
    principal_of,
    rows_before,
)
from ringback.operations.model import Operation, Status
from ringback.operations.reading import PageWanted
from ringback.operations.schema_cloud import CloudOperation, CloudOperationList, CreateOperation, NewOperation
from ringback.operations.service import OperationsService
from ringback.store import Store

TAG = "Operations"
WAY_OUT = "Send the last operationId that you have as before, and pageNumber 0; or ask for one status."


def routes(store: Store, operations: OperationsService) -> Routes:
    """The handlers."""

    @cloud.post("/v2/operations", tag=TAG, operation_id="createOperation", request=CreateOperation)
    async def create_operation(request: Req, body: RawBody) -> NewOperation:
        command = decode(body, CreateOperation)
        return show(await store.write(operations.create, principal_of(request), command))

    @cloud.get(
        "/v2/operations",
        tag=TAG,
        operation_id="getOperationList",
        summary="A user's operations in the applications of the back end, newest first.",
    )
    async def get_operation_list(
        request: Req,
        user_id: Annotated[str, QueryParameter(name="userId", min_length=1, max_length=255)],
        status: FromQuery[Status | None] = None,
        page_number: PageNumber = 0,
        page_size: PageSize = DEFAULT_PAGE_SIZE,
        before: Annotated[str, QueryParameter(name="before", max_length=255)] = "",
    ) -> CloudOperationList:
        skipped = rows_before(page_number, page_size, WAY_OUT)
        wanted = PageWanted(user_id, status, page_size, skipped, before)
        found = await store.read(operations.page, principal_of(request), wanted)
        return CloudOperationList([show(one) for one in found])

    @cloud.get("/v2/operations/{operation_id:str}", tag=TAG, operation_id="getOperation")
    async def get_operation(request: Req, operation_id: FromPath[str]) -> CloudOperation:
        principal = principal_of(request)
        operation = await store.read(operations.get, principal, operation_id)
        if operations.is_overdue(operation):
            operation = await store.write(operations.get_current, principal, operation_id)
        return show(operation)

    @cloud.delete("/v2/operations/{operation_id:str}", tag=TAG, operation_id="cancelOperation")
    async def cancel_operation(
        request: Req,
        operation_id: FromPath[str],
        status_reason: Annotated[str | None, QueryParameter(name="statusReason", max_length=255)] = None,
    ) -> Ok:
        outcome = await store.write(operations.cancel, principal_of(request), operation_id, status_reason)
        if outcome == "NOT_PENDING":
            raise OperationStateChangeRefused
        return Ok()

    def show(operation: Operation) -> CloudOperation:
        return shown(operation, operations.proximity_otp(operation))

    return Routes(internal=[create_operation, get_operation_list, get_operation, cancel_operation])


def shown(operation: Operation, proximity_otp: str | None) -> CloudOperation:
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
        proximity_otp=proximity_otp,
        risk_flags=operation.risk_flags,
    )
