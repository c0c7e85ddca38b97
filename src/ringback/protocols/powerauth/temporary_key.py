"""Temporary encryption keys of 3.3, the part that both sides share: claims and the JWT's outer form.

Source: PowerAuth specification, "Temporary Keys"; RFC 7515 (compact serialisation), RFC 7518 §3.2, §3.4. HS256 is
computed here because JWT libraries refuse the protocol's 16-byte keys.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64url, encode_base64url
from ringback.protocols.powerauth.errors import JwtRefused, MalformedBase64
from ringback.protocols.powerauth.primitives import kdf_internal

Shape = TypeVar("Shape")

MAX_JWT = 16 * 1024
"""Most characters of a JWT: an answer of protocol 4, whose keys are larger, has more than 8,192."""

CHALLENGE_SIZE = 18
"""Random bytes of the phone's challenge."""

EARLY_MS = 10 * 1000
"""How long before its expiry the phone stops using a key."""


class JwtHeader(msgspec.Struct, frozen=True):
    """JOSE header (RFC 7515 §4). `typ` is optional in a JWT (RFC 7519 §5.1)."""

    alg: str
    typ: str | None = None


class TemporaryKeyRequestClaims(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the phone asks for."""

    application_key: str
    """Base64 text."""
    challenge: str
    """Base64 of 18 random bytes."""
    activation_id: str | None = None
    """Present in activation scope."""


class TemporaryKeyResponseClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the server answers."""

    sub: str
    """Id of the temporary key, a UUID."""
    application_key: str = msgspec.field(name="applicationKey")
    challenge: str
    """Echoed."""
    public_key: str = msgspec.field(name="publicKey")
    """Base64 of the temporary public key."""
    iat: int
    """Unix seconds."""
    exp: int
    """Unix seconds."""
    iat_ms: int
    """Unix milliseconds; the phone takes it as the server's time."""
    exp_ms: int
    """Unix milliseconds."""
    activation_id: str | None = msgspec.field(default=None, name="activationId")


def activation_hmac_key(transport_key: bytes, application_secret: bytes) -> bytes:
    """HS256 key of activation scope, 16 bytes: KDF_INTERNAL(KEY_TRANSPORT, raw application secret).

    In application scope the key is the raw application secret itself.
    """
    return kdf_internal(transport_key, application_secret)


def signing_input(algorithm: str, claims: msgspec.Struct) -> str:
    """Header and payload of a JWT, ready to be signed (RFC 7515 §5.1)."""
    header = msgspec.json.encode(JwtHeader(alg=algorithm, typ="JWT"))
    return f"{encode_base64url(header)}.{encode_base64url(msgspec.json.encode(claims))}"


def decode_claims(data: bytes, shape: type[Shape]) -> Shape:
    """A JSON object of a JWT. Raises JwtRefused for whatever does not fit `shape`."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise JwtRefused from None


def split_jwt(jwt: str, algorithm: str, *, typ_needed: bool = True) -> tuple[bytes, bytes, bytes]:
    """Signing input, payload and signature of a JWT whose header says exactly `algorithm` and typ JWT.

    Not `typ_needed`: the header may leave typ out. Nothing is verified yet. Raises JwtRefused.
    """
    if len(jwt) > MAX_JWT:
        raise JwtRefused
    parts = jwt.split(".")
    if len(parts) != 3:
        raise JwtRefused
    try:
        header, payload, signature = (decode_base64url(part, limit=MAX_JWT) for part in parts)
    except MalformedBase64:
        raise JwtRefused from None
    named = decode_claims(header, JwtHeader)
    if named.alg != algorithm or named.typ not in ({"JWT"} if typ_needed else {"JWT", None}):
        raise JwtRefused
    return f"{parts[0]}.{parts[1]}".encode("ascii"), payload, signature
