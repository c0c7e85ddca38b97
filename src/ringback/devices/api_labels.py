"""PowerAuth Cloud: flags and names of registrations, for back ends."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.devices.labels import How
from ringback.devices.schema_looking import ChangeFlags, ChangeName, RegistrationFlags
from ringback.devices.service import DevicesService
from ringback.http import Ok, Req, Routes, cloud, decode, principal_of
from ringback.store import Store

TAG = "Registrations"
FLAGS = "/v2/registrations/{registration_id:str}/flags"


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @cloud.get(FLAGS, tag=TAG, operation_id="listActivationFlags", summary="The flags of a registration.")
    async def get_flags(request: Req, registration_id: FromPath[str]) -> RegistrationFlags:
        unit = devices.registration_detail
        shown = await devices.look(store, unit, principal_of(request), registration_id)
        return RegistrationFlags(shown.registration_id, shown.flags)

    @cloud.post(
        FLAGS,
        tag=TAG,
        operation_id="addActivationFlags",
        summary="More flags; those that it has already are no error.",
        request=ChangeFlags,
    )
    async def add_flags(request: Req, registration_id: FromPath[str], body: RawBody) -> RegistrationFlags:
        return await change_flags(request, registration_id, "add", body)

    @cloud.put(
        FLAGS,
        tag=TAG,
        operation_id="updateActivationFlags",
        summary="These flags in place of those that it has.",
        request=ChangeFlags,
    )
    async def replace_flags(request: Req, registration_id: FromPath[str], body: RawBody) -> RegistrationFlags:
        return await change_flags(request, registration_id, "replace", body)

    @cloud.delete(
        FLAGS,
        tag=TAG,
        operation_id="removeActivationFlags",
        summary="Without these flags; those that it does not have are no error.",
        request=ChangeFlags,
    )
    async def remove_flags(request: Req, registration_id: FromPath[str], body: RawBody) -> RegistrationFlags:
        return await change_flags(request, registration_id, "remove", body)

    async def change_flags(request: Req, registration_id: str, how: How, body: bytes) -> RegistrationFlags:
        command = decode(body, ChangeFlags)
        unit = devices.labels.change_flags
        flags = await store.write(unit, principal_of(request), registration_id, how, command)
        if isinstance(flags, type):
            raise flags
        return RegistrationFlags(registration_id, flags)

    @cloud.put(
        "/v2/registrations/{registration_id:str}/name",
        tag=TAG,
        operation_id="updateActivationName",
        summary="Another name of the phone.",
        request=ChangeName,
    )
    async def change_name(request: Req, registration_id: FromPath[str], body: RawBody) -> Ok:
        command = decode(body, ChangeName)
        refusal = await store.write(devices.labels.change_name, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    return Routes(internal=[get_flags, add_flags, replace_flags, remove_flags, change_name])
