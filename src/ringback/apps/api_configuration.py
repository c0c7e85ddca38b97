"""PowerAuth Cloud: the configuration of an application (role admin)."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.apps.configuration import AppConfiguration
from ringback.apps.schema_configuration import ApplicationConfiguration, ConfigurationEntry, SetConfiguration
from ringback.http import Ok, Req, Routes, cloud, decode, principal_of
from ringback.store import Store

TAG = "Application Configuration"


def routes(store: Store, configuration: AppConfiguration) -> Routes:
    """The handlers."""

    @cloud.get(
        "/admin/applications/{app_id:str}/config",
        tag=TAG,
        operation_id="getApplicationConfig",
        summary="All that is configured for an app; secrets are masked.",
        role="admin",
    )
    async def get_configuration(app_id: FromPath[str]) -> ApplicationConfiguration:
        return ApplicationConfiguration(app_id, await store.read(configuration.all, app_id))

    @cloud.post(
        "/admin/applications/{app_id:str}/config",
        tag=TAG,
        operation_id="createApplicationConfig",
        summary="Sets one key of an app's configuration, in the place of what was there.",
        role="admin",
        request=SetConfiguration,
    )
    async def set_configuration(request: Req, app_id: FromPath[str], body: RawBody) -> ConfigurationEntry:
        command = decode(body, SetConfiguration)
        value = configuration.checked(command.key, command.values)
        entry = await store.write(configuration.set, principal_of(request), app_id, command.key, value)
        configuration.forget(app_id, command.key)
        return entry

    @cloud.delete(
        "/admin/applications/{app_id:str}/config/{key:str}",
        tag=TAG,
        operation_id="removeApplicationConfig",
        summary="Forgets one key of an app's configuration.",
        role="admin",
    )
    async def remove_configuration(request: Req, app_id: FromPath[str], key: FromPath[str]) -> Ok:
        await store.write(configuration.remove, principal_of(request), app_id, key)
        configuration.forget(app_id, key)
        return Ok()

    return Routes(internal=[get_configuration, set_configuration, remove_configuration])
