"""What goes over the wire about recovery codes: the native API for back ends, confirmation for phones."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ringback.devices.schema import AppId, PhoneText, UserId

MOST_PUKS = 100

# back end -------------------------------------------------------------------------------------------------------------


class CreateRecoveryCode(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/v1/recovery-codes: a postcard for a user."""

    app_id: AppId
    user_id: UserId
    puk_count: Annotated[int, msgspec.Meta(ge=1, le=MOST_PUKS)] = 5


class PrintedPuk(msgspec.Struct, frozen=True, rename="camel"):
    """A PUK as it is printed; indexes count from 1, in the order of use."""

    puk_index: int
    puk: str


class CreatedRecoveryCode(msgspec.Struct, frozen=True, rename="camel"):
    """A new postcard. Code and PUKs are shown here and never again. `recoveryQrCodeData`: what its QR code shows."""

    recovery_code_id: str
    app_id: str
    user_id: str
    status: str
    recovery_code: str
    recovery_qr_code_data: str
    puks: tuple[PrintedPuk, ...]


class PukItem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """VALID, USED or INVALID; times are Unix milliseconds."""

    puk_index: int
    status: str
    timestamp_used: int | None = None


class RecoveryCodeItem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A recovery code, CREATED, ACTIVE, BLOCKED or REVOKED. `registrationId`: the phone it was made with, if any."""

    recovery_code_id: str
    app_id: str
    user_id: str
    status: str
    recovery_code_masked: str
    failed_attempts: int
    max_failed_attempts: int
    timestamp_created: int
    timestamp_last_updated: int
    puks: tuple[PukItem, ...]
    registration_id: str | None = None


class RecoveryCodePage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first. `nextCursor`: where the next page begins; null on the last one."""

    recovery_codes: list[RecoveryCodeItem]
    next_cursor: str | None = None


# phone, encrypted -----------------------------------------------------------------------------------------------------


class ConfirmRecoveryCode(msgspec.Struct, frozen=True, rename="camel"):
    """POST /pa/v3/recovery/confirm: the code as it was typed or scanned."""

    recovery_code: PhoneText


class ConfirmedRecoveryCode(msgspec.Struct, frozen=True, rename="camel"):
    """`alreadyConfirmed`: the code was good before."""

    already_confirmed: bool
