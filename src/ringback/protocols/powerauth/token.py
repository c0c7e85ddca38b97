"""MAC token digests. Source: PowerAuth specification, "MAC Token Based Authentication"."""

from __future__ import annotations

import hmac

from ringback.protocols.powerauth.versions import ProtocolVersion


def token_digest(secret: bytes, nonce: bytes, timestamp: str, version: ProtocolVersion) -> bytes:
    """TOKEN_DIGEST, 32 bytes.

    secret: the MAC token's 16 bytes; nonce: 16 bytes; timestamp: Unix milliseconds exactly as the header spells them.
    """
    data = nonce + b"&" + timestamp.encode("utf-8")
    if version.token_digest_with_version:
        data += b"&" + version.text.encode("ascii")
    return hmac.digest(secret, data, "sha256")


def verify_token_digest(secret: bytes, nonce: bytes, timestamp: str, version: ProtocolVersion, digest: bytes) -> bool:
    """Whether `digest` (32 bytes) is the MAC token's digest; compared in constant time.

    Age of the timestamp and replay of the nonce are the caller's decisions.
    """
    return hmac.compare_digest(token_digest(secret, nonce, timestamp, version), digest)
