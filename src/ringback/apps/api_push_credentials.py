"""The native API: push credentials of an app (role admin)."""

from __future__ import annotations

from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, RawBody

from ringback.apps.credential_desk import CredentialDesk
from ringback.apps.model_push_credentials import KINDS
from ringback.apps.schema_push_credentials import (
    ApnsContent,
    FcmContent,
    PushCredential,
    PushCredentialList,
    Trial,
    WebPushContent,
)
from ringback.errors import NativePushCredentialNotFound, PushCredentialNotFound
from ringback.http import Ok, Req, Routes, decode, native, principal_of
from ringback.push import CredentialKind

TAG = "Push credentials"
PATH = "/apps/{app_id:str}/push-credentials"
NAMES: dict[CredentialKind, str] = {"apns": "Apns", "fcm": "Fcm", "webpush": "WebPush"}


def routes(desk: CredentialDesk) -> Routes:
    """The handlers."""

    @native.get(
        PATH,
        tag=TAG,
        operation_id="listPushCredentials",
        summary="What an app pushes with, and what the providers think of it; secrets are not shown.",
    )
    async def list_credentials(app_id: FromPath[str]) -> PushCredentialList:
        return PushCredentialList(await desk.all(app_id))

    @native.put(
        PATH + "/apns",
        tag=TAG,
        operation_id="putApnsCredential",
        summary="An APNs auth key, or a certificate, in the place of what the app had for APNs.",
        request=ApnsContent,
    )
    async def put_apns(request: Req, app_id: FromPath[str], body: RawBody) -> PushCredential:
        return await desk.put(principal_of(request), app_id, decode(body, ApnsContent))

    @native.put(
        PATH + "/fcm",
        tag=TAG,
        operation_id="putFcmCredential",
        summary="A Firebase service account, in the place of what the app had for FCM.",
        request=FcmContent,
    )
    async def put_fcm(request: Req, app_id: FromPath[str], body: RawBody) -> PushCredential:
        return await desk.put(principal_of(request), app_id, decode(body, FcmContent))

    @native.put(
        PATH + "/webpush",
        tag=TAG,
        operation_id="putWebPushCredential",
        summary="Who pushes to browsers. The first time keys are made; later ones stay until they are deleted.",
        request=WebPushContent,
    )
    async def put_web_push(request: Req, app_id: FromPath[str], body: RawBody) -> PushCredential:
        return await desk.put(principal_of(request), app_id, decode(body, WebPushContent))

    @native.delete(
        PATH, tag=TAG, operation_id="clearPushCredentials", summary="Clear: forgets all push credentials of an app."
    )
    async def delete_all(request: Req, app_id: FromPath[str]) -> Ok:
        await desk.clear(principal_of(request), app_id)
        return Ok()

    changing = [put_apns, put_fcm, put_web_push, *(_deleting(desk, kind) for kind in KINDS), delete_all]
    # Not of Web Push: each browser has a push service of its own, so there is nobody to ask.
    return Routes(internal=[list_credentials, *changing, _trying(desk, "apns"), _trying(desk, "fcm")])


def _deleting(desk: CredentialDesk, kind: CredentialKind) -> BaseRouteHandler:
    @native.delete(
        f"{PATH}/{kind}",
        tag=TAG,
        operation_id=f"delete{NAMES[kind]}Credential",
        summary="Forgets the credential of this kind.",
    )
    async def delete_one(request: Req, app_id: FromPath[str]) -> Ok:
        try:
            await desk.remove(principal_of(request), app_id, kind)
        except PushCredentialNotFound as error:
            raise NativePushCredentialNotFound from error
        return Ok()

    return delete_one


def _trying(desk: CredentialDesk, kind: CredentialKind) -> BaseRouteHandler:
    @native.post(
        f"{PATH}/{kind}/try",
        tag=TAG,
        operation_id=f"try{NAMES[kind]}Credential",
        summary="Asks the provider whether it takes the credential; no phone notices.",
    )
    async def try_out(app_id: FromPath[str]) -> Trial:
        try:
            return await desk.try_out(app_id, kind)
        except PushCredentialNotFound as error:
            raise NativePushCredentialNotFound from error

    return try_out
