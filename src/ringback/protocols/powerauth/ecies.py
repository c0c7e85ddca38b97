"""ECIES, the part that both sides share: shapes, associated data, key derivation.

Source: PowerAuth specification, "End-to-End Encryption". The two directions are in `ecies_server` and `ecies_client`.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.errors import EnvelopeRefused, MalformedBase64
from ringback.protocols.powerauth.primitives import join, x963_kdf
from ringback.protocols.powerauth.versions import ProtocolVersion

SH1_APPLICATION = "/pa/generic/application"
SH1_ACTIVATION = "/pa/generic/activation"
SH1_ACTIVATION_LAYER_2 = "/pa/activation"
SH1_UPGRADE = "/pa/upgrade"
SH1_VAULT_UNLOCK = "/pa/vault/unlock"
SH1_TOKEN_CREATE = "/pa/token/create"  # noqa: S105 - a path
SH1_RECOVERY_CONFIRM = "/pa/recovery/confirm"

MAX_CIPHERTEXT = 1024 * 1024
"""Most bytes of encrypted data that are opened; the body limit of HTTP is usually lower."""

MAX_TIMESTAMP = 2**63 - 1


class EciesEnvelope(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Encrypted request as JSON; binary values in Base64. Which fields are present depends on the version."""

    ephemeral_public_key: str
    """33 or 65 bytes."""
    encrypted_data: str
    mac: str
    """32 bytes."""
    temporary_key_id: str | None = None
    """3.3."""
    nonce: str | None = None
    """3.1 and later, 16 bytes."""
    timestamp: int | None = None
    """3.2 and later, Unix milliseconds."""


class EciesResponse(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Encrypted response as JSON; binary values in Base64."""

    encrypted_data: str
    mac: str
    """32 bytes."""
    nonce: str | None = None
    """3.2 and later, 16 bytes, never that of the request."""
    timestamp: int | None = None
    """3.2 and later, Unix milliseconds."""


class EciesKeys(msgspec.Struct, frozen=True):
    """ENVELOPE_KEY in its three parts, 16 bytes each."""

    encryption: bytes
    mac: bytes
    iv: bytes

    def __repr__(self) -> str:
        """Names no key, so that none reaches a log."""
        return "EciesKeys(…)"


def application_base(application_secret: str) -> bytes:
    """SHARED_INFO_2_BASE of application scope, 32 bytes. application_secret: its Base64 text."""
    return hashlib.sha256(application_secret.encode("ascii")).digest()


def activation_base(transport_key: bytes, application_secret: str) -> bytes:
    """SHARED_INFO_2_BASE of activation scope, 32 bytes. application_secret: its Base64 text."""
    return hmac.digest(transport_key, application_secret.encode("ascii"), "sha256")


def associated_data(
    version: ProtocolVersion,
    application_key: str,
    activation_id: str | None,
    temporary_key_id: str | None,
) -> bytes:
    """ASSOCIATED_DATA ("Associated Data"); empty before 3.2, without the temporary key's id before 3.3.

    activation_id: None in application scope. Raises EnvelopeRefused when 3.3 lacks its temporary key's id.
    """
    if not version.envelope_timestamp:
        return b""
    parts = [version.text, application_key]
    if activation_id is not None:
        parts.append(activation_id)
    if version.temporary_keys:
        if not temporary_key_id:
            raise EnvelopeRefused
        parts.append(temporary_key_id)
    return join(*(part.encode("utf-8") for part in parts))


def derive_keys(version: ProtocolVersion, secret: bytes, shared_info1: str, ephemeral: bytes) -> EciesKeys:
    """Envelope keys ("ECIES Encryption"): X9.63 over the shared x coordinate.

    secret: 32 bytes; shared_info1: the endpoint's constant (SH1_…); ephemeral: the key exactly as it was sent.
    """
    info = shared_info1.encode("ascii") + ephemeral
    if version.envelope_timestamp:
        info = version.text.encode("ascii") + info
    key = x963_kdf(secret, info, 48)
    return EciesKeys(encryption=key[:16], mac=key[16:32], iv=key[32:])


def envelope_bytes(text: str | None, *, least: int, most: int) -> bytes:
    """Bytes of one Base64 field with a length in the bounds. Raises EnvelopeRefused, also when it is absent."""
    if text is None:
        raise EnvelopeRefused
    try:
        data = decode_base64(text, limit=most)
    except MalformedBase64:
        raise EnvelopeRefused from None
    if len(data) < least:
        raise EnvelopeRefused
    return data
