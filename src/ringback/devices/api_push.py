"""Where phones are reached: the registration of push tokens (Mobile Token API, "Register for Push Messages")."""

from __future__ import annotations

from typing import Any

from litestar.params import RawBody

from ringback.devices.headers import read_signature_header, read_token_header
from ringback.devices.model import MacTokenCheck, MacTokenOutcome, SignatureCheck, SignatureOutcome
from ringback.devices.push_tokens import told_language, write_again
from ringback.devices.schema import RegisterPushToken
from ringback.devices.service import DevicesService
from ringback.errors import (
    AuthenticationFailed,
    InvalidActivation,
    MobileTokenFailed,
    PushRegistrationFailed,
    UniqueViolation,
)
from ringback.http import Ok, Req, Routes, decode, mobile
from ringback.protocols.powerauth.headers import SIGNATURE_HEADER, TOKEN_HEADER
from ringback.store import Store

URI_ID = "/push/device/register"


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    async def register(request: Req, check: MacTokenCheck | SignatureCheck, body: bytes) -> Ok:
        push = devices.checked_push_token(decode(body, RegisterPushToken).request_object)
        by_token = isinstance(check, MacTokenCheck)
        unit = devices.register_push_token if by_token else devices.register_push_token_signed
        outcome: MacTokenOutcome | SignatureOutcome
        try:
            outcome = await write_again(store, unit, check, push, told_language(request.headers))
        except UniqueViolation as error:
            raise PushRegistrationFailed(cause=error) from error
        if outcome.valid:
            return Ok()
        proven = isinstance(outcome, MacTokenOutcome) and outcome.proven
        raise InvalidActivation if proven else MobileTokenFailed

    described: dict[str, Any] = {
        "tag": "Push",
        "summary": "Tells where the phone is reached.",
        "request": RegisterPushToken,
    }

    @mobile.post(
        "/api/push/device/register",
        operation_id="registerPushToken",
        optional_header=[SIGNATURE_HEADER, TOKEN_HEADER],
        **described,
    )
    async def register_push_token(request: Req, body: RawBody) -> Ok:
        # Documented with a signature; the reference server takes a MAC token here as well.
        signed = SIGNATURE_HEADER in request.headers
        return await register(request, _signature_check(request, body) if signed else _token_check(request), body)

    @mobile.post(
        "/api/push/device/register/token",
        operation_id="registerPushTokenByToken",
        header=[TOKEN_HEADER],
        **described,
    )
    async def register_push_token_by_token(request: Req, body: RawBody) -> Ok:
        return await register(request, _token_check(request), body)

    return Routes(public=[register_push_token, register_push_token_by_token])


def _token_check(request: Req) -> MacTokenCheck:
    try:
        return MacTokenCheck(read_token_header(request.headers))
    except AuthenticationFailed as error:
        raise MobileTokenFailed(cause=error) from error


def _signature_check(request: Req, body: bytes) -> SignatureCheck:
    try:
        return SignatureCheck("POST", URI_ID, read_signature_header(request.headers), body)
    except AuthenticationFailed as error:
        raise MobileTokenFailed(cause=error) from error
