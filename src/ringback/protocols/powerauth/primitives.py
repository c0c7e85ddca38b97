"""Key derivation, serialisation and block encryption of PowerAuth 3.

Source: PowerAuth specification, "Implementation Details" and "Key Derivation"; the position of the KDF index and the
serialisation follow the mobile SDK, which differs from the printed text.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ringback.protocols.powerauth.errors import DecryptionRefused

ZERO_IV = bytes(16)


def xor16(data: bytes) -> bytes:
    """First half XOR second half: 32 bytes to 16 ("Implementation Details", byte conversion). ValueError otherwise."""
    if len(data) != 32:
        raise ValueError("xor16 takes 32 bytes")
    folded = int.from_bytes(data[:16], "big") ^ int.from_bytes(data[16:], "big")
    return folded.to_bytes(16, "big")


def kdf(key: bytes, index: int) -> bytes:
    """KDF ("Key Derivation"): AES-128 of 8 zero bytes and the index as 8 bytes big endian. 16 bytes to 16."""
    return aes_cbc_encrypt_raw(key, ZERO_IV, index.to_bytes(16, "big"))


def kdf_internal(key: bytes, data: bytes) -> bytes:
    """KDF_INTERNAL ("Key Derivation"): HMAC-SHA256(key, data) folded to 16 bytes."""
    return xor16(hmac.digest(key, data, "sha256"))


def x963_kdf(secret: bytes, info: bytes, length: int) -> bytes:
    """X9.63 KDF with SHA-256 ("End-to-End Encryption"; SEC 1 §3.6.1): `length` bytes."""
    blocks = bytearray()
    counter = 1
    while len(blocks) < length:
        blocks += hashlib.sha256(secret + counter.to_bytes(4, "big") + info).digest()
        counter += 1
    return bytes(blocks[:length])


def join(*parts: bytes | None) -> bytes:
    """Concatenation with sizes ("End-to-End Encryption"): each part as 4-byte big endian length and its bytes.

    An absent part (None) is written as length 0.
    """
    return b"".join(len(part).to_bytes(4, "big") + part if part else b"\0\0\0\0" for part in parts)


def next_counter(counter: bytes) -> bytes:
    """Next value of the hash based counter CTR_DATA ("Hash Based Counter"). 16 bytes to 16."""
    return xor16(hashlib.sha256(counter).digest())


def aes_cbc_encrypt_raw(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CBC without padding. `data` is a multiple of 16 bytes, else ValueError."""
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def aes_cbc_decrypt_raw(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CBC without padding. Raises DecryptionRefused when `data` is not a multiple of 16 bytes."""
    if len(data) % 16:
        raise DecryptionRefused
    decryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def aes_cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CBC with PKCS#7 padding."""
    missing = 16 - len(data) % 16
    return aes_cbc_encrypt_raw(key, iv, data + bytes([missing]) * missing)


def aes_cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CBC with PKCS#7 padding. Raises DecryptionRefused.

    Callers check a MAC first, so that the answer about the padding is no oracle.
    """
    if not data:
        raise DecryptionRefused
    padded = aes_cbc_decrypt_raw(key, iv, data)
    missing = padded[-1]
    if not 1 <= missing <= 16 or padded[-missing:] != bytes([missing]) * missing:
        raise DecryptionRefused
    return padded[:-missing]
