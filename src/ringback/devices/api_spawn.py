"""Activation spawn: a phone asks for an activation code for another app of its user."""

from __future__ import annotations

from litestar.params import RawBody

from ringback.devices.headers import read_signature_header
from ringback.devices.schema_spawn import SpawnActivation, SpawnActivationRequest, SpawnedAnswer
from ringback.devices.service import DevicesService
from ringback.errors import AuthenticationFailed, MobileTokenFailed
from ringback.http import Req, Routes, mobile
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import SIGNATURE_HEADER
from ringback.store import Store


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @mobile.post(
        "/api/activation/code",
        tag="Activation",
        operation_id="spawnActivation",
        summary="An activation code for another app of the same user.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([SpawnActivation, SpawnActivationRequest], [SpawnedAnswer]),
    )
    async def spawn_activation(request: Req, body: RawBody) -> EciesResponse:
        try:
            header = read_signature_header(request.headers)
            return await devices.spawn.create(store, header, body)
        except AuthenticationFailed as error:
            raise MobileTokenFailed(cause=error) from error

    return Routes(public=[spawn_activation])
