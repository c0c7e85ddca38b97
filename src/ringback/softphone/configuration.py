"""What is compiled into the app (the SDK configuration) and what its camera reads (the activation code)."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from ringback.protocols.powerauth.activation_code import parse_qr, verify_activation_code
from ringback.protocols.powerauth.base64_text import encode_base64
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.keys import PublicKey, public_key_from_bytes
from ringback.protocols.powerauth.sdk_configuration import KEY_P256, parse_sdk_configuration
from ringback.softphone.errors import CodeRefused, ConfigurationRefused


class AppConfiguration(msgspec.Struct, frozen=True):
    """The SDK configuration, taken apart: Base64 texts stand in headers, signatures and ECIES, raw bytes in JWTs."""

    app_key: str
    app_secret: str
    app_secret_bytes: bytes
    master_public: PublicKey

    def __repr__(self) -> str:
        """Shows no secret."""
        return f"AppConfiguration({self.app_key!r})"


@lru_cache(maxsize=64)
def read_configuration(text: str) -> AppConfiguration:
    """The app's keys in a `mobileSdkConfig` string. Raises ConfigurationRefused."""
    try:
        parsed = parse_sdk_configuration("".join(text.split()))
        master_public = public_key_from_bytes(parsed.public_keys[KEY_P256])
    except PowerAuthProtocolError as error:
        raise ConfigurationRefused(cause=error) from error
    return AppConfiguration(
        encode_base64(parsed.app_key), encode_base64(parsed.app_secret), parsed.app_secret, master_public
    )


def read_code(text: str, configuration: AppConfiguration) -> str:
    """The activation code in what a person typed or a camera read. Raises CodeRefused.

    A QR text carries a signature, which must be the app's master key's: else somebody made the code up.
    """
    code, separator, signature_text = "".join(text.split()).partition("#")
    try:
        code, signature = parse_qr(code.upper() + separator + signature_text)
    except PowerAuthProtocolError as error:
        raise CodeRefused(cause=error) from error
    if signature is not None and not verify_activation_code(configuration.master_public, code, signature):
        raise CodeRefused("This QR code was not made by this app's server. Do not use it.")
    return code
