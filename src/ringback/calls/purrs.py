"""Names that a phone may give to its peers (RFC 8599 §6): who has one can ask for that phone, without its push token.

A redirect server is not on the way of what is sent inside a call, so nothing of that can wake a phone here, as the RFC
has it for proxies. What counts is a new INVITE to `sip:user@domain;pn-purr=NAME`: it is for this one phone.
"""

from __future__ import annotations

import base64
from typing import Protocol

_BYTES = 15
PARAMETER = "pn-purr"


class Fingerprints(Protocol):
    """Who makes keyed hashes; the vault does."""

    def fingerprint(self, secret: bytes, purpose: str) -> bytes:
        """A keyed hash."""
        ...


class PhoneNames:
    """Makes them: a keyed hash, so nothing is stored and nobody can guess one."""

    def __init__(self, vault: Fingerprints) -> None:
        self._vault = vault

    def of(self, subscriber_id: str, instance: str | None, contact: str) -> str:
        """The name of a phone: always the same for an instance, and without one for a contact; 24 characters."""
        told = "\0".join((subscriber_id, "instance" if instance else "contact", instance or contact))
        made = self._vault.fingerprint(told.encode(), "pn-purr")[:_BYTES]
        return base64.b32encode(made).decode("ascii").lower()
