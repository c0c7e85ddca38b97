"""An operation as the Mobile Token SDK wants to see it (Mobile Token API, "Operation"). Pure functions."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import msgspec

from ringback.operations.model import Operation, decode_signature_types
from ringback.operations.rendering import ReadyTexts
from ringback.operations.schema_mobile import AllowedSignatureType, FormData, PastOperation

VARIANTS = ("possession_knowledge", "possession_biometry")
FLIP_BUTTONS, BLOCK_APPROVAL_ON_CALL, FRAUD_WARNING = "X", "C", "F"


def format_time(at_ms: int) -> str:
    """`2018-07-02T14:43:13+0000`: the form that the SDKs parse; they know no fractions of a second."""
    return _format_seconds(at_ms // 1000)


@lru_cache(maxsize=4096)
def _format_seconds(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(at))


def show_operation(operation: Operation, texts: ReadyTexts) -> PastOperation:
    """The operation with its texts filled in."""
    parameters = operation.parameter_map()
    return PastOperation(
        id=operation.id,
        name=operation.operation_type,
        data=operation.data,
        status=operation.status,
        status_reason=operation.status_reason,
        operation_created=_format_seconds(operation.created_at // 1000),
        operation_expires=_format_seconds(operation.expires_at // 1000),
        allowed_signature_type=allowed_signature_type(operation.signature_types),
        form_data=FormData(
            title=texts.title(parameters),
            message=texts.message(parameters),
            attributes=texts.show_attributes(parameters),
            result_texts=msgspec.UNSET if texts.result_texts is None else texts.result_texts(parameters),
        ),
        ui=ui_of_risk_flags(operation.risk_flags) if texts.ui is None else texts.ui(parameters),
    )


@lru_cache(maxsize=256)
def allowed_signature_type(signature_types: str) -> AllowedSignatureType:
    """`1FA` when possession alone is enough, else `2FA` with the variants that a person may choose from.

    `signature_types`: a JSON list. One factor beside possession is all that the SDKs ask a person for; a variant that
    they do not know makes the SDK for iOS refuse the whole list.
    """
    allowed = decode_signature_types(signature_types)
    if "possession" in allowed:
        return AllowedSignatureType("1FA", ())
    return AllowedSignatureType("2FA", tuple(name for name in VARIANTS if name in allowed))


@lru_cache(maxsize=64)
def ui_of_risk_flags(risk_flags: str) -> Any:
    """The `ui` that the risk flags stand for, where the texts have none: X flips, C blocks during a call, F warns."""
    ui: dict[str, Any] = {}
    if FLIP_BUTTONS in risk_flags:
        ui["flipButtons"] = True
    if BLOCK_APPROVAL_ON_CALL in risk_flags:
        ui["blockApprovalOnCall"] = True
    if FRAUD_WARNING in risk_flags:
        ui["preApprovalScreen"] = {"type": "WARNING", "heading": "", "message": ""}
    return msgspec.Raw(msgspec.json.encode(ui)) if ui else msgspec.UNSET
