"""ECIES as the server does it: opens requests, seals responses.

Source: PowerAuth specification, "End-to-End Encryption", ECIES decryption and response encryption.
Written apart from `ecies_client` on purpose; neither imports the other.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec

from ringback.protocols.powerauth.base64_text import encode_base64
from ringback.protocols.powerauth.ecies import (
    MAX_CIPHERTEXT,
    MAX_TIMESTAMP,
    EciesEnvelope,
    EciesKeys,
    EciesResponse,
    associated_data,
    derive_keys,
    envelope_bytes,
)
from ringback.protocols.powerauth.errors import DecryptionRefused, EnvelopeRefused, InvalidPublicKey
from ringback.protocols.powerauth.keys import PrivateKey, public_key_from_bytes, shared_x
from ringback.protocols.powerauth.primitives import ZERO_IV, aes_cbc_decrypt, aes_cbc_encrypt, join, kdf_internal
from ringback.protocols.powerauth.versions import ProtocolVersion


class EciesSession(msgspec.Struct, frozen=True):
    """What the server keeps between opening a request and sealing its response."""

    version: ProtocolVersion
    ephemeral_public_key: bytes
    """As sent; with the nonce it identifies the request for replay protection."""
    nonce: bytes
    """Of the request, 16 bytes; empty in 3.0."""
    timestamp: int | None
    """Of the request, Unix milliseconds, covered by the MAC; None before 3.2."""
    keys: EciesKeys
    base: bytes
    associated_data: bytes

    def __repr__(self) -> str:
        """Shows no key material."""
        return f"EciesSession({self.version.text})"

    def seal_response(self, plaintext: bytes, random: Callable[[int], bytes], now_ms: int) -> EciesResponse:
        """Encrypts the response for the phone ("End-to-End Encryption", response encryption).

        random and now_ms are used from 3.2 on; before, the request's nonce makes the IV of the response as well.
        """
        if not self.version.envelope_timestamp:
            iv = kdf_internal(self.keys.iv, self.nonce) if self.version.envelope_nonce else ZERO_IV
            encrypted = aes_cbc_encrypt(self.keys.encryption, iv, plaintext)
            return EciesResponse(
                encrypted_data=encode_base64(encrypted),
                mac=encode_base64(hmac.digest(self.keys.mac, encrypted + self.base, "sha256")),
            )
        nonce = random(16)
        while nonce == self.nonce:
            nonce = random(16)
        encrypted = aes_cbc_encrypt(self.keys.encryption, kdf_internal(self.keys.iv, nonce), plaintext)
        shared_info2 = join(self.base, nonce, now_ms.to_bytes(8, "big"), None, self.associated_data)
        return EciesResponse(
            encrypted_data=encode_base64(encrypted),
            mac=encode_base64(hmac.digest(self.keys.mac, encrypted + shared_info2, "sha256")),
            nonce=encode_base64(nonce),
            timestamp=now_ms,
        )


def open_request(
    envelope: EciesEnvelope,
    *,
    version: ProtocolVersion,
    private_key: PrivateKey,
    shared_info1: str,
    base: bytes,
    application_key: str,
    activation_id: str | None = None,
) -> tuple[bytes, EciesSession]:
    """Decrypts a request ("End-to-End Encryption", ECIES decryption): plaintext and the session for the response.

    private_key: the temporary key named by the envelope (3.3), else the master key (application scope) or the
    activation's server key. shared_info1: SH1_… of the endpoint. base: `application_base` or `activation_base`.
    application_key, activation_id: texts from the header; activation_id is None in application scope.
    Replay and the age of `session.timestamp` are the caller's decisions. Raises EnvelopeRefused.
    """
    _check_fields(envelope, version)
    ephemeral = envelope_bytes(envelope.ephemeral_public_key, least=33, most=65)
    encrypted = envelope_bytes(envelope.encrypted_data, least=16, most=MAX_CIPHERTEXT)
    mac = envelope_bytes(envelope.mac, least=32, most=32)
    nonce = envelope_bytes(envelope.nonce, least=16, most=16) if version.envelope_nonce else b""
    bound = associated_data(version, application_key, activation_id, envelope.temporary_key_id)
    try:
        secret = shared_x(private_key, public_key_from_bytes(ephemeral))
    except (InvalidPublicKey, ValueError):
        raise EnvelopeRefused from None
    keys = derive_keys(version, secret, shared_info1, ephemeral)
    shared_info2 = base
    if envelope.timestamp is not None:
        shared_info2 = join(base, nonce, envelope.timestamp.to_bytes(8, "big"), ephemeral, bound)
    if not hmac.compare_digest(hmac.digest(keys.mac, encrypted + shared_info2, "sha256"), mac):
        raise EnvelopeRefused
    iv = kdf_internal(keys.iv, nonce) if version.envelope_nonce else ZERO_IV
    try:
        plaintext = aes_cbc_decrypt(keys.encryption, iv, encrypted)
    except DecryptionRefused:
        raise EnvelopeRefused from None
    return plaintext, EciesSession(version, ephemeral, nonce, envelope.timestamp, keys, base, bound)


def _check_fields(envelope: EciesEnvelope, version: ProtocolVersion) -> None:
    """Exactly the fields of the version: one that the MAC does not cover must not be there to be believed."""
    if (envelope.temporary_key_id is not None) is not version.temporary_keys:
        raise EnvelopeRefused
    if (envelope.nonce is not None) is not version.envelope_nonce:
        raise EnvelopeRefused
    if (envelope.timestamp is not None) is not version.envelope_timestamp:
        raise EnvelopeRefused
    if envelope.timestamp is not None and not 0 <= envelope.timestamp <= MAX_TIMESTAMP:
        raise EnvelopeRefused
    if envelope.temporary_key_id is not None and not 1 <= len(envelope.temporary_key_id) <= 64:
        raise EnvelopeRefused
