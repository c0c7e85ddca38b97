"""The number both people compare while activating. Source: PowerAuth specification, "Activation", fingerprint."""

from __future__ import annotations

import hashlib

from ringback.protocols.powerauth.keys import PublicKey, x_coordinate


def activation_fingerprint(device_public: PublicKey, activation_id: str, server_public: PublicKey) -> str:
    """ACTIVATION_FINGERPRINT of protocol 3: 8 digits over the device key, the activation id and the server key.

    The coordinates are written without leading zero bytes, as the mobile SDK and the published vectors have it; with
    all 32 bytes, one activation in 128 would show two people different numbers.
    """
    data = _shortest_x(device_public) + activation_id.encode("utf-8") + _shortest_x(server_public)
    return decimal_digits(hashlib.sha256(data).digest(), 8)


def _shortest_x(public: PublicKey) -> bytes:
    return x_coordinate(public).lstrip(b"\0")


def decimal_digits(digest: bytes, digits: int) -> str:
    """Decimalisation ("Computing and Validating Signatures"): the last 31 bits modulo 10^digits, zero-padded."""
    number = int.from_bytes(digest[-4:], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)
