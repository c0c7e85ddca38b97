"""Base64 that has exactly one spelling: a flipped bit anywhere is refused, the unused trailing bits included."""

from __future__ import annotations

import binascii

from ringback.protocols.base64url import from_base64url, to_base64url
from ringback.protocols.powerauth.errors import MalformedBase64


def encode_base64(data: bytes) -> str:
    """Base64 with padding (RFC 4648 §4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str, *, limit: int) -> bytes:
    """Bytes of canonical Base64 with padding (RFC 4648 §3.5, §4).

    limit: most bytes that are acceptable; longer text is refused before it is decoded.
    Raises MalformedBase64.
    """
    if len(text) > (limit + 2) // 3 * 4:
        raise MalformedBase64
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MalformedBase64 from None
    if len(data) > limit or encode_base64(data) != text:
        raise MalformedBase64
    return data


def encode_base64url(data: bytes) -> str:
    """Base64url without padding, as JWTs carry it (RFC 7515 §2)."""
    return to_base64url(data).decode("ascii")


def decode_base64url(text: str, *, limit: int) -> bytes:
    """Bytes of canonical Base64url without padding (RFC 7515 §2). Raises MalformedBase64."""
    if len(text) > (limit + 2) // 3 * 4:
        raise MalformedBase64
    try:
        data = from_base64url(text.encode("ascii"))
    except ValueError:
        raise MalformedBase64 from None
    if len(data) > limit:
        raise MalformedBase64
    return data
