"""Recovery codes: postcards for back ends (native API), confirmation and activation spawn for phones."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request
from litestar.params import QueryParameter

from ringback.devices.headers import read_signature_header
from ringback.devices.schema_recovery import (
    ConfirmedRecoveryCode,
    ConfirmRecoveryCode,
    CreatedRecoveryCode,
    CreateRecoveryCode,
    RecoveryCodeItem,
    RecoveryCodePage,
)
from ringback.devices.service import DevicesService
from ringback.http import (
    Cursor,
    Limit,
    Ok,
    Routes,
    decode,
    make_cursor,
    mobile,
    native,
    open_cursor,
    principal_of,
)
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import SIGNATURE_HEADER
from ringback.store import Store

Req = Request[Any, Any, Any]
TAG = "Recovery codes"
AppIdParameter = Annotated[str, QueryParameter(name="appId", min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
UserIdParameter = Annotated[str, QueryParameter(name="userId", min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @native.post(
        "/recovery-codes",
        tag=TAG,
        operation_id="createRecoveryCode",
        summary="A recovery code with its PUKs, to be printed for a user. They are shown here and never again.",
        role="any",
        request=CreateRecoveryCode,
        status=201,
    )
    async def create_recovery_code(request: Req, body: bytes) -> CreatedRecoveryCode:
        command = decode(body, CreateRecoveryCode)
        return await store.write(devices.create_recovery_code, principal_of(request), command)

    @native.get(
        "/recovery-codes",
        tag=TAG,
        operation_id="listRecoveryCodes",
        summary="A user's recovery codes in an app, newest first, masked.",
        role="any",
    )
    async def list_recovery_codes(
        request: Req, app_id: AppIdParameter, user_id: UserIdParameter, limit: Limit = 50, cursor: Cursor = ""
    ) -> RecoveryCodePage:
        found = await store.read(
            devices.recovery_codes_page, principal_of(request), app_id, user_id, open_cursor(cursor), limit + 1
        )
        shown = found[:limit]
        return RecoveryCodePage(shown, make_cursor(shown[-1].recovery_code_id) if len(found) > limit else None)

    @native.get(
        "/recovery-codes/{recovery_code_id:str}",
        tag=TAG,
        operation_id="getRecoveryCode",
        summary="One recovery code, masked.",
        role="any",
    )
    async def get_recovery_code(request: Req, recovery_code_id: str) -> RecoveryCodeItem:
        return await store.read(devices.recovery_code, principal_of(request), recovery_code_id)

    @native.post(
        "/recovery-codes/{recovery_code_id:str}/revoke",
        tag=TAG,
        operation_id="revokeRecoveryCode",
        summary="The code and its PUKs are good for nothing any more.",
        role="any",
    )
    async def revoke_recovery_code(request: Req, recovery_code_id: str) -> Ok:
        await store.write(devices.revoke_recovery_code, principal_of(request), recovery_code_id)
        return Ok()

    @mobile.post(
        "/pa/v3/recovery/confirm",
        tag=TAG,
        operation_id="confirmRecoveryCode",
        summary="The user has the postcard: from now on its code is good.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([ConfirmRecoveryCode], [ConfirmedRecoveryCode]),
    )
    async def confirm_recovery_code(request: Req, body: bytes) -> EciesResponse:
        return await devices.confirm_recovery_code(store, read_signature_header(request.headers), body)

    return Routes(
        public=[confirm_recovery_code],
        internal=[create_recovery_code, list_recovery_codes, get_recovery_code, revoke_recovery_code],
    )
