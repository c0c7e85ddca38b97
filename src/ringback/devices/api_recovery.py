"""Recovery codes: postcards for back ends (native API), confirmation for phones."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, QueryParameter, RawBody

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
from ringback.http import Cursor, Limit, Ok, Req, Routes, cut_page, decode, mobile, native, open_cursor, principal_of
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import SIGNATURE_HEADER
from ringback.store import Store

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
    async def create_recovery_code(request: Req, body: RawBody) -> CreatedRecoveryCode:
        command = decode(body, CreateRecoveryCode)
        return await store.write(devices.postcards.create, principal_of(request), command)

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
            devices.postcards.page, principal_of(request), app_id, user_id, open_cursor(cursor), limit + 1
        )
        return RecoveryCodePage(*cut_page(found, limit, lambda code: code.recovery_code_id))

    @native.get(
        "/recovery-codes/{recovery_code_id:str}",
        tag=TAG,
        operation_id="getRecoveryCode",
        summary="One recovery code, masked.",
        role="any",
    )
    async def get_recovery_code(request: Req, recovery_code_id: FromPath[str]) -> RecoveryCodeItem:
        return await store.read(devices.postcards.detail, principal_of(request), recovery_code_id)

    @native.post(
        "/recovery-codes/{recovery_code_id:str}/revoke",
        tag=TAG,
        operation_id="revokeRecoveryCode",
        summary="The code and its PUKs are good for nothing any more.",
        role="any",
    )
    async def revoke_recovery_code(request: Req, recovery_code_id: FromPath[str]) -> Ok:
        await store.write(devices.postcards.revoke, principal_of(request), recovery_code_id)
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
    async def confirm_recovery_code(request: Req, body: RawBody) -> EciesResponse:
        return await devices.recovery_codes.confirm(store, read_signature_header(request.headers), body)

    return Routes(
        public=[confirm_recovery_code],
        internal=[create_recovery_code, list_recovery_codes, get_recovery_code, revoke_recovery_code],
    )
