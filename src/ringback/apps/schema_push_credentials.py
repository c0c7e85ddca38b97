"""Push credentials over the wire: the native API, and PowerAuth Cloud."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from ringback.errors import InvalidRequest
from ringback.push import CredentialKind, Environment, Form, Health

Short = Annotated[str, msgspec.Meta(max_length=255)]
Base64File = Annotated[str, msgspec.Meta(min_length=1, max_length=32_768)]
MailOrUrl = Annotated[str, msgspec.Meta(min_length=1, max_length=800)]
Password = Annotated[str, msgspec.Meta(max_length=1000)]


class ApnsContent(msgspec.Struct, frozen=True, rename="camel"):
    """An APNs auth key (`keyId`, `teamId`, `bundleId`, `keyFile`), or a certificate. Files in Base64.

    A certificate is `certificate` with its `privateKey`, or both in one file, or `p12`; `password`: of the private key
    or of the `p12`.
    `environment`: where push tokens go that do not say so themselves; left out: production. `bundleId` with a
    certificate: which of its topics is the app.
    """

    key_id: Short | None = None
    bundle_id: Short | None = None
    team_id: Short | None = None
    key_file: Base64File | None = None
    certificate: Base64File | None = None
    private_key: Base64File | None = None
    p12: Base64File | None = None
    password: Password = ""
    environment: Environment | None = None

    def __repr__(self) -> str:
        return "ApnsContent(…)"


class FcmContent(msgspec.Struct, frozen=True, rename="camel"):
    """`serviceAccount`: Firebase's JSON file in Base64. Its `token_uri` is not used."""

    service_account: Base64File

    def __repr__(self) -> str:
        return "FcmContent(…)"


class WebPushContent(msgspec.Struct, frozen=True, rename="camel"):
    """`subject`: a mailto: or https: URL of whoever runs the app. The keys are made by the server, or stay.

    `privateKey`: base64url of 32 bytes, for who brings keys along from another server.
    """

    subject: MailOrUrl
    private_key: Annotated[str, msgspec.Meta(min_length=43, max_length=44)] | None = None

    def __repr__(self) -> str:
        return "WebPushContent(…)"


Content: TypeAlias = ApnsContent | FcmContent | WebPushContent


class PushCredential(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A push credential as it may be shown; secrets are not shown again. Times in Unix milliseconds.

    `status`: OK; SUSPECT = a provider doubts it, `statusReason` is its word; REFUSED = it is not taken, and pushes wait
    for a better one. `expiry`: SOON = in less than 30 days. `fingerprint`: SHA-256 of the certificate, or of the public
    key, in hex. What else there is depends on `form`. `publicKey`: what a web app subscribes with.
    """

    kind: CredentialKind
    form: Form
    status: Health
    status_reason: str | None = None
    timestamp_status: int
    timestamp_created: int
    timestamp_expires: int | None = None
    expiry: Literal["SOON", "EXPIRED"] | None = None
    fingerprint: str
    key_id: str | None = None
    team_id: str | None = None
    bundle_id: str | None = None
    environment: str | None = None
    topics: list[str] | None = None
    project_id: str | None = None
    client_email: str | None = None
    public_key: str | None = None
    subject: str | None = None


class PushCredentialList(msgspec.Struct, frozen=True):
    """The push credentials of an app, by kind."""

    items: list[PushCredential]


class Trial(msgspec.Struct, frozen=True, rename="camel"):
    """What a provider said of a credential.

    `accepted`: null when the provider did not answer, or not about the credential. `reason`: its word and what that
    means, or what went wrong on the way; `httpStatus`: of its answer.
    """

    accepted: bool | None
    reason: str
    http_status: int | None
    credential: PushCredential


class CloudApnsContent(msgspec.Struct, frozen=True, rename="camel"):
    """An APNs auth key. `topic`: the bundle id; `privateKeyBase64`: the .p8 file in Base64.

    `environment`: where push tokens go that do not say so themselves; left out: production.
    """

    topic: Short
    key_id: Short
    team_id: Short
    private_key_base64: Base64File
    environment: Environment | None = None

    def __repr__(self) -> str:
        return "CloudApnsContent(…)"


class CloudFcmContent(msgspec.Struct, frozen=True, rename="camel"):
    """A Firebase project. `privateKeyBase64`: the JSON file of a service account in Base64."""

    project_id: Short
    private_key_base64: Base64File

    def __repr__(self) -> str:
        return "CloudFcmContent(…)"


class CloudApns(msgspec.Struct, frozen=True, rename="camel"):
    """APNs as PowerAuth Cloud shows it; without the key. `keyId` and `teamId` are null of a certificate."""

    topic: str
    key_id: str | None
    team_id: str | None
    environment: str | None


class CloudFcm(msgspec.Struct, frozen=True, rename="camel"):
    """FCM as PowerAuth Cloud shows it; without the key."""

    project_id: str


def facts_of(public: str) -> dict[str, Any]:
    """What is in `push_credentials.public`, by the names of PushCredential's fields."""
    names = {field.encode_name: field.name for field in msgspec.structs.fields(PushCredential)}
    return {names[name]: value for name, value in msgspec.json.decode(public).items()}


_SHAPES: dict[str, type[Content]] = {"apns": ApnsContent, "fcm": FcmContent, "webpush": WebPushContent}


def push_credential_content(kind: str, fields: dict[str, Any]) -> Content:
    """The Struct of a kind from the fields of its JSON. Raises InvalidRequest."""
    try:
        return msgspec.convert(fields, _SHAPES[kind])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", cause=error) from error
