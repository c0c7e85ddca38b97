"""A push token and its owner."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec


class Keep(Enum):
    """Says that a value stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class TokenOwner(msgspec.Struct, frozen=True):
    """Whose a push token is: a registration's, a UDS device's of a user, or that of a subscriber's SIP instance."""

    app_id: str
    user_id: str
    registration_id: str | None = None
    device_pkid: str | None = None
    subscriber_id: str | None = None
    sip_instance: str | None = None


class PushToken(msgspec.Struct, frozen=True):
    """A push token as it is stored.

    `environment`: development, production or None (as the credential says); `suspended`: nobody may be reached there
    now; `registered_at`: when the app last told it.
    """

    id: str
    app_id: str
    user_id: str
    registration_id: str | None
    device_pkid: str | None
    kind: str
    push_token: str
    environment: str | None
    encryption_key_sealed: bytes | None
    language: str | None
    suspended: bool
    registered_at: int
    version: int
    subscriber_id: str | None = None
    sip_instance: str | None = None

    def __repr__(self) -> str:
        return f"PushToken({self.id}, {self.kind})"
