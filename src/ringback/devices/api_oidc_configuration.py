"""What a phone asks about its app before it is activated."""

from __future__ import annotations

from litestar.params import RawBody

from ringback.devices.headers import read_encryption_header
from ringback.devices.needs import PublishedProvider
from ringback.devices.oidc_configuration import AskProvider
from ringback.devices.service import DevicesService
from ringback.http import Envelope, Req, Routes, mobile
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import ENCRYPTION_HEADER
from ringback.store import Store


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @mobile.post(
        "/api/config/oidc",
        tag="Activation",
        operation_id="getOidcConfig",
        summary="How to reach an OpenID provider that can say who activates.",
        request=EciesEnvelope,
        header=[ENCRYPTION_HEADER],
        decrypted=([AskProvider], [Envelope[PublishedProvider]]),
    )
    async def oidc_configuration(request: Req, body: RawBody) -> EciesResponse:
        return await devices.oidc_configuration.answer(store, read_encryption_header(request.headers), body)

    return Routes(public=[oidc_configuration])
