"""PowerAuth Cloud: the offline approval of operations (role integration)."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.devices import VerifiedOffline, is_offline_otp, read_offline_nonce, verified_offline
from ringback.errors import OperationStateChangeRefused, OtpMalformed
from ringback.http import Req, Routes, cloud, decode, principal_of
from ringback.operations.needs import Phones
from ringback.operations.offline import Typed
from ringback.operations.schema_offline import OfflineOtp, OperationQr
from ringback.operations.service import OperationsService
from ringback.store import Store

TAG = "Operations"


def routes(store: Store, operations: OperationsService, devices: Phones) -> Routes:
    """The handlers."""

    @cloud.get(
        "/v2/operations/{operation_id:str}/offline/qr",
        tag=TAG,
        operation_id="getOperationOfflineQr",
        summary="The text of a QR code by which one phone approves without a network.",
    )
    async def offline_qr(
        request: Req,
        operation_id: FromPath[str],
        registration_id: Annotated[str, QueryParameter(name="registrationId", min_length=1, max_length=255)],
    ) -> OperationQr:
        made = await operations.offline.qr(store, principal_of(request), operation_id, registration_id)
        return OperationQr(made.offline_data, made.nonce)

    @cloud.post(
        "/v2/operations/{operation_id:str}/offline/otp",
        tag=TAG,
        operation_id="approveOperationOffline",
        summary="Approves by the digits that a person typed; wrong ones count as a failed signature and approval.",
        request=OfflineOtp,
    )
    async def offline_otp(request: Req, operation_id: FromPath[str], body: RawBody) -> VerifiedOffline:
        command = decode(body, OfflineOtp)
        if not is_offline_otp(command.otp):
            raise OtpMalformed
        typed = Typed(command.registration_id, command.otp, read_offline_nonce(command.nonce))
        outcome = await store.write(operations.offline.approve, principal_of(request), operation_id, typed)
        if outcome == "NOT_PENDING":
            raise OperationStateChangeRefused
        roles = () if outcome.app_id is None else await store.read(devices.app_roles, outcome.app_id)
        return verified_offline(outcome, roles)

    return Routes(internal=[offline_qr, offline_otp])
