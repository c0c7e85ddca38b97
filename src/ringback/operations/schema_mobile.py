"""What phones send and get (Mobile Token API)."""

from typing import Annotated, Any

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class AllowedSignatureType(msgspec.Struct, frozen=True):
    """How the operation may be signed."""

    type: str
    variants: tuple[str, ...]


class FormData(msgspec.Struct, frozen=True):
    """What the person reads."""

    title: str
    message: str
    attributes: tuple[dict[str, Any], ...]


class MobileOperation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One operation."""

    id: str
    name: str
    data: str
    status: str
    operation_created: str
    operation_expires: str
    allowed_signature_type: AllowedSignatureType
    form_data: FormData
    status_reason: str | None = None
    ui: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class OperationList(msgspec.Struct, frozen=True, rename="camel"):
    """The pending operations, with the server's time beside them."""

    current_timestamp: str
    response_object: list[MobileOperation]
    status: str = "OK"


class OperationDetail(msgspec.Struct, frozen=True, rename="camel"):
    """One operation, with the server's time beside it."""

    current_timestamp: str
    response_object: MobileOperation
    status: str = "OK"


class OperationId(msgspec.Struct, frozen=True):
    """Which operation."""

    id: Id


class OperationIdRequest(msgspec.Struct, frozen=True, rename="camel"):
    """`{"requestObject":{"id":…}}`."""

    request_object: OperationId


class ListRequest(msgspec.Struct, frozen=True):
    """`{}`."""


class Approval(msgspec.Struct, frozen=True):
    """The operation and the data that the person saw."""

    id: Id
    data: Annotated[str, msgspec.Meta(max_length=100_000)]


class ApprovalRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The body that the phone signed."""

    request_object: Approval


class Rejection(msgspec.Struct, frozen=True):
    """The operation and why: UNKNOWN, INCORRECT_DATA, UNEXPECTED_OPERATION, or the app's own words."""

    id: Id
    reason: Annotated[str, msgspec.Meta(max_length=255)] | None = None


class RejectionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The body that the phone signed."""

    request_object: Rejection
