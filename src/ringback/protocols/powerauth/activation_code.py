"""Activation codes and their QR text. Source: PowerAuth specification, "Activation Code"."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.errors import InvalidActivationCode, MalformedBase64
from ringback.protocols.powerauth.keys import PrivateKey, PublicKey, sign_der, verify_der

_SHAPE = re.compile(r"[A-Z2-7]{5}(?:-[A-Z2-7]{5}){3}", re.ASCII)
_MAX_DER = 72  # an ECDSA signature by P-256 is never longer


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16_arc(data: bytes) -> int:
    """CRC-16/ARC ("Activation Code", checksum): reflected polynomial 0x8005, start 0."""
    value = 0
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value


def _spell(data: bytes) -> str:
    text = base64.b32encode(data).decode("ascii")[:20]
    return "-".join((text[:5], text[5:10], text[10:15], text[15:]))


def generate_activation_code(random: Callable[[int], bytes]) -> str:
    """A new code of 23 characters ("Activation Code"): 10 random bytes, their CRC, Base32, four groups of five."""
    entropy = random(10)
    return _spell(entropy + crc16_arc(entropy).to_bytes(2, "big"))


def is_activation_code(text: str) -> bool:
    """Whether `text` is a code in its one canonical spelling with a right checksum ("Activation Code")."""
    if len(text) != 23 or _SHAPE.fullmatch(text) is None:
        return False
    data = base64.b32decode(text.replace("-", "") + "====")
    # 20 characters hold 100 bits, the code has 96: the last four must be zero, which the respelling checks.
    return len(data) == 12 and _spell(data) == text and crc16_arc(data[:10]) == int.from_bytes(data[10:], "big")


def sign_activation_code(master_private: PrivateKey, code: str) -> bytes:
    """ACTIVATION_SIGNATURE: ECDSA in DER by the application's master key over the code's text."""
    return sign_der(master_private, code.encode("utf-8"))


def verify_activation_code(master_public: PublicKey, code: str, signature: bytes) -> bool:
    """Whether the master key signed this code (`signature` in DER)."""
    return verify_der(master_public, signature, code.encode("utf-8"))


def build_qr(code: str, signature: bytes) -> str:
    """Text of the activation QR code: `CODE#SIGNATURE`, the signature (DER) in Base64."""
    return f"{code}#{encode_base64(signature)}"


def parse_qr(text: str) -> tuple[str, bytes | None]:
    """Code and signature of a QR text; a bare code has no signature. Raises InvalidActivationCode."""
    code, separator, encoded = text.partition("#")
    if not is_activation_code(code):
        raise InvalidActivationCode
    if not separator:
        return code, None
    try:
        signature = decode_base64(encoded, limit=_MAX_DER)
    except MalformedBase64:
        raise InvalidActivationCode from None
    if not signature:
        raise InvalidActivationCode
    return code, signature
