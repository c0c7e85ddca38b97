"""The PowerAuth protocol for activated phones, encrypted: vault, detail and name, user info, upgrade."""

from __future__ import annotations

from litestar.params import RawBody

from ringback.devices.headers import read_encryption_header, read_signature_header, read_token_header
from ringback.devices.model import MacTokenCheck
from ringback.devices.schema_sealed import (
    ActivationDetailAnswer,
    Nothing,
    RenameActivation,
    UnlockedVault,
    UnlockVault,
    UserInfoAnswer,
)
from ringback.devices.service import DevicesService
from ringback.http import Req, Routes, mobile
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import ENCRYPTION_HEADER, SIGNATURE_HEADER, TOKEN_HEADER
from ringback.store import Store


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @mobile.post(
        "/pa/v3/vault/unlock",
        tag="Vault",
        operation_id="unlockVault",
        summary="The key of what the phone keeps sealed.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([UnlockVault], [UnlockedVault]),
    )
    async def unlock_vault(request: Req, body: RawBody) -> EciesResponse:
        return await devices.vaults.unlock(store, read_signature_header(request.headers), body)

    @mobile.post(
        "/pa/v3/activation/detail",
        tag="Activation",
        operation_id="getActivationDetail",
        summary="What the phone is called; needs a MAC token that was made with two factors.",
        request=EciesEnvelope,
        header=[TOKEN_HEADER, ENCRYPTION_HEADER],
        decrypted=([Nothing], [ActivationDetailAnswer]),
    )
    async def activation_detail(request: Req, body: RawBody) -> EciesResponse:
        check = MacTokenCheck(read_token_header(request.headers))
        return await devices.detail.read(store, check, read_encryption_header(request.headers), body)

    @mobile.post(
        "/pa/v3/activation/rename",
        tag="Activation",
        operation_id="renameActivation",
        summary="Calls the phone something else. The signature may be over the content or over the encrypted body.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([RenameActivation], [ActivationDetailAnswer]),
    )
    async def rename_activation(request: Req, body: RawBody) -> EciesResponse:
        return await devices.detail.rename(store, read_signature_header(request.headers), body)

    @mobile.post(
        "/pa/v3/user/info",
        tag="Users",
        operation_id="getUserInfo",
        summary="What the back end tells the phone about its user.",
        request=EciesEnvelope,
        header=[ENCRYPTION_HEADER],
        decrypted=([Nothing], [UserInfoAnswer]),
    )
    async def user_info(request: Req, body: RawBody) -> EciesResponse:
        return await devices.user_info.read(store, read_encryption_header(request.headers), body)

    @mobile.post(
        "/pa/v3/upgrade/start",
        tag="Upgrade",
        operation_id="startUpgrade",
        summary="From protocol 2 to 3; always refused, since every registration speaks 3.",
        request=EciesEnvelope,
        header=[ENCRYPTION_HEADER],
        decrypted=([Nothing], []),
    )
    async def start_upgrade(request: Req, body: RawBody) -> None:
        await devices.upgrade.start(store, read_encryption_header(request.headers), body)

    @mobile.post(
        "/pa/v3/upgrade/commit",
        tag="Upgrade",
        operation_id="commitUpgrade",
        summary="From protocol 2 to 3; always refused, since every registration speaks 3.",
        header=[SIGNATURE_HEADER],
    )
    async def commit_upgrade(request: Req, body: RawBody) -> None:
        await devices.upgrade.commit(store, read_signature_header(request.headers), body)

    return Routes(public=[unlock_vault, activation_detail, rename_activation, user_info, start_upgrade, commit_upgrade])
