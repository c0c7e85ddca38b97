"""The configuration string compiled into a mobile app. Source: PowerAuth specification, "Mobile SDK Configuration"."""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.errors import InvalidPublicKey, MalformedBase64, MalformedSdkConfiguration
from ringback.protocols.powerauth.keys import public_key_from_bytes

KEY_P256 = 0x01
"""Master key on P-256, which every SDK that speaks protocol 3 needs."""

_FORMAT = 0x01
_MAX_BYTES = 20 * 1024  # four keys of 4 kB; the largest published one (ML-DSA-87) has 2,592 bytes


class SdkConfiguration(msgspec.Struct, frozen=True):
    """Contents of `mobileSdkConfig`."""

    app_key: bytes
    """16 raw bytes; its Base64 text is the application key of headers and envelopes."""
    app_secret: bytes
    """16 raw bytes."""
    public_keys: dict[int, bytes]
    """Key id (0–255) to encoded public key; id 1 is the P-256 master key, 65 bytes."""

    def __repr__(self) -> str:
        """Shows no secret."""
        return f"SdkConfiguration(app_key={self.app_key!r}, key ids={sorted(self.public_keys)})"


def build_sdk_configuration(configuration: SdkConfiguration) -> str:
    """Base64 text for the app ("Mobile SDK Configuration"). Raises MalformedSdkConfiguration."""
    _check(configuration)
    out = bytearray([_FORMAT])
    out += _data(configuration.app_key) + _data(configuration.app_secret) + _count(len(configuration.public_keys))
    for key_id, key in configuration.public_keys.items():
        out.append(key_id)
        out += _data(key)
    return encode_base64(bytes(out))


def parse_sdk_configuration(text: str) -> SdkConfiguration:
    """Contents of a configuration string ("Mobile SDK Configuration"). Raises MalformedSdkConfiguration."""
    try:
        reader = _Reader(decode_base64(text, limit=_MAX_BYTES))
    except MalformedBase64:
        raise MalformedSdkConfiguration from None
    if reader.take(1) != bytes([_FORMAT]):
        raise MalformedSdkConfiguration
    app_key, app_secret = reader.data(), reader.data()
    public_keys: dict[int, bytes] = {}
    for _ in range(reader.count()):
        key_id = reader.take(1)[0]
        if key_id in public_keys:
            raise MalformedSdkConfiguration
        public_keys[key_id] = reader.data()
    if reader.left():
        raise MalformedSdkConfiguration
    configuration = SdkConfiguration(app_key=app_key, app_secret=app_secret, public_keys=public_keys)
    _check(configuration)
    return configuration


def _check(configuration: SdkConfiguration) -> None:
    keys = configuration.public_keys
    if len(configuration.app_key) != 16 or len(configuration.app_secret) != 16 or KEY_P256 not in keys:
        raise MalformedSdkConfiguration
    if any(not 0 <= key_id <= 255 or not key for key_id, key in keys.items()):
        raise MalformedSdkConfiguration
    if sum(map(len, keys.values())) + 8 * len(keys) + 64 > _MAX_BYTES:
        raise MalformedSdkConfiguration
    try:
        public_key_from_bytes(keys[KEY_P256])
    except InvalidPublicKey:
        raise MalformedSdkConfiguration from None


def _count(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    if number < 0x4000:
        return (0x8000 | number).to_bytes(2, "big")
    return (0xC0000000 | number).to_bytes(4, "big")


def _data(data: bytes) -> bytes:
    return _count(len(data)) + data


class _Reader:
    """Reads counts and counted bytes; refuses what is cut short or spelled longer than needed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left():
            raise MalformedSdkConfiguration
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def count(self) -> int:
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first < 0xC0:
            number, least = (first & 0x3F) << 8 | self.take(1)[0], 0x80
        else:
            number, least = (first & 0x3F) << 24 | int.from_bytes(self.take(3), "big"), 0x4000
        if number < least:
            raise MalformedSdkConfiguration
        return number

    def data(self) -> bytes:
        return self.take(self.count())
