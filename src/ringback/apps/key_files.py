"""Files with keys as they come in requests: Base64, PEM, DER. What is wrong is told by the name of the field."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from ringback.apps.slow_keys import TooSlow, is_whole, open_key
from ringback.errors import invalid_field
from ringback.protocols.der import DerMalformed, iteration_counts

BUNDLE_ID = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
MAX_BUNDLE_ID = 155
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
TOO_SLOW = "It would take too long to check. Export it anew."
MOST_ITERATIONS = 3_000_000
"""Of key derivation in a file, as far as it says: half a second. Apple's Keychain asks for a few thousand."""
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_DAMAGED = "This is no private key, or it is damaged. Take the file as you got it."


def decoded(text: str, field: str) -> bytes:
    """A file in Base64, with line breaks as the command `base64` writes them. Raises InvalidRequest."""
    if text.lstrip().startswith("-----BEGIN"):
        raise invalid_field(field, "This is the file as it is; send it in Base64.")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_field(field, "This is not Base64.") from error
    if not data:
        raise invalid_field(field, "It is empty.")
    return data


def private_key(data: bytes, field: str, password: str | None = None) -> Any:
    """A private key in PEM, or in DER as some tools write it. Raises InvalidRequest.

    `password`: what was sent for it; None where none can be. The parts of an RSA key belong together, and it is neither
    too short nor so long that it would cost seconds. That blocks for a while, so this is called in a thread.
    """
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        key = load(data, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, rsa.RSAPrivateKey):
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise invalid_field(field, f"An RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.")
            if not is_whole(data):
                raise invalid_field(field, _DAMAGED)
    except TooSlow as error:
        raise invalid_field(field, TOO_SLOW) from error
    except TypeError as error:
        if password is None:
            raise invalid_field(field, "The private key is encrypted. Send it without a password.") from error
        return private_key(_decrypted(data, field, password), field)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise invalid_field(field, _DAMAGED) from error
    return key


def check_work(der: bytes, field: str) -> None:
    """Before a file is opened that a password protects. Raises InvalidRequest, DerMalformed."""
    counts = list(iteration_counts(der))
    if min(counts, default=0) < 0 or sum(counts) > MOST_ITERATIONS:
        raise invalid_field(field, "It asks for too many iterations of its password. Export it anew.")


def _decrypted(data: bytes, field: str, password: str) -> bytes:
    """An encrypted private key in the clear. Raises InvalidRequest."""
    if not password:
        raise invalid_field("password", "The private key is encrypted: send its password.")
    try:
        for der in map(base64.b64decode, _ENCRYPTED.findall(data)) if b"-----BEGIN" in data else (data,):
            check_work(der, field)
        opened = open_key(data, password)
    except (DerMalformed, binascii.Error) as error:
        raise invalid_field(field, _DAMAGED) from error
    except TooSlow as error:
        raise invalid_field(field, TOO_SLOW) from error
    if opened.error == "unsupported":
        raise invalid_field(field, "It is encrypted in a way that is not known here. Export it anew.")
    if opened.key is None:
        raise invalid_field("password", "It does not open the private key, or the file is damaged.")
    return opened.key.encode()


def pem_of(key: Any) -> str:
    """A private key as it is kept: PKCS#8, PEM."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def check_bundle_id(value: str, field: str) -> None:
    """Raises InvalidRequest for what is no bundle id."""
    if len(value) > MAX_BUNDLE_ID or not BUNDLE_ID.fullmatch(value):
        raise invalid_field(field, "A bundle id looks like com.example.app: A-Z, a-z, 0-9, dots and hyphens.", value)
