"""JSON Web Encryption, the one form that encrypted pushes have: compact, `dir`, A256GCM.

Sources: RFC 7516 §3.1, §5 and §7.1 (compact serialisation, encryption, decryption), RFC 7518 §4.5 (`dir`: the shared
key encrypts the content, and the encrypted key is empty) and §5.3 (AES-GCM: 96-bit IV, 128-bit tag).
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringback.protocols.base64url import from_base64url, to_base64url

KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16

_HEADER = to_base64url(b'{"alg":"dir","enc":"A256GCM"}')  # always the same, so encoded once; it is the AAD as well
_BEGIN = _HEADER + b".."
_AROUND = len(_BEGIN) + 16 + 1 + 1 + 22  # IV, two full stops, tag

_Header = dict[str, object]
_decode_header = msgspec.json.Decoder(_Header).decode


class JweKeyInvalid(ValueError):
    """The key is not 32 bytes."""

    def __init__(self) -> None:
        super().__init__("The key of A256GCM has exactly 32 bytes.")


class JweRefused(ValueError):
    """Not a JWE of this form under this key. Nothing is said about which part was wrong."""

    def __init__(self) -> None:
        super().__init__("The encrypted text was refused.")


def encrypt(payload: bytes, key: bytes, iv: bytes) -> str:
    """The compact serialisation (RFC 7516 §7.1).

    key: 32 bytes, else JweKeyInvalid; iv: 12 random bytes, never twice under one key, else ValueError.
    """
    if len(key) != KEY_BYTES:
        raise JweKeyInvalid
    if len(iv) != IV_BYTES:
        raise ValueError("the IV of A256GCM has 12 bytes")
    sealed = AESGCM(key).encrypt(iv, payload, _HEADER)
    parts = (_BEGIN + to_base64url(iv), to_base64url(sealed[:-TAG_BYTES]), to_base64url(sealed[-TAG_BYTES:]))
    return b".".join(parts).decode("ascii")


def decrypt(text: str, key: bytes) -> bytes:
    """The payload (RFC 7516 §5.2).

    Headers of others may have further members, but neither `zip` nor `crit`: what they ask for is not done here.
    Raises JweKeyInvalid and JweRefused. The caller limits the length.
    """
    if len(key) != KEY_BYTES:
        raise JweKeyInvalid
    try:
        header, encrypted_key, iv, ciphertext, tag = text.encode("ascii").split(b".")
        declared = _decode_header(from_base64url(header))
        nonce, sealed = from_base64url(iv), from_base64url(ciphertext) + _tag(tag)
    except ValueError:  # msgspec's error and UnicodeEncodeError are ones too
        raise JweRefused from None
    wanted = declared.get("alg") == "dir" and declared.get("enc") == "A256GCM"
    if not wanted or encrypted_key or "zip" in declared or "crit" in declared or len(nonce) != IV_BYTES:
        raise JweRefused
    try:
        return AESGCM(key).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise JweRefused from None


def longest_payload(length: int) -> int:
    """How many bytes of payload a compact serialisation of so many characters has room for; negative when none."""
    return (length - _AROUND) * 3 // 4


def _tag(text: bytes) -> bytes:
    tag = from_base64url(text)
    if len(tag) != TAG_BYTES:  # a shorter one would be accepted by some implementations, and is easier to forge
        raise ValueError("the tag has 16 bytes")
    return tag
