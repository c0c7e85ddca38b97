"""Requests and answers of a phone as they go over the wire, and what a refusal means. No I/O."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Generic, Literal, TypeVar

import msgspec

from ringback.softphone.errors import (
    ActivationRefused,
    FactorsRefused,
    MacTokenRefused,
    RecoveryRefused,
    RefusedByServer,
    ServerNotGenuine,
    SignatureRefused,
)

T = TypeVar("T")

Proof = Literal["none", "signature", "mac token"]


class PhoneRequest(msgspec.Struct, frozen=True):
    """One request, ready to be sent to `path` below the server's enrollment URL; `at_root`: below its own URL."""

    path: str
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    proof: Proof = "none"
    method: str = "POST"
    at_root: bool = False


class Plain(msgspec.Struct, Generic[T]):
    """The frame around a plain answer: `{"status":"OK","responseObject":…}`."""

    status: str
    response_object: T = msgspec.field(name="responseObject")


class StatusOnly(msgspec.Struct):
    """An answer that says only that it went well: `{"status":"OK"}`."""

    status: str


class _Refusal(msgspec.Struct):
    code: str = "?"
    message: str = "?"
    puk_index: int | None = msgspec.field(name="currentRecoveryPukIndex", default=None)


class _RefusalFrame(msgspec.Struct):
    response_object: _Refusal = msgspec.field(name="responseObject")


class EncodedJwt(msgspec.Struct):
    """Carries a temporary key's JWT, both ways."""

    jwt: str


class StatusAnswer(msgspec.Struct, rename="camel"):
    """Answer of activation/status."""

    encrypted_status_blob: str
    nonce: str
    activation_id: str = ""
    custom_object: Any = None


class ActivationLayer1(msgspec.Struct, rename="camel"):
    """Opened outer layer of the answer of activation/create."""

    activation_data: Any
    user_info: dict[str, Any] | None = None


class ActivationRecovery(msgspec.Struct, frozen=True, rename="camel"):
    """What a person writes down, to activate another phone when this one is lost."""

    recovery_code: str
    puk: str

    def __repr__(self) -> str:
        """Shows neither."""
        return "ActivationRecovery()"


class ActivationLayer2(msgspec.Struct, rename="camel"):
    """Opened inner layer of the answer of activation/create."""

    activation_id: str
    server_public_key: str
    ctr_data: str
    activation_recovery: ActivationRecovery | None = None


class NewMacToken(msgspec.Struct, rename="camel"):
    """Opened answer of token/create."""

    token_id: str
    token_secret: str


class ServerState(msgspec.Struct, rename="camel"):
    """Answer of status; the server's time in Unix milliseconds."""

    server_time: int


class AllowedSignature(msgspec.Struct):
    """Which factors an operation wants: `2FA` with its variants, or `1FA`."""

    type: str
    variants: list[str] = msgspec.field(default_factory=list)


class FormData(msgspec.Struct):
    """What the phone shows."""

    title: str = ""
    message: str = ""
    attributes: list[dict[str, Any]] = msgspec.field(default_factory=list)
    result_texts: dict[str, str] | None = msgspec.field(default=None, name="resultTexts")


class PhoneOperation(msgspec.Struct, rename="camel"):
    """An operation as the phone sees it."""

    id: str
    name: str
    data: str
    status: str
    operation_created: str
    operation_expires: str
    allowed_signature_type: AllowedSignature
    form_data: FormData = msgspec.field(default_factory=FormData)
    status_reason: str | None = None
    ui: dict[str, Any] | None = None


class OperationList(msgspec.Struct, rename="camel"):
    """Answer of operation/list, whose frame has the server's time beside the list."""

    status: str
    response_object: list[PhoneOperation]
    current_timestamp: str | int | None = None


def plain_body(content: object) -> bytes:
    """A plain request body: `{"requestObject":…}`."""
    return msgspec.json.encode({"requestObject": content})


def read_answer(request: PhoneRequest, http_status: int, body: bytes, shape: type[T]) -> T:
    """The answer as `shape`. Raises RefusedByServer (or the subclass that tells what to do), ServerNotGenuine.

    The PowerAuth SDK takes every answer but 200 for an error; so does this phone.
    """
    if http_status != HTTPStatus.OK:
        raise refusal(request, http_status, body)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise ServerNotGenuine(
            f"The answer to {request.path} is not what a PowerAuth server sends: {error}", cause=error
        ) from error


def refusal(request: PhoneRequest, http_status: int, body: bytes) -> RefusedByServer:
    """The error in words for the phone's owner."""
    try:
        said = msgspec.json.decode(body, type=_RefusalFrame).response_object
    except msgspec.DecodeError:
        said = _Refusal(message=body[:120].decode("utf-8", "replace").strip() or "an empty answer")
    if said.code == "ERR_RECOVERY":
        return RecoveryRefused(http_status, said.code, said.message, said.puk_index)
    kind: type[RefusedByServer] = RefusedByServer
    if said.code == "ERR_ACTIVATION":
        kind = ActivationRefused
    elif said.message == "POWER_AUTH_SIGNATURE_TYPE_INVALID":
        kind = FactorsRefused
    elif said.code == "INVALID_ACTIVATION" and request.proof == "mac token":
        kind = MacTokenRefused
    elif http_status == HTTPStatus.UNAUTHORIZED and said.code in {"ERR_AUTHENTICATION", "POWERAUTH_AUTH_FAIL"}:
        kind = {"signature": SignatureRefused, "mac token": MacTokenRefused}.get(request.proof, RefusedByServer)
    return kind(http_status, said.code, said.message)
