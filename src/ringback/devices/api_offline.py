"""PowerAuth Cloud: offline signatures of registrations' own data (role integration)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.params import FromPath, RawBody

from ringback.devices.offline import OFFLINE_TYPES, OfflineCheck, is_offline_otp, read_offline_nonce
from ringback.devices.schema_offline import (
    OfflineQrAnswer,
    OfflineQrRequest,
    VerifiedOffline,
    VerifyOffline,
    verified_offline,
)
from ringback.errors import OtpMalformed
from ringback.http import Req, Routes, cloud, decode, principal_of

if TYPE_CHECKING:
    from ringback.devices.service import DevicesService
    from ringback.store import Store

TAG = "Signature Verification"


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @cloud.post(
        "/v2/registrations/{registration_id:str}/offline/qr",
        tag=TAG,
        operation_id="createPersonalizedOfflineQr",
        summary="The text of a QR code that one phone signs without a network.",
        request=OfflineQrRequest,
    )
    async def personalized_qr(request: Req, registration_id: FromPath[str], body: RawBody) -> OfflineQrAnswer:
        wanted = decode(body, OfflineQrRequest)
        nonce = None if wanted.nonce is None else read_offline_nonce(wanted.nonce)
        made = await devices.offline.personalized(store, principal_of(request), registration_id, wanted.data, nonce)
        return OfflineQrAnswer(made.offline_data, made.nonce)

    @cloud.post(
        "/v2/registrations/{registration_id:str}/offline/otp",
        tag=TAG,
        operation_id="verifyOfflineOtp",
        summary="Checks the digits that a person typed; they are valid once.",
        request=VerifyOffline,
    )
    async def verify_otp(request: Req, registration_id: FromPath[str], body: RawBody) -> VerifiedOffline:
        command = decode(body, VerifyOffline)
        if not is_offline_otp(command.otp, command.component_length):
            raise OtpMalformed
        check = OfflineCheck(
            registration_id=registration_id,
            uri_id=command.uri_id,
            nonce=read_offline_nonce(command.nonce),
            otp=command.otp,
            bodies=(command.data.encode(),),
            signature_types=OFFLINE_TYPES if command.allow_biometry else OFFLINE_TYPES[:1],
            digits=command.component_length,
        )
        outcome = await store.write(devices.offline.verify, principal_of(request), check)
        roles = () if outcome.app_id is None else await store.read(devices.app_roles, outcome.app_id)
        return verified_offline(outcome, roles)

    @cloud.post(
        "/v2/applications/{app_id:str}/offline/qr",
        tag=TAG,
        operation_id="createNonPersonalizedOfflineQr",
        summary="The text of a QR code that any phone of the application signs without a network.",
        request=OfflineQrRequest,
    )
    async def general_qr(request: Req, app_id: FromPath[str], body: RawBody) -> OfflineQrAnswer:
        wanted = decode(body, OfflineQrRequest)
        nonce = None if wanted.nonce is None else read_offline_nonce(wanted.nonce)
        made = await devices.offline.general(store, principal_of(request), app_id, wanted.data, nonce)
        return OfflineQrAnswer(made.offline_data, made.nonce)

    return Routes(internal=[personalized_qr, verify_otp, general_qr])
