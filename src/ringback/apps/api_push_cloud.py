"""PowerAuth Cloud: push credentials of an application (role admin)."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.apps.credential_desk import CredentialDesk
from ringback.apps.credential_forms import apns_token_key, fcm_service_account
from ringback.apps.schema_push_credentials import CloudApns, CloudApnsContent, CloudFcm, CloudFcmContent, PushCredential
from ringback.http import Ok, Req, Routes, cloud, decode, principal_of

TAG = "Push Credentials"
PATH = "/admin/applications/{app_id:str}/push"
APNS_NAMES = {"bundleId": "topic", "keyFile": "privateKeyBase64"}


def routes(desk: CredentialDesk) -> Routes:
    """The handlers."""

    @cloud.post(
        PATH + "/apns",
        tag=TAG,
        operation_id="setApplicationApns",
        summary="An APNs auth key, in the place of what the app had for APNs.",
        role="admin",
        request=CloudApnsContent,
    )
    async def set_apns(request: Req, app_id: FromPath[str], body: RawBody) -> CloudApns:
        content = decode(body, CloudApnsContent)
        credential = await desk.checked(
            lambda: apns_token_key(
                key_id=content.key_id,
                team_id=content.team_id,
                bundle_id=content.topic,
                key_file=content.private_key_base64,
                environment=content.environment,
                names=APNS_NAMES,
            )
        )
        return _apns(await desk.put_checked(principal_of(request), app_id, credential))

    @cloud.get(
        PATH + "/apns", tag=TAG, operation_id="getApplicationApns", summary="APNs of an app, without the key.",
        role="admin",
    )  # fmt: skip
    async def get_apns(app_id: FromPath[str]) -> CloudApns:
        return _apns(await desk.one(app_id, "apns"))

    @cloud.delete(PATH + "/apns", tag=TAG, operation_id="removeApplicationApns", summary="Forgets it.", role="admin")
    async def remove_apns(request: Req, app_id: FromPath[str]) -> Ok:
        await desk.remove(principal_of(request), app_id, "apns")
        return Ok()

    @cloud.post(
        PATH + "/fcm",
        tag=TAG,
        operation_id="setApplicationFcm",
        summary="A Firebase service account, in the place of what the app had for FCM.",
        role="admin",
        request=CloudFcmContent,
    )
    async def set_fcm(request: Req, app_id: FromPath[str], body: RawBody) -> CloudFcm:
        content = decode(body, CloudFcmContent)
        account = await desk.checked(
            lambda: fcm_service_account(
                content.private_key_base64, field="privateKeyBase64", project_id=content.project_id
            )
        )
        return _fcm(await desk.put_checked(principal_of(request), app_id, account))

    @cloud.get(
        PATH + "/fcm", tag=TAG, operation_id="getApplicationFcm", summary="FCM of an app, without the key.",
        role="admin",
    )  # fmt: skip
    async def get_fcm(app_id: FromPath[str]) -> CloudFcm:
        return _fcm(await desk.one(app_id, "fcm"))

    @cloud.delete(PATH + "/fcm", tag=TAG, operation_id="removeApplicationFcm", summary="Forgets it.", role="admin")
    async def remove_fcm(request: Req, app_id: FromPath[str]) -> Ok:
        await desk.remove(principal_of(request), app_id, "fcm")
        return Ok()

    return Routes(internal=[set_apns, get_apns, remove_apns, set_fcm, get_fcm, remove_fcm])


def _apns(shown: PushCredential) -> CloudApns:
    return CloudApns(shown.bundle_id or "", shown.key_id, shown.team_id, shown.environment)


def _fcm(shown: PushCredential) -> CloudFcm:
    return CloudFcm(shown.project_id or "")
