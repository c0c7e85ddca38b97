r"""The QR text of an offline signature. Source: Mobile Token API, "Off-line Signature QR Code".

Lines end with a line feed; the last one has the kind of the signing key and, right behind it, the signature in Base64
over everything before the signature:

    {data, some lines}\n[{TOTP}\n]{nonce in Base64}\n{key kind}{signature in Base64}

The data of an operation are five lines: id, title, message, operation data, flags. What comes between them and the
nonce and is not known is left alone, since later versions may add lines there.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.errors import InvalidOfflineQr, MalformedBase64
from ringback.protocols.powerauth.keys import PrivateKey, PublicKey, sign_der, verify_der

KeyKind = Literal["0", "1"]
"""Who signed: 0 the app's master key, 1 the server's key of one activation."""

MASTER_KEY: KeyKind = "0"
ACTIVATION_KEY: KeyKind = "1"
OFFLINE_URI = "/operation/authorize/offline"
"""The uriId under which phones sign operations offline."""

NONCE_BYTES = 16
BIOMETRY, FLIP_BUTTONS, FRAUD_WARNING, BLOCK_ON_CALL = "B", "X", "F", "C"
_OPERATION_LINES = 5
_MAX_DER = 72  # an ECDSA signature by P-256 is never longer
_MAX_TEXT = 200_000
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_TOTP = re.compile(r"[0-9]{8}", re.ASCII)


class OfflineQr(msgspec.Struct, frozen=True):
    """A QR text taken apart. `data`: the lines before the OTP and the nonce; `signed`: what the signature is over."""

    data: str
    totp: str | None
    nonce: bytes
    key_kind: KeyKind
    signature: bytes
    signed: bytes

    def is_genuine(self, public_key: PublicKey) -> bool:
        """Whether the key signed this text."""
        return verify_der(public_key, self.signature, self.signed)


class OfflineOperation(msgspec.Struct, frozen=True):
    """The five lines of an operation; title and message as people read them."""

    id: str
    title: str
    message: str
    data: str
    flags: str

    def signed_data(self, totp: str | None) -> str:
        """What the phone signs under OFFLINE_URI: id and data, and the OTP where the QR text has one, joined by `&`."""
        return "&".join((self.id, self.data) if totp is None else (self.id, self.data, totp))


def escape_line(text: str) -> str:
    r"""Title or message as one line: `\` → `\\`, line feed → `\n`, another control character → a space."""
    return _CONTROL.sub(" ", text.replace("\\", "\\\\").replace("\n", "\\n"))


def unescape_line(line: str) -> str:
    r"""The opposite of `escape_line`; a backslash before anything else stays with it."""

    def replace(match: re.Match[str]) -> str:
        return {"n": "\n", "\\": "\\"}.get(match.group(1), match.group(0))

    return _ESCAPE.sub(replace, line)


def operation_lines(operation: OfflineOperation) -> str:
    """The five lines of an operation ("Operation Attributes"). ValueError when id, data or flags have control codes."""
    for line in (operation.id, operation.data, operation.flags):
        if _CONTROL.search(line):
            msg = "id, data and flags of an operation are single lines without control characters"
            raise ValueError(msg)
    title, message = escape_line(operation.title), escape_line(operation.message)
    return f"{operation.id}\n{title}\n{message}\n{operation.data}\n{operation.flags}"


def build_offline_qr(data: str, nonce: bytes, key_kind: KeyKind, key: PrivateKey, totp: str | None = None) -> str:
    """The whole QR text, signed ("Signature"). data: any lines; nonce: 16 bytes; totp: 8 digits or None."""
    if len(nonce) != NONCE_BYTES:
        msg = f"a nonce has {NONCE_BYTES} bytes"
        raise ValueError(msg)
    lines = [data, encode_base64(nonce), key_kind] if totp is None else [data, totp, encode_base64(nonce), key_kind]
    signed = "\n".join(lines)
    return signed + encode_base64(sign_der(key, signed.encode("utf-8")))


def parse_offline_qr(text: str) -> OfflineQr:
    """Takes a QR text apart; whoever asks has still to check the signature. Raises InvalidOfflineQr."""
    rest, separator, last = text.rpartition("\n")
    body, before_nonce, nonce_text = rest.rpartition("\n")
    if len(text) > _MAX_TEXT or not separator or not before_nonce or last[:1] not in ("0", "1"):
        raise InvalidOfflineQr
    try:
        nonce = decode_base64(nonce_text, limit=NONCE_BYTES)
        signature = decode_base64(last[1:], limit=_MAX_DER)
        signed = text[: len(text) - len(last) + 1].encode("utf-8")
    except (MalformedBase64, UnicodeEncodeError):
        raise InvalidOfflineQr from None
    if len(nonce) != NONCE_BYTES or not signature:
        raise InvalidOfflineQr
    data, has_more, otp = body.rpartition("\n")
    totp = otp if has_more and data.count("\n") >= _OPERATION_LINES - 1 and _TOTP.fullmatch(otp) else None
    kind: KeyKind = MASTER_KEY if last[0] == MASTER_KEY else ACTIVATION_KEY
    return OfflineQr(body if totp is None else data, totp, nonce, kind, signature, signed)


def parse_operation(data: str) -> OfflineOperation:
    """The operation in the data of a QR text; lines that are not known are skipped. Raises InvalidOfflineQr."""
    lines = data.split("\n")
    if len(lines) < _OPERATION_LINES or not lines[0]:
        raise InvalidOfflineQr
    operation_id, title, message, operation_data, flags = lines[:_OPERATION_LINES]
    return OfflineOperation(operation_id, unescape_line(title), unescape_line(message), operation_data, flags)
