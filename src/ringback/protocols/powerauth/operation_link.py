"""Links and QR codes that lead a phone to an operation. Source: Mobile Token SDK, "Operations", TOTP and deep links.

A link is any URL whose query has `oid` (the operation's id) and `potp` or `totp` (the proximity OTP); a QR code has
either such a link or a JWT whose payload has these names. The JWT's signature is not looked at: the OTP in it proves
what it has to prove, and only to the server.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64url, encode_base64url
from ringback.protocols.powerauth.errors import InvalidOperationLink, MalformedBase64

_MAX_TEXT = 4_096
_JWT = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*", re.ASCII)
_OTP_NAMES = ("potp", "totp")


class OperationLink(msgspec.Struct, frozen=True):
    """Where a link leads. `otp`: the proximity OTP, None when the operation has no proximity check."""

    operation_id: str
    otp: str | None


def build_link(base_url: str, link: OperationLink) -> str:
    """`base_url` with `oid` and `potp` behind it. `base_url`: of the app, such as `https://bank.example/app`."""
    query = {"oid": link.operation_id, **({} if link.otp is None else {"potp": link.otp})}
    return f"{base_url}{'&' if urlsplit(base_url).query else '?'}{urlencode(query)}"


def build_jwt(link: OperationLink) -> str:
    """The same as an unsigned JWT (RFC 7519 §6), the form that is shown as a QR code."""
    payload = {"oid": link.operation_id, **({} if link.otp is None else {"potp": link.otp})}
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "none", "typ": "JWT"}, payload))
    return ".".join((*(encode_base64url(part) for part in parts), ""))


def parse_link(text: str) -> OperationLink:
    """What a camera read or a link carried. Raises InvalidOperationLink."""
    text = text.strip()
    if len(text) > _MAX_TEXT:
        raise InvalidOperationLink
    jwt = _JWT.fullmatch(text)
    found = _payload(jwt.group(1)) if jwt else _query(text)
    operation_id = found.get("oid")
    otp = next((found[name] for name in _OTP_NAMES if name in found), None)
    if not isinstance(operation_id, str) or not operation_id or not isinstance(otp, str | None):
        raise InvalidOperationLink
    return OperationLink(operation_id, otp)


def _payload(encoded: str) -> dict[str, object]:
    try:
        decoded = msgspec.json.decode(decode_base64url(encoded, limit=_MAX_TEXT))
    except (MalformedBase64, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidOperationLink from None
    return decoded if isinstance(decoded, dict) else {}


def _query(text: str) -> dict[str, object]:
    try:
        return dict(parse_qsl(urlsplit(text).query, max_num_fields=100))
    except ValueError:
        raise InvalidOperationLink from None
