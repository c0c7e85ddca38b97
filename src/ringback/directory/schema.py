"""Users as the native API shows them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

MAX_CLAIMS_BYTES = 8192
MAX_NAME = 255

Text = Annotated[str, msgspec.Meta(max_length=1024)]
MaybeText = Text | UnsetType
_NumericDate = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Address(msgspec.Struct, frozen=True):
    """The claim `address` (OpenID Connect Core §5.1.1)."""

    formatted: MaybeText = UNSET
    street_address: MaybeText = UNSET
    locality: MaybeText = UNSET
    region: MaybeText = UNSET
    postal_code: MaybeText = UNSET
    country: MaybeText = UNSET


class StandardClaims(msgspec.Struct, frozen=True):
    """The claims whose types are fixed (OpenID Connect Core §5.1, RFC 7519 §4.1). `null` is not among them."""

    sub: MaybeText = UNSET
    jti: MaybeText = UNSET
    iat: _NumericDate | UnsetType = UNSET
    name: MaybeText = UNSET
    given_name: MaybeText = UNSET
    family_name: MaybeText = UNSET
    middle_name: MaybeText = UNSET
    nickname: MaybeText = UNSET
    preferred_username: MaybeText = UNSET
    profile: MaybeText = UNSET
    picture: MaybeText = UNSET
    website: MaybeText = UNSET
    email: MaybeText = UNSET
    email_verified: bool | UnsetType = UNSET
    gender: MaybeText = UNSET
    birthdate: Annotated[str, msgspec.Meta(pattern=r"^(\d{4}|\d{4}-\d{2}-\d{2})$")] | UnsetType = UNSET
    """YYYY-MM-DD or YYYY; the year 0000 = not told."""
    zoneinfo: MaybeText = UNSET
    locale: MaybeText = UNSET
    phone_number: MaybeText = UNSET
    phone_number_verified: bool | UnsetType = UNSET
    address: Address | UnsetType = UNSET
    updated_at: _NumericDate | UnsetType = UNSET


class UserClaims(msgspec.Struct, frozen=True):
    """PUT /api/v1/apps/{appId}/users/{userId}/claims: standard claims and any others, at most 8 kB of JSON."""

    claims: Annotated[dict[str, Any], msgspec.Meta(max_length=100)]


class StoredUserClaims(msgspec.Struct, frozen=True, rename="camel"):
    """The claims of a user, and when they were stored (Unix milliseconds)."""

    claims: dict[str, Any]
    updated_at: int
