"""PowerAuth Cloud: applications and their versions (role admin)."""

from __future__ import annotations

import base64

import msgspec
from litestar.params import FromPath, RawBody

from ringback.apps.model import App, AppCredentials, VersionCredentials
from ringback.apps.schema import (
    Application,
    ApplicationItem,
    ApplicationList,
    ApplicationWithVersions,
    CreateApplication,
    CreateVersion,
    SetRoles,
    Version,
    VersionList,
)
from ringback.apps.service import AppsService
from ringback.errors import AppExists, AppVersionExists, UniqueViolation
from ringback.http import DEFAULT_PAGE_SIZE, PageNumber, PageSize, Req, Routes, cloud, decode, principal_of, rows_before
from ringback.store import Store

TAG = "Applications"
APP = "/admin/applications/{app_id:str}"


def routes(store: Store, apps: AppsService, public_base: str) -> Routes:  # noqa: C901 - a list
    """The handlers; `public_base` is the URL that phones reach."""

    def shown(credentials: AppCredentials) -> Application:
        current = credentials.current
        return Application(
            id=credentials.app.id,
            service_base_url=f"{public_base}/enrollment-server",
            mobile_sdk_config=current.mobile_sdk_config,
            app_key=current.version.app_key,
            app_secret=current.version.app_secret,
            master_server_public_key=base64.b64encode(credentials.master_public_key).decode(),
            roles=_item(credentials.app).roles,
        )

    @cloud.post(
        "/admin/applications",
        tag=TAG,
        operation_id="createApplication",
        summary="Creates an app and returns what the mobile app is built with.",
        role="admin",
        request=CreateApplication,
    )
    async def create_application(request: Req, body: RawBody) -> Application:
        command = decode(body, CreateApplication)
        try:
            created = await store.write(apps.create, principal_of(request), command.id, command.roles or [])
        except UniqueViolation as error:  # somebody else made it at the same time
            raise AppExists(cause=error) from error
        return shown(created)

    @cloud.get("/admin/applications", tag=TAG, operation_id="getApplicationList", summary="Apps, by id.", role="admin")
    async def get_application_list(
        page_number: PageNumber = 0, page_size: PageSize = DEFAULT_PAGE_SIZE
    ) -> ApplicationList:
        skipped = rows_before(page_number, page_size, "Ask for one application by its id.")
        return ApplicationList([_item(app) for app in await store.read(apps.page, skipped, page_size)])

    @cloud.get(
        APP,
        tag=TAG,
        operation_id="getApplication",
        summary="One app with its SDK configuration and all its versions.",
        role="admin",
    )
    async def get_application(app_id: FromPath[str]) -> ApplicationWithVersions:
        credentials = await store.read(apps.credentials, app_id)
        versions = [_version(one) for one in credentials.versions]
        return ApplicationWithVersions(**msgspec.structs.asdict(shown(credentials)), versions=versions)

    @cloud.put(
        APP + "/roles",
        tag=TAG,
        operation_id="updateApplicationRoles",
        summary="The roles of an app, in place of those it had.",
        role="admin",
        request=SetRoles,
    )
    async def set_roles(request: Req, app_id: FromPath[str], body: RawBody) -> ApplicationItem:
        command = decode(body, SetRoles)
        return _item(await store.write(apps.set_roles, principal_of(request), app_id, command.roles))

    @cloud.get(
        APP + "/versions",
        tag=TAG,
        operation_id="getApplicationVersionList",
        summary="The versions of an app, oldest first.",
        role="admin",
    )
    async def get_versions(app_id: FromPath[str]) -> VersionList:
        credentials = await store.read(apps.credentials, app_id)
        return VersionList([_version(one) for one in credentials.versions])

    @cloud.post(
        APP + "/versions",
        tag=TAG,
        operation_id="createApplicationVersion",
        summary="A new version with keys of its own, for a new release of the mobile app.",
        role="admin",
        request=CreateVersion,
    )
    async def create_version(request: Req, app_id: FromPath[str], body: RawBody) -> Version:
        command = decode(body, CreateVersion)
        try:
            return _version(await store.write(apps.add_version, principal_of(request), app_id, command.name))
        except UniqueViolation as error:  # somebody else made it at the same time
            raise AppVersionExists(cause=error) from error

    @cloud.post(
        APP + "/versions/{name:str}/support",
        tag=TAG,
        operation_id="supportApplicationVersion",
        summary="Phones with this version are listened to again.",
        role="admin",
    )
    async def support_version(request: Req, app_id: FromPath[str], name: FromPath[str]) -> Version:
        return await set_supported(request, app_id, name, supported=True)

    @cloud.post(
        APP + "/versions/{name:str}/unsupport",
        tag=TAG,
        operation_id="unsupportApplicationVersion",
        summary="Phones with this version are not listened to: signatures are invalid, encryption is refused.",
        role="admin",
    )
    async def unsupport_version(request: Req, app_id: FromPath[str], name: FromPath[str]) -> Version:
        return await set_supported(request, app_id, name, supported=False)

    async def set_supported(request: Req, app_id: str, name: str, *, supported: bool) -> Version:
        changed = await store.write(apps.set_supported, principal_of(request), app_id, name, supported)
        apps.forget_version(changed.version.app_key)
        return _version(changed)

    return Routes(
        internal=[
            create_application,
            get_application_list,
            get_application,
            set_roles,
            get_versions,
            create_version,
            support_version,
            unsupport_version,
        ]
    )


def _item(app: App) -> ApplicationItem:
    return ApplicationItem(app.id, msgspec.json.decode(app.roles, type=list[str]))


def _version(credentials: VersionCredentials) -> Version:
    version = credentials.version
    return Version(
        name=version.name,
        supported=version.supported,
        app_key=version.app_key,
        app_secret=version.app_secret,
        mobile_sdk_config=credentials.mobile_sdk_config,
    )
