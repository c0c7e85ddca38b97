"""PowerAuth Cloud: callbacks. Admins manage those of every app, integration users those of theirs."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.callbacks.announcing import Announcer
from ringback.callbacks.authentication import HttpBasic
from ringback.callbacks.durations import format_duration
from ringback.callbacks.schema import (
    AuthenticationShown,
    CallbackContent,
    CallbackList,
    CallbackShown,
    HttpBasicShown,
)
from ringback.callbacks.service import CallbacksService, Known
from ringback.http import Ok, Req, Routes, cloud, decode, principal_of
from ringback.store import Store

TAG = "Callbacks"
_ALL = "/v2/admin/applications/{app_id:str}/callbacks"
_ONE = f"{_ALL}/{{callback_id:str}}"


def routes(store: Store, callbacks: CallbacksService, announcer: Announcer) -> Routes:
    """The handlers."""

    @cloud.post(_ALL, tag=TAG, operation_id="createCallback", role="any", request=CallbackContent)
    async def create_callback(request: Req, app_id: FromPath[str], body: RawBody) -> CallbackShown:
        content = decode(body, CallbackContent)
        created = await store.write(callbacks.create, principal_of(request), app_id, content)
        announcer.forget()
        return shown(created)

    @cloud.get(_ALL, tag=TAG, operation_id="getCallbackList", role="any")
    async def list_callbacks(request: Req, app_id: FromPath[str]) -> CallbackList:
        found = await store.read(callbacks.all, principal_of(request), app_id)
        return CallbackList([shown(one) for one in found])

    @cloud.get(_ONE, tag=TAG, operation_id="getCallback", role="any")
    async def get_callback(request: Req, app_id: FromPath[str], callback_id: FromPath[str]) -> CallbackShown:
        return shown(await store.read(callbacks.get, principal_of(request), app_id, callback_id))

    @cloud.put(_ONE, tag=TAG, operation_id="updateCallback", role="any", request=CallbackContent)
    async def update_callback(
        request: Req, app_id: FromPath[str], callback_id: FromPath[str], body: RawBody
    ) -> CallbackShown:
        content = decode(body, CallbackContent)
        changed = await store.write(callbacks.replace, principal_of(request), app_id, callback_id, content)
        announcer.forget()
        return shown(changed)

    @cloud.delete(_ONE, tag=TAG, operation_id="deleteCallback", role="any")
    async def delete_callback(request: Req, app_id: FromPath[str], callback_id: FromPath[str]) -> Ok:
        await store.write(callbacks.delete, principal_of(request), app_id, callback_id)
        announcer.forget()
        return Ok()

    return Routes(internal=[create_callback, list_callbacks, get_callback, update_callback, delete_callback])


def shown(known: Known) -> CallbackShown:
    """The callback as its back end sees it: without the password."""
    callback, proves = known.callback, known.authentication
    basic = HttpBasicShown(enabled=True, username=proves.username) if isinstance(proves, HttpBasic) else None
    return CallbackShown(
        id=callback.id,
        application_id=callback.app_id,
        name=callback.name,
        type=callback.type,
        callback_url=callback.callback_url,
        attributes=callback.attribute_list(),
        authentication=AuthenticationShown(basic),
        retention_period=format_duration(callback.retention_ms),
        initial_backoff=format_duration(callback.initial_backoff_ms),
        max_attempts=callback.max_attempts,
        long_type_names=callback.long_type_names,
        enabled=callback.enabled,
        timestamp_created=callback.created_at,
    )
