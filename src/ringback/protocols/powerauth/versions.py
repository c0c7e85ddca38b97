"""What differs between the protocol versions, in one table.

Source: PowerAuth specification, "End-to-End Encryption", "Computing and Validating Signatures", "MAC Token Based
Authentication", each with its notes about older versions. Nothing else compares version texts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import msgspec

from ringback.protocols.powerauth.errors import UnsupportedVersion


class ProtocolVersion(msgspec.Struct, frozen=True):
    """One protocol version and every choice that depends on it."""

    text: str
    """As it stands in headers: `3.3`."""
    signature_format: Literal["base64", "decimal"]
    """How an online signature is written."""
    token_digest_with_version: bool
    """Whether the version is part of the MAC token's digest."""
    envelope_nonce: bool
    """Whether an ECIES request has a nonce, from which the IV is made; else the IV is zero."""
    envelope_timestamp: bool
    """Whether envelopes have a timestamp, responses a nonce of their own, and the MAC covers nonce, timestamp,
    ephemeral key and associated data; also whether the version is part of the key derivation."""
    temporary_keys: bool
    """Whether envelopes are encrypted for a temporary key instead of the master or activation server key."""


PROTOCOL_VERSIONS: MappingProxyType[str, ProtocolVersion] = MappingProxyType(
    {
        version.text: version
        for version in (
            ProtocolVersion("3.0", "decimal", False, False, False, False),
            ProtocolVersion("3.1", "base64", False, True, False, False),
            ProtocolVersion("3.2", "base64", True, True, True, False),
            ProtocolVersion("3.3", "base64", True, True, True, True),
        )
    }
)


def protocol_version(text: str) -> ProtocolVersion:
    """The version named by `text`. Raises UnsupportedVersion."""
    try:
        return PROTOCOL_VERSIONS[text]
    except KeyError:
        raise UnsupportedVersion from None
