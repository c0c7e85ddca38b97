"""A push credential as it is stored."""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback.push import CredentialKind, Form, Health

KINDS: tuple[CredentialKind, ...] = ("apns", "fcm", "webpush")
SOON_MS = 30 * 86_400_000
"""From when on people are told that a certificate expires."""


class CredentialRow(msgspec.Struct, frozen=True):
    """A row of push_credentials. `public`: JSON of what may be shown of the form, by the names of the native API."""

    app_id: str
    kind: CredentialKind
    id: str
    form: Form
    public: str
    secret_sealed: bytes
    not_after: int | None
    status: Health
    status_reason: str | None
    status_at: int
    created_at: int
    version: int

    def __repr__(self) -> str:
        return f"CredentialRow({self.app_id}, {self.kind})"


class Expiring(msgspec.Struct, frozen=True):
    """A credential that does not last for ever. `not_after`: Unix milliseconds."""

    id: str
    app_id: str
    kind: CredentialKind
    not_after: int


def expiry(not_after: int | None, now: int) -> Literal["SOON", "EXPIRED"] | None:
    """Whether people have to do something about it."""
    if not_after is None or not_after - now > SOON_MS:
        return None
    return "SOON" if not_after > now else "EXPIRED"
