"""What back ends send and get (PowerAuth Cloud, Operations)."""

from typing import Annotated, Any

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Text = Annotated[str, msgspec.Meta(max_length=255)]
Value = Annotated[str, msgspec.Meta(max_length=10_000)]
Parameters = Annotated[dict[Text, Value], msgspec.Meta(max_length=100)]
# The end of the year 9999: what lies behind it is a mistake, and no calendar can show it.
Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class CreateOperation(msgspec.Struct, frozen=True, rename="camel"):
    """A new operation. Without `userId` it belongs to whoever claims or approves it first.

    `registrationId` (or `activationId`): only this phone may answer, and its user is the operation's. `flag` (or
    `activationFlag`): only phones with this flag may. `proximityCheckEnabled`: else the template decides, and an
    operation that is nobody's is always checked.
    """

    template: Id
    user_id: Id | None = None
    language: Annotated[str, msgspec.Meta(max_length=16)] | None = None
    external_id: Text | None = None
    flag: Text | None = None
    timestamp_expires: Moment | None = None
    parameters: Parameters | None = None
    proximity_check_enabled: bool | None = None
    silent: bool | None = None
    registration_id: Id | None = None
    activation_id: Id | None = None
    activation_flag: Text | None = None


class NewOperation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """An operation as a back end sees it when it was made; times are Unix milliseconds.

    `proximityOtp`: to be shown near the person now. `riskFlags`: letters of the template, X, C and F.
    """

    operation_id: str
    status: str
    template: str
    operation_type: str
    parameters: dict[str, str]
    failure_count: int
    max_failure_count: int
    timestamp_created: int
    timestamp_expires: int
    data: str
    user_id: str | None = None
    external_id: str | None = None
    language: str | None = None
    flag: str | None = None
    registration_id: str | None = None
    proximity_otp: str | None = None
    risk_flags: str = ""


class CloudOperation(NewOperation, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """The same with what came of it. `additionalData`: what was noted about the phone that answered."""

    additional_data: dict[str, Any] | None = None
    timestamp_finalized: int | None = None
    status_reason: str | None = None


class CloudOperationList(msgspec.Struct, frozen=True):
    """GET /v2/operations: newest first."""

    operations: list[CloudOperation]
