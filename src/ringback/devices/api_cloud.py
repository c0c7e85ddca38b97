"""PowerAuth Cloud, for back ends: registrations, and the checking of signatures and MAC tokens."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.devices.model import MacTokenCheck, SignatureCheck
from ringback.devices.schema import (
    ChangeRegistration,
    CommitRegistration,
    CreatedRegistration,
    CreateRegistration,
    DeleteRegistration,
    ReplaceOtp,
    SignatureApplication,
    VerifiedSignature,
    VerifiedToken,
    VerifySignature,
    VerifyToken,
)
from ringback.devices.service import DevicesService
from ringback.errors import SignatureHeaderMalformed, TokenHeaderMalformed, invalid_field
from ringback.http import Ok, Req, Routes, cloud, decode, principal_of
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.headers import parse_signature_header, parse_token_header
from ringback.protocols.powerauth.signature import SIGNATURE_TYPES, canonical_query
from ringback.store import Store


def routes(store: Store, devices: DevicesService) -> Routes:  # noqa: C901 - a list
    """The handlers."""

    @cloud.post(
        "/v2/registrations",
        tag="Registrations",
        operation_id="createRegistration",
        summary="Creates a registration with an activation code for the phone.",
        request=CreateRegistration,
    )
    async def create_registration(
        request: Req,
        body: RawBody,
        only_one: Annotated[bool, QueryParameter(name="incompleteStatusCheck")] = False,  # noqa: FBT002 - a query parameter
    ) -> CreatedRegistration:
        command = decode(body, CreateRegistration)
        create = devices.create_only_registration if only_one else devices.create_registration
        return await store.write(create, principal_of(request), command)

    @cloud.post(
        "/v2/registrations/{registration_id:str}/commit",
        tag="Registrations",
        operation_id="commitActivation",
        summary="Makes a registration active whose phone has exchanged keys.",
        request=CommitRegistration,
    )
    async def commit_registration(request: Req, registration_id: FromPath[str], body: RawBody) -> Ok:
        command = decode(body, CommitRegistration, optional=True)
        refusal = await store.write(devices.commit_registration, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    @cloud.put(
        "/v2/registrations/{registration_id:str}",
        tag="Registrations",
        operation_id="updateRegistrationState",
        summary="Blocks, unblocks or removes a registration.",
        request=ChangeRegistration,
    )
    async def update_registration(request: Req, registration_id: FromPath[str], body: RawBody) -> Ok:
        command = decode(body, ChangeRegistration)
        refusal = await store.write(devices.change_registration, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    @cloud.put(
        "/v2/registrations/{registration_id:str}/otp",
        tag="Registrations",
        operation_id="updateActivationOtp",
        summary="Sets the activation OTP of a registration that is not active yet, in place of an earlier one.",
        request=ReplaceOtp,
    )
    async def replace_otp(request: Req, registration_id: FromPath[str], body: RawBody) -> Ok:
        command = decode(body, ReplaceOtp)
        refusal = await store.write(devices.replace_otp, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    @cloud.delete(
        "/v2/registrations/{registration_id:str}",
        tag="Registrations",
        operation_id="deleteRegistration",
        summary="Removes a registration that was not committed yet.",
        request=DeleteRegistration,
    )
    async def delete_registration(request: Req, registration_id: FromPath[str], body: RawBody) -> Ok:
        command = decode(body, DeleteRegistration, optional=True)
        refusal = await store.write(devices.cancel_registration, principal_of(request), registration_id, command)
        if refusal is not None:
            raise refusal
        return Ok()

    @cloud.post(
        "/v2/signature/verify",
        tag="Signature Verification",
        operation_id="verifyOnlineSignature",
        summary="Checks the signature of a request that the back end received; a signature is valid once.",
        request=VerifySignature,
    )
    async def verify_signature(request: Req, body: RawBody) -> VerifiedSignature:
        check = _signature_check(decode(body, VerifySignature))
        outcome = await store.write(devices.verify_signature, principal_of(request), check)
        return VerifiedSignature(
            signature_valid=outcome.valid,
            registration_id=outcome.registration_id,
            registration_status=outcome.status,
            signature_type=outcome.signature_type,
            remaining_attempts=outcome.remaining_attempts,
            flags=outcome.flags,
            user_id=outcome.user_id,
            blocked_reason=outcome.blocked_reason,
            application=await application(outcome.app_id),
        )

    @cloud.post(
        "/v2/token/verify",
        tag="Signature Verification",
        operation_id="verifyToken",
        summary="Checks the MAC token header of a request that the back end received; a header is valid once.",
        request=VerifyToken,
    )
    async def verify_token(request: Req, body: RawBody) -> VerifiedToken:
        command = decode(body, VerifyToken)
        try:
            check = MacTokenCheck(parse_token_header(command.auth_header))
        except PowerAuthProtocolError as error:
            raise TokenHeaderMalformed(cause=error) from error
        outcome = await store.write(devices.verify_mac_token, principal_of(request), check)
        return VerifiedToken(
            token_valid=outcome.valid,
            registration_status=outcome.status,
            registration_id=outcome.registration_id or None,
            user_id=outcome.user_id,
            signature_type=outcome.signature_type or None,
            application=await application(outcome.app_id),
        )

    async def application(app_id: str | None) -> SignatureApplication | None:
        if app_id is None:
            return None
        return SignatureApplication(app_id, await store.read(devices.app_roles, app_id))

    return Routes(
        internal=[
            create_registration,
            commit_registration,
            update_registration,
            replace_otp,
            delete_registration,
            verify_signature,
            verify_token,
        ]
    )


def _signature_check(command: VerifySignature) -> SignatureCheck:
    """What the phone signed. Raises SignatureHeaderMalformed, InvalidRequest."""
    try:
        header = parse_signature_header(command.auth_header)
    except PowerAuthProtocolError as error:
        raise SignatureHeaderMalformed(cause=error) from error
    if header.signature_type not in SIGNATURE_TYPES:
        raise SignatureHeaderMalformed
    if command.method == "GET":
        return SignatureCheck("GET", command.uri_id, header, canonical_query(command.query_params or {}))
    try:
        signed = base64.b64decode(command.request_body or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_field("requestBody", "Send the signed body in Base64.") from error
    return SignatureCheck(command.method, command.uri_id, header, signed)
