"""What goes over the wire: PowerAuth Cloud for back ends, `/pa/v3` and `/api/push` for phones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ringback.devices.model import CommitPhase
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse

# NUL is refused by `decode` in plain requests; what arrives encrypted is decoded here, so the pattern does it.
_NO_NUL = r"^[^\x00]*$"
_MAX_JSON_INTEGER = 2**53 - 1

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
AppId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Text255 = Annotated[str, msgspec.Meta(max_length=255)]
Otp = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
PhoneText = Annotated[str, msgspec.Meta(max_length=255, pattern=_NO_NUL)]
PhoneExtras = Annotated[str, msgspec.Meta(max_length=4096, pattern=_NO_NUL)]

# back end: requests ---------------------------------------------------------------------------------------------------


class CreateRegistration(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/registrations. `otp` is checked when the registration is committed: `commitPhase` or `otpValidation`."""

    user_id: UserId
    app_id: AppId
    otp: Otp | None = None
    otp_validation: Literal["NONE"] | CommitPhase | None = None
    commit_phase: CommitPhase | None = None
    flags: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=255)]], msgspec.Meta(max_length=100)] | (
        None
    ) = None
    timestamp_registration_expire: Annotated[int, msgspec.Meta(ge=0, le=_MAX_JSON_INTEGER)] | None = None
    """Unix milliseconds."""


class CommitRegistration(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/registrations/{id}/commit. `externalUserId`: who did it, in the back end's own words."""

    external_user_id: Text255 | None = None
    otp: Otp | None = None


class ReplaceOtp(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /v2/registrations/{id}/otp."""

    otp: Otp
    external_user_id: Text255 | None = None


class ChangeRegistration(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /v2/registrations/{id}."""

    change: Literal["BLOCK", "UNBLOCK", "REMOVE"]
    block_reason: Text255 | None = None
    external_user_id: Text255 | None = None


class DeleteRegistration(msgspec.Struct, frozen=True, rename="camel"):
    """DELETE /v2/registrations/{id}; the body may be absent."""

    external_user_id: Text255 | None = None


class VerifySignature(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/signature/verify. `requestBody` is Base64; `queryParams` takes its place for GET."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    uri_id: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    auth_header: Annotated[str, msgspec.Meta(max_length=8192)]
    request_body: str | None = None
    query_params: dict[str, str] | None = None


class VerifyToken(msgspec.Struct, frozen=True, rename="camel"):
    """POST /v2/token/verify: the whole value of X-PowerAuth-Token."""

    auth_header: Annotated[str, msgspec.Meta(max_length=8192)]


# back end: answers ----------------------------------------------------------------------------------------------------


class CreatedRegistration(msgspec.Struct, frozen=True, rename="camel"):
    """A new registration. `activationQrCodeData` is what the QR code shows."""

    registration_id: str
    activation_code: str
    activation_code_signature: str
    activation_qr_code_data: str


class RegistrationItem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A registration in a list; times are Unix milliseconds."""

    registration_id: str
    registration_status: str
    application_id: str
    flags: tuple[str, ...]
    timestamp_created: int
    timestamp_last_used: int
    blocked_reason: str | None = None
    """Only while BLOCKED."""
    name: str | None = None
    platform: str | None = None
    device_info: str | None = None


class RegistrationDetail(RegistrationItem, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One registration."""

    user_id: str
    failed_attempts: int
    """Wrong signatures, or wrong activation OTPs, in a row."""
    max_failed_attempts: int
    activation_code: str | None = None
    """This and the next two only while CREATED."""
    activation_code_signature: str | None = None
    activation_qr_code_data: str | None = None
    activation_fingerprint: str | None = None
    """8 digits to compare with the phone, only while PENDING_COMMIT."""


class RegistrationList(msgspec.Struct, frozen=True):
    """GET /v2/registrations."""

    registrations: list[RegistrationItem]


class SignatureApplication(msgspec.Struct, frozen=True):
    """The app of a verified phone."""

    id: str
    roles: tuple[str, ...]


class VerifiedSignature(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a signature check came to; `registrationStatus` is REMOVED for an unknown registration."""

    signature_valid: bool
    registration_id: str
    registration_status: str
    signature_type: str
    remaining_attempts: int
    flags: tuple[str, ...]
    user_id: str | None = None
    blocked_reason: str | None = None
    application: SignatureApplication | None = None


class VerifiedToken(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a MAC token check came to."""

    token_valid: bool
    registration_status: str
    registration_id: str | None = None
    user_id: str | None = None
    signature_type: str | None = None
    application: SignatureApplication | None = None


# phone: plain ---------------------------------------------------------------------------------------------------------


class TemporaryKeyObject(msgspec.Struct, frozen=True):
    """Request and answer of keystore/create."""

    jwt: Annotated[str, msgspec.Meta(max_length=8192)]


class TemporaryKeyRequest(msgspec.Struct, frozen=True, rename="camel"):
    """POST /pa/v3/keystore/create."""

    request_object: TemporaryKeyObject


class StatusObject(msgspec.Struct, frozen=True, rename="camel"):
    """Which registration; `challenge` is Base64 of 16 bytes. Phones of protocol 3.0 send none."""

    activation_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    challenge: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class StatusRequest(msgspec.Struct, frozen=True, rename="camel"):
    """POST /pa/v3/activation/status."""

    request_object: StatusObject


class ActivationStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The encrypted status of a registration, Base64. `nonce`: only where the request had a challenge."""

    activation_id: str
    encrypted_status_blob: str
    custom_object: dict[str, str]
    nonce: str | msgspec.UnsetType = msgspec.UNSET


class ServerApplication(msgspec.Struct, frozen=True):
    """Which software answers."""

    name: str
    version: str


class ServerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The server's clock, Unix milliseconds: phones set theirs by it."""

    server_time: int
    application: ServerApplication


class RemovedActivation(msgspec.Struct, frozen=True, rename="camel"):
    """The registration that is no more."""

    activation_id: str


class MacTokenObject(msgspec.Struct, frozen=True, rename="camel"):
    """A MAC token by its id."""

    token_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class RemoveMacToken(msgspec.Struct, frozen=True, rename="camel"):
    """POST /pa/v3/token/remove."""

    request_object: MacTokenObject


class PushTokenObject(msgspec.Struct, frozen=True, rename="camel"):
    """Where the app can be reached. `environment`: development or production, for apns and apns-voip (PushKit).

    `token`: for webpush the browser's subscription as JSON text. `encryptionKey`: Base64 of 32 bytes, which pushes to
    this token are encrypted with from now on; left out: as before; empty: they are not encrypted.
    """

    platform: Literal["local", "apns", "apns-voip", "fcm", "webpush", "hms", "ios", "android", "huawei"]
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    environment: Literal["development", "production"] | None = None
    encryption_key: Annotated[str, msgspec.Meta(max_length=255)] | None = None

    def __repr__(self) -> str:
        """Without the key and the push token."""
        return f"PushTokenObject({self.platform}, {self.environment})"


class RegisterPushToken(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/push/device/register."""

    request_object: PushTokenObject


# phone: encrypted -----------------------------------------------------------------------------------------------------


class ActivationLayer1Request(msgspec.Struct, frozen=True, rename="camel"):
    """Outer layer of activation/create: who activates.

    `identityAttributes`: for `type` CODE `{"code"}`, for RECOVERY `{"recoveryCode", "puk"}`; of the others, whoever
    identifies the user knows.
    """

    type: Literal["CODE", "RECOVERY", "DIRECT", "CUSTOM"]
    identity_attributes: Annotated[dict[PhoneText, PhoneExtras], msgspec.Meta(max_length=100)]
    activation_data: EciesEnvelope
    custom_attributes: dict[str, Any] | None = None


class ActivationLayer2Request(msgspec.Struct, frozen=True, rename="camel"):
    """Inner layer of activation/create: the phone. `devicePublicKey` is Base64 of 33 or 65 bytes."""

    device_public_key: str
    activation_name: PhoneText | None = None
    platform: PhoneText | None = None
    device_info: PhoneText | None = None
    extras: PhoneExtras | None = None
    external_id: PhoneText | None = None
    activation_otp: PhoneText | None = None


class ActivationLayer1Response(msgspec.Struct, frozen=True, rename="camel"):
    """Outer layer of the answer. `userInfo`: claims of the user, where there are any."""

    activation_data: EciesResponse
    custom_attributes: dict[str, Any] = {}
    user_info: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class ActivationRecovery(msgspec.Struct, frozen=True, rename="camel"):
    """What a person writes down, to activate another phone when this one is lost."""

    recovery_code: str
    puk: str


class ActivationLayer2Response(msgspec.Struct, frozen=True, rename="camel"):
    """Inner layer of the answer; binary values in Base64. `activationRecovery`: where the app has recovery on."""

    activation_id: str
    server_public_key: str
    ctr_data: str
    activation_recovery: ActivationRecovery | msgspec.UnsetType = msgspec.UNSET


class CreatedMacToken(msgspec.Struct, frozen=True, rename="camel"):
    """Answer of token/create: id and secret (Base64 of 16 bytes)."""

    token_id: str
    token_secret: str
