"""What belongs to activations beside the key exchange: the OTP (back ends), a code for another app (phones)."""

from __future__ import annotations

from typing import Any

from litestar import Request

from ringback.devices.headers import read_signature_header
from ringback.devices.schema import ReplaceOtp
from ringback.devices.schema_spawn import SpawnActivation, SpawnActivationRequest, SpawnedAnswer
from ringback.devices.service import DevicesService
from ringback.errors import AuthenticationFailed, MobileTokenFailed
from ringback.http import Ok, Routes, cloud, decode, mobile, principal_of
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import SIGNATURE_HEADER
from ringback.store import Store

Req = Request[Any, Any, Any]


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @cloud.put(
        "/v2/registrations/{registration_id:str}/otp",
        tag="Registrations",
        operation_id="updateActivationOtp",
        summary="Sets the activation OTP of a registration that is not active yet, in place of an earlier one.",
        request=ReplaceOtp,
    )
    async def replace_otp(request: Req, registration_id: str, body: bytes) -> Ok:
        command = decode(body, ReplaceOtp)
        refusal = await store.write(devices.replace_otp, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    @mobile.post(
        "/api/activation/code",
        tag="Activation",
        operation_id="spawnActivation",
        summary="An activation code for another app of the same user.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([SpawnActivation, SpawnActivationRequest], [SpawnedAnswer]),
    )
    async def spawn_activation(request: Req, body: bytes) -> EciesResponse:
        try:
            header = read_signature_header(request.headers)
            return await devices.spawn_activation(store, header, body)
        except AuthenticationFailed as error:
            raise MobileTokenFailed(cause=error) from error

    return Routes(public=[spawn_activation], internal=[replace_otp])
