"""UDS, resource `devicetoken`: a person says where one of its devices is reached (Cisco User Data Services)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath, RawBody

from ringback.devices.push_tokens import told_language, write_again
from ringback.devices.schema_uds import DeviceToken
from ringback.devices.uds import UdsDevices, channel_of, read_device_pkid
from ringback.errors import InvalidRequest, NotAllowed, Violation
from ringback.http import Req, Routes, principal_of, uds, xml_document
from ringback.protocols.uds_token import ALGORITHM, PAYLOAD_VERSION, TokenUpdate, UdsTokenError, read_token
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.principal import Principal
    from ringback.push import PushToken

TAG = "UDS"
MEDIA_TYPE = "application/xml"
PATH = "/user/{user_id:str}/device/{device_pkid:str}/devicetoken"


def routes(store: Store, devices: UdsDevices) -> Routes:
    """The handlers."""

    @uds.put(
        PATH,
        tag=TAG,
        operation_id="putDeviceToken",
        summary="Tells where a device of the user is reached; the first time with push token, channel and application.",
        request=DeviceToken,
        media_type=MEDIA_TYPE,
    )
    async def put_device_token(
        request: Req, user_id: FromPath[str], device_pkid: FromPath[str], body: RawBody
    ) -> Response[bytes]:
        principal, pkid = _own(request, user_id), read_device_pkid(device_pkid)
        update, language = _read(body), told_language(request.headers)
        return _shown(await write_again(store, devices.tell, principal, pkid, update, language))

    @uds.get(
        PATH,
        tag=TAG,
        operation_id="getDeviceToken",
        summary="What is kept of the device, without the key; 404 when it is reached no more.",
        media_type=MEDIA_TYPE,
    )
    async def get_device_token(request: Req, user_id: FromPath[str], device_pkid: FromPath[str]) -> Response[bytes]:
        principal, pkid = _own(request, user_id), read_device_pkid(device_pkid)
        return _shown(await store.read(devices.show, principal, pkid))

    @uds.delete(
        PATH,
        tag=TAG,
        operation_id="deleteDeviceToken",
        summary="The device is not to be reached any more.",
        status=204,
    )
    async def delete_device_token(request: Req, user_id: FromPath[str], device_pkid: FromPath[str]) -> None:
        principal, pkid = _own(request, user_id), read_device_pkid(device_pkid)
        await store.write(devices.forget, principal, pkid)

    return Routes(public=[put_device_token, get_device_token, delete_device_token])


def _own(request: Req, user_id: str) -> Principal:
    """The user, who is the one that the address names; of others nobody learns whether they exist."""
    principal = principal_of(request)
    if principal.name != user_id:
        raise NotAllowed("This address is another user's, if it is anybody's.")
    return principal


def _read(body: bytes) -> TokenUpdate:
    try:
        return read_token(body)
    except UdsTokenError as error:
        violations = (Violation(error.field, None, error.hint),)
        raise InvalidRequest(f"{error.field}: {error.hint}", cause=error, violations=violations) from error


def _shown(token: PushToken) -> Response[bytes]:
    children = (
        ("pushNotifyToken", token.push_token),
        ("pushChannelType", channel_of(token)),
        ("algorithm", ALGORITHM),
        ("application", token.app_id),
        ("payloadVersion", PAYLOAD_VERSION),
        ("encrypted", "false" if token.encryption_key_sealed is None else "true"),
        ("registeredAt", str(token.registered_at)),
    )
    return Response(xml_document("token", (), children), media_type=MEDIA_TYPE)
