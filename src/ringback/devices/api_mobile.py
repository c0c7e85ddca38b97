"""The PowerAuth protocol for phones: what is not encrypted in activation scope, and MAC tokens."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from litestar.params import RawBody

from ringback.devices.headers import read_encryption_header, read_signature_header
from ringback.devices.model import SignatureCheck
from ringback.devices.schema import (
    ActivationLayer1Request,
    ActivationLayer1Response,
    ActivationLayer2Request,
    ActivationLayer2Response,
    ActivationStatus,
    CreatedMacToken,
    MacTokenObject,
    RemovedActivation,
    RemoveMacToken,
    ServerApplication,
    ServerStatus,
    StatusRequest,
    TemporaryKeyObject,
    TemporaryKeyRequest,
)
from ringback.devices.service import DevicesService
from ringback.errors import (
    ActivationInvalid,
    InvalidRequest,
    RequestInvalid,
    SignatureInvalid,
    TemporaryKeyFailure,
)
from ringback.http import Envelope, Ok, Req, Routes, decode, mobile, remote_address
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.headers import ENCRYPTION_HEADER, SIGNATURE_HEADER
from ringback.protocols.powerauth.signature import canonical_query
from ringback.store import Store

VALIDATE_URI_ID = "/pa/signature/validate"
MAX_QUERY_FIELDS = 100
"""More parameters than that no phone signs."""


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""
    return _unsigned(store, devices) + _signed(store, devices) + _validation(store, devices)


def _unsigned(store: Store, devices: DevicesService) -> Routes:
    """Before a phone has keys, and what it may ask without proving them."""
    application = ServerApplication("ringback", version("ringback"))

    @mobile.post("/pa/v3/status", tag="Server", operation_id="getServerStatus", summary="The server's clock.")
    async def server_status() -> Envelope[ServerStatus]:
        return Envelope(ServerStatus(devices.server_time(), application))

    @mobile.post(
        "/pa/v3/keystore/create",
        tag="Encryption",
        operation_id="createTemporaryKey",
        summary="A key that the next encrypted requests are made for.",
        request=TemporaryKeyRequest,
    )
    async def create_temporary_key(body: RawBody) -> Envelope[TemporaryKeyObject]:
        try:
            jwt = decode(body, TemporaryKeyRequest).request_object.jwt
        except InvalidRequest as error:
            raise TemporaryKeyFailure(cause=error) from error
        return Envelope(TemporaryKeyObject(await devices.create_temporary_key(store, jwt)))

    @mobile.post(
        "/pa/v3/activation/create",
        tag="Activation",
        operation_id="createActivation",
        summary="Exchanges keys with a phone that has an activation code.",
        request=EciesEnvelope,
        header=[ENCRYPTION_HEADER],
        decrypted=(
            [ActivationLayer1Request, ActivationLayer2Request],
            [ActivationLayer1Response, ActivationLayer2Response],
        ),
    )
    async def create_activation(request: Req, body: RawBody) -> EciesResponse:
        header = read_encryption_header(request.headers)
        return await devices.create_activation(store, header, body, remote_address(request))

    @mobile.post(
        "/pa/v3/activation/status",
        tag="Activation",
        operation_id="getActivationStatus",
        summary="The encrypted status of a registration.",
        request=StatusRequest,
    )
    async def activation_status(body: RawBody) -> Envelope[ActivationStatus]:
        try:
            command = decode(body, StatusRequest).request_object
        except InvalidRequest as error:
            raise ActivationInvalid(cause=error) from error
        return Envelope(await store.read(devices.activation_status, command))

    return Routes(public=[server_status, create_temporary_key, create_activation, activation_status])


def _signed(store: Store, devices: DevicesService) -> Routes:
    """What a phone signs."""

    @mobile.post(
        "/pa/v3/activation/remove",
        tag="Activation",
        operation_id="removeActivation",
        summary="The phone gives up its registration.",
        header=[SIGNATURE_HEADER],
    )
    async def remove_activation(request: Req, body: RawBody) -> Envelope[RemovedActivation]:
        header = read_signature_header(request.headers)
        outcome = await store.write(devices.remove_activation, header, body)
        if not outcome.valid:
            raise SignatureInvalid
        return Envelope(RemovedActivation(outcome.registration_id))

    @mobile.post(
        "/pa/v3/token/create",
        tag="MAC tokens",
        operation_id="createToken",
        summary="A MAC token, with which the phone proves who it is without a person.",
        request=EciesEnvelope,
        header=[SIGNATURE_HEADER],
        decrypted=([], [CreatedMacToken]),
    )
    async def create_token(request: Req, body: RawBody) -> EciesResponse:
        return await devices.create_mac_token(store, read_signature_header(request.headers), body)

    @mobile.post(
        "/pa/v3/token/remove",
        tag="MAC tokens",
        operation_id="removeToken",
        summary="Forgets a MAC token.",
        request=RemoveMacToken,
        header=[SIGNATURE_HEADER],
    )
    async def remove_token(request: Req, body: RawBody) -> Envelope[MacTokenObject]:
        header = read_signature_header(request.headers)
        try:
            token = decode(body, RemoveMacToken).request_object
        except InvalidRequest as error:
            raise RequestInvalid(cause=error) from error
        outcome = await store.write(devices.remove_mac_token, header, body, token.token_id)
        if not outcome.valid:
            raise SignatureInvalid
        return Envelope(token)

    return Routes(public=[remove_activation, create_token, remove_token])


def _validation(store: Store, devices: DevicesService) -> Routes:
    """Only the check of a signature, whatever it is over."""

    async def validate(request: Req, method: str, signed: bytes) -> Ok:
        check = SignatureCheck(method, VALIDATE_URI_ID, read_signature_header(request.headers), signed)
        outcome = await store.write(devices.validate_signature, check)
        if not outcome.valid:
            raise SignatureInvalid
        return Ok()

    signed_route: dict[str, Any] = {"tag": "Signatures", "header": [SIGNATURE_HEADER]}
    path = "/pa/v3/signature/validate"

    @mobile.get(path, operation_id="validateGet", summary="Checks the signature of a GET.", **signed_route)
    async def validate_get(request: Req) -> Ok:
        return await validate(request, "GET", _canonical_query(request))

    @mobile.post(path, operation_id="validatePost", summary="Checks the signature of a POST.", **signed_route)
    async def validate_post(request: Req, body: RawBody) -> Ok:
        return await validate(request, "POST", body)

    @mobile.put(path, operation_id="validatePut", summary="Checks the signature of a PUT.", **signed_route)
    async def validate_put(request: Req, body: RawBody) -> Ok:
        return await validate(request, "PUT", body)

    @mobile.delete(path, operation_id="validateDelete", summary="Checks the signature of a DELETE.", **signed_route)
    async def validate_delete(request: Req, body: RawBody) -> Ok:
        return await validate(request, "DELETE", body)

    return Routes(public=[validate_get, validate_post, validate_put, validate_delete])


def _canonical_query(request: Req) -> bytes:
    """The query as the phone signed it."""
    try:
        text = request.scope["query_string"].decode("ascii")
        return canonical_query(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError as error:
        raise RequestInvalid(cause=error) from error
