"""Temporary keys as the phone does them. Source: PowerAuth specification, "Temporary Keys"."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64, encode_base64url
from ringback.protocols.powerauth.errors import InvalidPublicKey, JwtRefused, MalformedBase64
from ringback.protocols.powerauth.keys import PublicKey, public_key_from_bytes, verify_jose
from ringback.protocols.powerauth.temporary_key import (
    CHALLENGE_SIZE,
    EARLY_MS,
    TemporaryKeyRequestClaims,
    TemporaryKeyResponseClaims,
    decode_claims,
    signing_input,
    split_jwt,
)


class TemporaryKey(msgspec.Struct, frozen=True):
    """A key the phone may encrypt for."""

    key_id: str
    public_key: PublicKey
    server_time_ms: int
    """The server's clock when it answered, Unix milliseconds."""
    expires_at: int
    """Unix milliseconds."""

    def is_usable(self, now_ms: int) -> bool:
        """Whether the phone may still use it at `now_ms` of the server's clock: until 10 s before it expires."""
        return now_ms < self.expires_at - EARLY_MS


def build_temporary_key_request(
    *,
    application_key: str,
    hmac_key: bytes,
    random: Callable[[int], bytes],
    activation_id: str | None = None,
) -> tuple[str, str]:
    """The phone's JWT (HS256) and the challenge it has to find in the answer.

    application_key: Base64 text; hmac_key: the raw application secret, or `temporary_key.activation_hmac_key` together
    with `activation_id`.
    """
    challenge = encode_base64(random(CHALLENGE_SIZE))
    signed = signing_input("HS256", TemporaryKeyRequestClaims(application_key, challenge, activation_id))
    signature = hmac.digest(hmac_key, signed.encode("ascii"), "sha256")
    return f"{signed}.{encode_base64url(signature)}", challenge


def verify_temporary_key_response(
    jwt: str,
    server_public: PublicKey,
    *,
    application_key: str,
    challenge: str,
    activation_id: str | None = None,
) -> TemporaryKey:
    """The temporary key in the server's JWT, after its ES256 signature and the echoed values were checked.

    server_public: master key (application scope) or the activation's server key. Raises JwtRefused.
    """
    signed, payload, signature = split_jwt(jwt, "ES256")
    if not verify_jose(server_public, signature, signed):
        raise JwtRefused
    claims = decode_claims(payload, TemporaryKeyResponseClaims)
    try:
        public_key = public_key_from_bytes(decode_base64(claims.public_key, limit=65))
    except (MalformedBase64, InvalidPublicKey):
        raise JwtRefused from None
    expected = (application_key, challenge, activation_id)
    if (claims.application_key, claims.challenge, claims.activation_id) != expected:
        raise JwtRefused
    if not claims.sub or claims.exp_ms <= claims.iat_ms:
        raise JwtRefused
    return TemporaryKey(claims.sub, public_key, claims.iat_ms, claims.exp_ms)
