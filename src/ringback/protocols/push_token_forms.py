"""What push tokens and their keys look like, from wherever a phone tells them: the mobile API, UDS, SIP."""

from __future__ import annotations

import base64
import binascii
import re

_APNS = re.compile(r"(?:[0-9a-fA-F]{2}){8,256}")
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,512}")
_FCM = re.compile(r"[\x21-\x7e]{1,4096}")
APNS_HINT = "in hexadecimal digits, 8 to 256 bytes"
FCM_HINT = "It has 1 to 4096 visible ASCII characters."
KEY_BYTES = 32
KEY_HINT = f"It must be the Base64 of exactly {KEY_BYTES} bytes."


def apns_push_token(text: str) -> str | None:
    """A push token of APNs as it is stored, in lower case, since it is a number; None when it cannot be one."""
    return text.lower() if _APNS.fullmatch(text) else None


def is_plain(text: str) -> bool:
    """Whether it may stand in the path of a request to APNs, whatever it is."""
    return _PLAIN.fullmatch(text) is not None


def is_fcm_push_token(text: str) -> bool:
    """Whether it can be a push token of FCM."""
    return _FCM.fullmatch(text) is not None


def encryption_key(text: str) -> bytes:
    """The key that pushes are encrypted with, from Base64 with any line breaks. Raises ValueError."""
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(KEY_HINT)
    return key
