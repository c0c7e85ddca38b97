"""What back ends send and get about offline signatures of registrations' own data."""

from typing import Annotated

import msgspec

from ringback.devices.model import SignatureOutcome
from ringback.devices.schema import SignatureApplication

Data = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
Nonce = Annotated[str, msgspec.Meta(min_length=24, max_length=24)]
Otp = Annotated[str, msgspec.Meta(max_length=64)]


class OfflineQrRequest(msgspec.Struct, frozen=True):
    """`data`: the lines that the QR text begins with. `nonce`: 16 bytes in Base64; without it the server takes one."""

    data: Data
    nonce: Nonce | None = None


class OfflineQrAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """`offlineData` is shown as a QR code; the back end keeps `nonce` for the check."""

    offline_data: str
    nonce: str


class VerifyOffline(msgspec.Struct, frozen=True, rename="camel"):
    """`otp`: the digits that a person typed; `data`: what the phone signed, under `uriId`.

    `componentLength`: digits for each factor. `allowBiometry`: whether biometry counts as the second factor.
    """

    otp: Otp
    nonce: Nonce
    data: Annotated[str, msgspec.Meta(max_length=10_000)]
    uri_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "/operation/authorize/offline"
    allow_biometry: bool = False
    component_length: Annotated[int, msgspec.Meta(ge=4, le=8)] = 8


class VerifiedOffline(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the check came to; `registrationStatus` is REMOVED for an unknown registration."""

    otp_valid: bool
    registration_id: str
    registration_status: str
    signature_type: str
    remaining_attempts: int
    flags: tuple[str, ...]
    user_id: str | None = None
    blocked_reason: str | None = None
    application: SignatureApplication | None = None


def verified_offline(outcome: SignatureOutcome, roles: tuple[str, ...]) -> VerifiedOffline:
    """The answer to a check; `roles`: of the registration's app."""
    return VerifiedOffline(
        otp_valid=outcome.valid,
        registration_id=outcome.registration_id,
        registration_status=outcome.status,
        signature_type=outcome.signature_type,
        remaining_attempts=outcome.remaining_attempts,
        flags=outcome.flags,
        user_id=outcome.user_id,
        blocked_reason=outcome.blocked_reason,
        application=None if outcome.app_id is None else SignatureApplication(outcome.app_id, roles),
    )
