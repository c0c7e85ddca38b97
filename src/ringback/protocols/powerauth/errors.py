"""Refusals of the PowerAuth protocol, one class per thing that can be wrong.

    PowerAuthProtocolError
    ├── InvalidPublicKey
    ├── InvalidPrivateKey
    ├── MalformedBase64
    ├── DecryptionRefused
    ├── UnsupportedVersion
    ├── MalformedHeader(field)
    ├── UnknownSignatureType
    ├── InvalidActivationCode
    ├── InvalidRecoveryCode
    ├── InvalidOfflineQr
    ├── InvalidOperationLink
    ├── MalformedSdkConfiguration
    ├── StatusBlobRefused
    ├── VaultKeyRefused
    ├── EnvelopeRefused
    └── JwtRefused

They carry no secret and say nothing about which byte was wrong: an envelope is refused, not explained.
"""

from __future__ import annotations


class PowerAuthProtocolError(Exception):
    """The PowerAuth message is not acceptable."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidPublicKey(PowerAuthProtocolError):
    """The public key is not a point of P-256 in 33 or 65 bytes."""


class InvalidPrivateKey(PowerAuthProtocolError):
    """The private key is not a scalar of P-256 in 32 bytes."""


class MalformedBase64(PowerAuthProtocolError):
    """The text is not canonical Base64 of an acceptable length."""


class DecryptionRefused(PowerAuthProtocolError):
    """The ciphertext has a wrong length or wrong padding."""


class UnsupportedVersion(PowerAuthProtocolError):
    """The protocol version is not one of 3.0, 3.1, 3.2 and 3.3."""


class MalformedHeader(PowerAuthProtocolError):
    """The PowerAuth HTTP header cannot be read."""

    def __init__(self, field: str) -> None:
        super().__init__(f"The PowerAuth HTTP header cannot be read: {field}.")
        self.field = field
        """Name of the field at fault, or `header` when the text as a whole cannot be scanned."""


class UnknownSignatureType(PowerAuthProtocolError):
    """The signature type is not one of the six combinations of factors."""


class InvalidActivationCode(PowerAuthProtocolError):
    """The activation code or its QR text is not valid."""


class InvalidRecoveryCode(PowerAuthProtocolError):
    """The recovery code, its QR text or the PUK is not valid."""


class InvalidOfflineQr(PowerAuthProtocolError):
    """The text is not the QR text of an offline signature."""


class InvalidOperationLink(PowerAuthProtocolError):
    """The text does not lead to an operation."""


class MalformedSdkConfiguration(PowerAuthProtocolError):
    """The mobile SDK configuration string cannot be read."""


class StatusBlobRefused(PowerAuthProtocolError):
    """The activation status blob was not made for this challenge and key."""


class VaultKeyRefused(PowerAuthProtocolError):
    """The encrypted vault key does not open under this transport key."""


class EnvelopeRefused(PowerAuthProtocolError):
    """The encrypted envelope was refused."""


class JwtRefused(PowerAuthProtocolError):
    """The JSON Web Token of the temporary key was refused."""
