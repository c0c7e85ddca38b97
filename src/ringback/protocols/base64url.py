"""Base64url without padding that has exactly one spelling (RFC 4648 §3.5, §5; RFC 7515 §2)."""

from __future__ import annotations

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def to_base64url(data: bytes) -> bytes:
    """Base64url without padding, as ASCII bytes."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def from_base64url(text: bytes) -> bytes:
    """The bytes. Raises ValueError for padding, another alphabet, white space, and bits that are left over."""
    if b"+" in text or b"/" in text or b"=" in text:
        raise ValueError("not base64url without padding")
    data = binascii.a2b_base64(text.translate(_TO_STANDARD) + b"=" * (-len(text) % 4), strict_mode=True)
    if to_base64url(data) != text:
        raise ValueError("not the canonical base64url of anything")
    return data
