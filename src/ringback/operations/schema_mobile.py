"""What phones send and get (Mobile Token API)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from ringback.operations.data import MOST_DATA

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Moment = (
    Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
    | Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799_999)]
    | Annotated[str, msgspec.Meta(max_length=64)]
)


class AllowedSignatureType(msgspec.Struct, frozen=True):
    """How the operation may be signed."""

    type: str
    variants: tuple[str, ...]


class FormData(msgspec.Struct, frozen=True, rename="camel"):
    """What the person reads. `resultTexts`: what the app says when it is over, by success, reject and failure."""

    title: str
    message: str
    attributes: tuple[dict[str, Any], ...]
    result_texts: Any | msgspec.UnsetType = msgspec.UNSET


class MobileOperation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One operation that waits for its answer."""

    id: str
    name: str
    data: str
    status: str
    operation_created: str
    operation_expires: str
    allowed_signature_type: AllowedSignatureType
    form_data: FormData
    ui: Any | msgspec.UnsetType = msgspec.UNSET


class PastOperation(MobileOperation, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One operation that may be over, and why it was cancelled."""

    status_reason: str | None = None


class OperationList(msgspec.Struct, frozen=True, rename="camel"):
    """The pending operations, with the server's time beside them."""

    current_timestamp: str
    response_object: Sequence[MobileOperation]
    status: str = "OK"


class OperationHistory(msgspec.Struct, frozen=True, rename="camel"):
    """The user's operations, with the server's time beside them."""

    current_timestamp: str
    response_object: Sequence[PastOperation]
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


class HistoryRequest(msgspec.Struct, frozen=True):
    """`{}`, under the phone's signature."""


class ListRequest(msgspec.Struct, frozen=True):
    """`{}`."""


class ProximityCheck(msgspec.Struct, frozen=True, rename="camel"):
    """The OTP that the phone read near the person, how, and by the phone's clock when it came and when it was sent.

    The times are Unix milliseconds or ISO 8601; the server's own clock decides, so nothing depends on them.
    """

    otp: Annotated[str, msgspec.Meta(max_length=64)]
    type: Literal["QR_CODE", "DEEPLINK"] | None = None
    timestamp_received: Moment | None = None
    timestamp_sent: Moment | None = None


class Approval(msgspec.Struct, frozen=True, rename="camel"):
    """The operation and the data that the person saw."""

    id: Id
    data: Annotated[str, msgspec.Meta(max_length=MOST_DATA)]
    proximity_check: ProximityCheck | None = None


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
