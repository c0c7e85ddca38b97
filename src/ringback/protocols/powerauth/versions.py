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


LATEST = PROTOCOL_VERSIONS["3.3"]
"""What is assumed where nobody names a version."""


class Suite(msgspec.Struct, frozen=True):
    """The algorithms that a registration's keys were made for, and the sizes that follow from them."""

    name: str
    """As it stands in the database."""
    protocol: int
    """First part of every version in which such a registration speaks; the status blob names it."""
    counter_bytes: int
    """Size of CTR_DATA."""


P256 = Suite("P256", 3, 16)
"""The one suite of protocol 3. Those of protocol 4 (32-byte counters) are in the database's room, not yet here."""


def accepts_signatures(registered: str | None, version: ProtocolVersion) -> bool:
    """Whether a registration made in version `registered` may sign in `version`.

    An app that was updated signs in its new version, and all Base64 formats are one. Decimal digits are few enough to
    be guessed, so only a registration that was made by an app without a better format may send them.
    """
    if version.signature_format == "base64":
        return True
    known = PROTOCOL_VERSIONS.get(registered or "")
    return known is not None and known.signature_format == version.signature_format


def protocol_version(text: str) -> ProtocolVersion:
    """The version named by `text`. Raises UnsupportedVersion."""
    try:
        return PROTOCOL_VERSIONS[text]
    except KeyError:
        raise UnsupportedVersion from None
