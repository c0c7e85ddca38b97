"""Temporary keys as the server does them. Source: PowerAuth specification, "Temporary Keys"."""

from __future__ import annotations

import hmac

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64url
from ringback.protocols.powerauth.errors import JwtRefused, MalformedBase64
from ringback.protocols.powerauth.keys import PrivateKey, sign_jose
from ringback.protocols.powerauth.temporary_key import (
    CHALLENGE_SIZE,
    TemporaryKeyRequestClaims,
    TemporaryKeyResponseClaims,
    decode_claims,
    signing_input,
    split_jwt,
)


def parse_temporary_key_request(jwt: str) -> TemporaryKeyRequestClaims:
    """The phone's claims, **not verified**: only for finding the key that verifies them. Raises JwtRefused."""
    return _claims(_split(jwt)[1])


def verify_temporary_key_request(jwt: str, hmac_key: bytes) -> TemporaryKeyRequestClaims:
    """The phone's claims, after the HS256 signature was checked in constant time. Raises JwtRefused.

    hmac_key: the raw application secret, or `temporary_key.activation_hmac_key`.
    """
    signed, payload, signature = _split(jwt)
    if not hmac.compare_digest(hmac.digest(hmac_key, signed, "sha256"), signature):
        raise JwtRefused
    return _claims(payload)


def build_temporary_key_response(private_key: PrivateKey, claims: TemporaryKeyResponseClaims) -> str:
    """The server's JWT, ES256 by the master key (application scope) or the activation's server key."""
    signed = signing_input("ES256", claims)
    return f"{signed}.{encode_base64url(sign_jose(private_key, signed.encode('ascii')))}"


def _split(jwt: str) -> tuple[bytes, bytes, bytes]:
    """The phone's JWT. The Java client leaves typ out of its header, the SDKs send it."""
    return split_jwt(jwt, "HS256", typ_needed=False)


def _claims(payload: bytes) -> TemporaryKeyRequestClaims:
    claims = decode_claims(payload, TemporaryKeyRequestClaims)
    try:
        challenge = decode_base64(claims.challenge, limit=CHALLENGE_SIZE)
        application_key = decode_base64(claims.application_key, limit=16)
    except MalformedBase64:
        raise JwtRefused from None
    if len(challenge) != CHALLENGE_SIZE or len(application_key) != 16:
        raise JwtRefused
    if claims.activation_id is not None and not 1 <= len(claims.activation_id) <= 64:
        raise JwtRefused
    return claims
