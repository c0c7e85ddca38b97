"""PowerAuth Cloud: applications (role admin)."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from litestar import Request

from ringback.apps.model import AppCredentials
from ringback.apps.schema import Application, CreateApplication
from ringback.apps.service import AppsService
from ringback.errors import AppExists, UniqueViolation
from ringback.http import Routes, cloud, decode, principal_of
from ringback.store import Store

Req = Request[Any, Any, Any]


def routes(store: Store, apps: AppsService, public_base: str) -> Routes:
    """The handlers; `public_base` is the URL that phones reach."""

    def shown(credentials: AppCredentials) -> Application:
        return Application(
            id=credentials.app.id,
            service_base_url=f"{public_base}/enrollment-server",
            mobile_sdk_config=credentials.mobile_sdk_config,
            app_key=credentials.version.app_key,
            app_secret=credentials.version.app_secret,
            master_server_public_key=base64.b64encode(credentials.master_public_key).decode(),
            roles=msgspec.json.decode(credentials.app.roles, type=list[str]),
        )

    @cloud.post(
        "/admin/applications",
        tag="Applications",
        operation_id="createApplication",
        summary="Creates an app and returns what the mobile app is built with.",
        role="admin",
        request=CreateApplication,
    )
    async def create_application(request: Req, body: bytes) -> Application:
        command = decode(body, CreateApplication)
        try:
            return shown(await store.write(apps.create, principal_of(request), command.id, command.roles or []))
        except UniqueViolation as error:  # somebody else made it at the same time
            raise AppExists(cause=error) from error

    @cloud.get(
        "/admin/applications/{app_id:str}",
        tag="Applications",
        operation_id="getApplication",
        summary="One app with its SDK configuration.",
        role="admin",
    )
    async def get_application(app_id: str) -> Application:
        return shown(await store.read(apps.credentials, app_id))

    return Routes(internal=[create_application, get_application])
