"""ECIES as the phone does it: seals requests, opens responses.

Source: PowerAuth specification, "End-to-End Encryption", ECIES encryption and response decryption.
Written apart from `ecies_server` on purpose; neither imports the other.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec

from ringback.protocols.powerauth import keys as p256
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
from ringback.protocols.powerauth.errors import DecryptionRefused, EnvelopeRefused
from ringback.protocols.powerauth.primitives import ZERO_IV, aes_cbc_decrypt, aes_cbc_encrypt, join, kdf_internal
from ringback.protocols.powerauth.versions import ProtocolVersion


class EciesClientSession(msgspec.Struct, frozen=True):
    """What the phone keeps between sealing a request and opening its response."""

    version: ProtocolVersion
    keys: EciesKeys
    request_nonce: bytes | None
    base: bytes
    bound: bytes
    """Associated data."""

    def __repr__(self) -> str:
        """Shows no key material."""
        return f"EciesClientSession({self.version.text})"

    def open_response(self, response: EciesResponse) -> bytes:
        """Decrypts the server's answer ("End-to-End Encryption", response decryption). Raises EnvelopeRefused.

        From 3.2 on the response must bring a nonce of its own; before, it must bring none.
        """
        encrypted = envelope_bytes(response.encrypted_data, least=16, most=MAX_CIPHERTEXT)
        received_mac = envelope_bytes(response.mac, least=32, most=32)
        authenticated = encrypted + self.base
        nonce = self.request_nonce
        if self.version.envelope_timestamp:
            nonce = envelope_bytes(response.nonce, least=16, most=16)
            if response.timestamp is None or not 0 <= response.timestamp <= MAX_TIMESTAMP:
                raise EnvelopeRefused
            if nonce == self.request_nonce:
                raise EnvelopeRefused
            time = response.timestamp.to_bytes(8, "big")
            authenticated = encrypted + join(self.base, nonce, time, b"", self.bound)
        elif response.nonce is not None or response.timestamp is not None:
            raise EnvelopeRefused
        if not hmac.compare_digest(received_mac, hmac.digest(self.keys.mac, authenticated, "sha256")):
            raise EnvelopeRefused
        iv = ZERO_IV if nonce is None else kdf_internal(self.keys.iv, nonce)
        try:
            return aes_cbc_decrypt(self.keys.encryption, iv, encrypted)
        except DecryptionRefused:
            raise EnvelopeRefused from None


def seal_request(
    plaintext: bytes,
    *,
    version: ProtocolVersion,
    public_key: p256.PublicKey,
    shared_info1: str,
    base: bytes,
    application_key: str,
    random: Callable[[int], bytes],
    now_ms: int,
    activation_id: str | None = None,
    temporary_key_id: str | None = None,
    ephemeral_key: p256.PrivateKey | None = None,
) -> tuple[EciesEnvelope, EciesClientSession]:
    """Encrypts a request ("End-to-End Encryption", ECIES encryption): the envelope and the session for the response.

    public_key: the temporary key (3.3), else the master key or the activation's server key. The other arguments are
    those of `ecies_server.open_request`. temporary_key_id is needed in 3.3 and left out before. ephemeral_key: a fixed
    one for known-answer tests; by default a new one. Raises EnvelopeRefused when 3.3 has no temporary key's id.
    """
    ephemeral_key = ephemeral_key or p256.generate_private_key()
    ephemeral = p256.public_key_to_bytes(ephemeral_key.public_key(), compressed=True)
    keys = derive_keys(version, p256.shared_x(ephemeral_key, public_key), shared_info1, ephemeral)
    bound = associated_data(version, application_key, activation_id, temporary_key_id)
    nonce = random(16) if version.envelope_nonce else None
    iv = ZERO_IV if nonce is None else kdf_internal(keys.iv, nonce)
    encrypted = aes_cbc_encrypt(keys.encryption, iv, plaintext)
    timestamp: int | None = None
    authenticated = encrypted + base
    if version.envelope_timestamp:
        timestamp = now_ms
        authenticated = encrypted + join(base, nonce, now_ms.to_bytes(8, "big"), ephemeral, bound)
    envelope = EciesEnvelope(
        ephemeral_public_key=encode_base64(ephemeral),
        encrypted_data=encode_base64(encrypted),
        mac=encode_base64(hmac.digest(keys.mac, authenticated, "sha256")),
        temporary_key_id=temporary_key_id if version.temporary_keys else None,
        nonce=None if nonce is None else encode_base64(nonce),
        timestamp=timestamp,
    )
    return envelope, EciesClientSession(version, keys, nonce, base, bound)
