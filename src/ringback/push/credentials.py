"""Push credentials: how an app proves to its push provider that it may push. What they are, not where they are kept.

Four forms, of three kinds: `apns` (a token key, or a certificate), `fcm` (a service account), `webpush` (VAPID keys).
They are made by the apps room, which checks what a developer hands in, and by `from_secret`, which trusts what was
sealed.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ringback.protocols.base64url import to_base64url

CredentialKind = Literal["apns", "fcm", "webpush"]
Form = Literal["tokenKey", "certificate", "serviceAccount", "vapid"]
Environment = Literal["development", "production"]
Health = Literal["OK", "SUSPECT", "REFUSED"]

HEALTH: dict[tuple[Health, Health], Health] = {
    ("OK", "SUSPECT"): "SUSPECT",
    ("OK", "REFUSED"): "REFUSED",
    ("SUSPECT", "OK"): "OK",
    ("SUSPECT", "REFUSED"): "REFUSED",
    ("REFUSED", "OK"): "OK",
}
"""(status, what a provider's answer says of it) → new status. Missing = no change: what is REFUSED does not
become merely SUSPECT."""


class _Secret(msgspec.Struct, frozen=True, kw_only=True, dict=True, tag_field="form"):
    """What every form can do. `dict`: a parsed key is kept beside the fields."""

    def to_secret(self) -> bytes:
        """The JSON that is sealed."""
        return msgspec.json.encode(self)

    @property
    def form(self) -> Form:
        """Which form it is, in the words of the API."""
        form: Form = self.__struct_config__.tag  # type: ignore[assignment]
        return form

    @property
    def expires_at(self) -> int | None:
        """When it expires, in Unix milliseconds; None = never."""
        return None

    def __repr__(self) -> str:
        """Without the key, so that it gets into no log."""
        return f"{type(self).__name__}(…)"


class ApnsTokenKey(_Secret, frozen=True, tag="tokenKey"):
    """An APNs auth key, with which provider tokens (JWT, ES256) are signed.

    `key_id`, `team_id`: 10 characters. `private_key`: PEM (PKCS#8) of a P-256 key. `environment`: where push tokens go
    that do not say so themselves; None = production. The key itself serves both, unless Apple has limited it.
    """

    key_id: str
    team_id: str
    bundle_id: str
    private_key: str
    environment: Environment | None = None

    @cached_property
    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """The parsed key."""
        key = _load(self.private_key)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    @property
    def topics(self) -> tuple[str, ...]:
        """Empty: every topic of the team. That of this app is `bundle_id`, with the suffix of the push type."""
        return ()

    def facts(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {
            "keyId": self.key_id,
            "teamId": self.team_id,
            "bundleId": self.bundle_id,
            "environment": self.environment,
            "fingerprint": _fingerprint(self.signing_key),
        }


class ApnsCertificate(_Secret, frozen=True, tag="certificate"):
    """An APNs client certificate with its key (legacy).

    `certificate_pem`: the certificate, and those above it if they came along. `private_key_pem`: PKCS#8. `topics`: what
    it may push to. `bundle_id`: the app's own topic. `not_after`: Unix milliseconds. `environment`: the only one that
    it serves, or where push tokens go that do not say so themselves; None = production.
    """

    certificate_pem: str
    private_key_pem: str
    topics: tuple[str, ...]
    bundle_id: str
    not_after: int
    environment: Environment | None = None

    @property
    def expires_at(self) -> int | None:
        """When it expires, in Unix milliseconds."""
        return self.not_after

    def facts(self) -> dict[str, Any]:
        """What may be shown of it."""
        leaf = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        return {
            "bundleId": self.bundle_id,
            "environment": self.environment,
            "topics": list(self.topics),
            "fingerprint": hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest(),
        }


class FcmServiceAccount(_Secret, frozen=True, tag="serviceAccount"):
    """A Firebase service account, which gets OAuth access tokens by assertions (JWT, RS256).

    `private_key`: PEM (PKCS#8) of an RSA key. Where access tokens come from is the server's setting, never the
    account's own `token_uri`, which is not kept.
    """

    project_id: str
    client_email: str
    private_key_id: str
    private_key: str

    @cached_property
    def signing_key(self) -> rsa.RSAPrivateKey:
        """The parsed key."""
        key = _load(self.private_key)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key

    def facts(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {
            "projectId": self.project_id,
            "clientEmail": self.client_email,
            "keyId": self.private_key_id,
            "fingerprint": _fingerprint(self.signing_key),
        }


class WebPushKeys(_Secret, frozen=True, tag="vapid"):
    """VAPID keys (RFC 8292), which say to a browser's push service who pushes.

    `public_key`: base64url of the uncompressed point, which the app subscribes with. `private_key`: PEM (PKCS#8) of a
    P-256 key. `subject`: a mailto: or https: URL of whoever runs the app.
    """

    public_key: str
    private_key: str
    subject: str

    @cached_property
    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """The parsed key."""
        key = _load(self.private_key)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def facts(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {
            "publicKey": self.public_key,
            "subject": self.subject,
            "fingerprint": _fingerprint(self.signing_key),
        }


Credential: TypeAlias = ApnsTokenKey | ApnsCertificate | FcmServiceAccount | WebPushKeys
_decoder: msgspec.json.Decoder[Credential] = msgspec.json.Decoder(Credential)


def from_secret(secret: bytes) -> Credential:
    """The credential of what `to_secret` returned. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(secret)


def kind_of(credential: Credential) -> CredentialKind:
    """Which kind a credential is of."""
    if isinstance(credential, ApnsTokenKey | ApnsCertificate):
        return "apns"
    return "fcm" if isinstance(credential, FcmServiceAccount) else "webpush"


class StoredCredential(msgspec.Struct, frozen=True, kw_only=True):
    """The credential that an app has of one kind.

    `id`: another one for every key that is stored, so connections, provider tokens and access tokens are kept under it.
    `version`: rises with every change, of the status too. `not_after`: when it expires, in Unix milliseconds; None =
    never. `status`: SUSPECT = a provider doubts it (wrong topic, say), pushes are tried; REFUSED = a provider does not
    take it, pushes wait.
    """

    id: str
    app_id: str
    kind: CredentialKind
    form: Form
    version: int
    status: Health
    status_reason: str | None
    not_after: int | None
    credential: Credential

    @property
    def destination(self) -> str:
        """The outbox's destination of all that is pushed with it."""
        return destination_of(self.kind, self.app_id)


def destination_of(kind: CredentialKind, app_id: str) -> str:
    """The outbox's destination of an app's pushes: one bulkhead for each credential."""
    return f"{kind}:{app_id}"


class CredentialSource(Protocol):
    """Where providers get credentials, and where they say what became of them."""

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        """The credential, at most two seconds old, or as old as `push_credentials_cache_seconds` allows; None = none.

        Raises StoreUnavailable.
        """
        ...

    async def report(self, credential: StoredCredential, status: Health, reason: str) -> None:
        """What a provider's answer says of a credential, in the provider's word.

        No change when the credential has been replaced or judged meanwhile. Raises StoreUnavailable.
        """
        ...


def _load(pem: str) -> PrivateKeyTypes:
    # Checked when it was stored, and sealed since: the RSA check alone would cost 10 ms.
    return load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)


def _fingerprint(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """SHA-256 of the public key (SPKI), in hex."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def uncompressed_point(key: ec.EllipticCurvePrivateKey) -> str:
    """The public key as browsers take it: base64url of the uncompressed point, without padding."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return to_base64url(point).decode()


class TrialAnswer(msgspec.Struct, frozen=True):
    """What a provider said when it was asked whether it takes a credential.

    `says`: None = nobody answered, or not about the credential. `reason`: the provider's word and what it means, or
    what went wrong on the way. `status`: of HTTP.
    """

    says: Health | None
    reason: str
    status: int | None = None
