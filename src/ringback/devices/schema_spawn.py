"""What goes over the wire when a phone asks for an activation code for another app; both sides are encrypted."""

from __future__ import annotations

import msgspec

from ringback.devices.schema import AppId, Otp


class SpawnActivation(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/activation/code. `applicationId`: the other app; `otp`: what its phone has to send with the code."""

    application_id: AppId
    otp: Otp


class SpawnActivationRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The same in the frame of a plain request, as the reference client sends it."""

    request_object: SpawnActivation


class SpawnedActivation(msgspec.Struct, frozen=True, rename="camel"):
    """The code for the other app, signed by that app's master key (DER, Base64)."""

    activation_id: str
    activation_code: str
    activation_signature: str


class SpawnedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer, bare as in other encrypted answers and in the frame in which the reference client looks for it."""

    activation_id: str
    activation_code: str
    activation_signature: str
    response_object: SpawnedActivation
    status: str = "OK"
