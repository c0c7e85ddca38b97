"""Domains and subscribers as the native API shows them. Preferences have the names that Sipwise NGCP gave them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ringback.directory.model_sip import Level, MobilePush
from ringback.directory.schema_users import ChosenPassword, DisplayName, UserId

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN_PATTERN = rf"^{_LABEL}(?:\.{_LABEL})*$"
DomainName = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=DOMAIN_PATTERN)]
"""A host name or an IPv4 address; other alphabets in their ASCII form (xn--…)."""
Username = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9+*_][A-Za-z0-9_.!~*'()&=+$,-]*$")
]
"""What stands before the @ (RFC 3261 §25.1), without escapes; capital letters are others than small ones."""
Realm = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r'^[^\x00-\x1f\x7f"\\]+$')]
_AppId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
AppIds = Annotated[list[_AppId], msgspec.Meta(max_length=100)]
Expiry = Annotated[int, msgspec.Meta(ge=5, le=600)]
Prompt = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Md5 = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{32}$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{64}$")]

# domains --------------------------------------------------------------------------------------------------------------


class CreateDomain(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/v1/domains. `appIds`: the apps whose phones calls may wake; none = every app of the user."""

    domain: DomainName
    app_ids: AppIds = []


class ChangeDomain(msgspec.Struct, frozen=True, rename="camel"):
    """PUT /api/v1/domains/{domain}: what is absent stays."""

    app_ids: AppIds | UnsetType = UNSET


class ShownDomain(msgspec.Struct, frozen=True, rename="camel"):
    """A domain."""

    domain: str
    app_ids: list[str]
    created_at: int


class DomainPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some domains, by name; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[ShownDomain]
    next_cursor: str | None


# subscribers ----------------------------------------------------------------------------------------------------------


class CreateSubscriber(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/v1/domains/{domain}/subscribers. Without a password nobody can register until one is set."""

    username: Username
    user_id: UserId
    display_name: DisplayName | None = None
    password: ChosenPassword | None = None
    disabled: bool = False


class ChangeSubscriber(msgspec.Struct, frozen=True, rename="camel"):
    """PUT …/subscribers/{username}: what is absent stays; `displayName` null is none."""

    user_id: UserId | UnsetType = UNSET
    display_name: DisplayName | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class ShownSubscriber(msgspec.Struct, frozen=True, rename="camel"):
    """A subscriber. `address`: `username@domain`."""

    address: str
    username: str
    domain: str
    user_id: str
    display_name: str | None
    disabled: bool
    created_at: int


class ShownCredential(msgspec.Struct, frozen=True, rename="camel"):
    """That a subscriber can be proved in a realm, by which algorithms, since when."""

    realm: str
    algorithms: list[str]
    changed_at: int


class SubscriberDetail(ShownSubscriber, frozen=True, rename="camel"):
    """One subscriber, with the realms that it can be proved in."""

    credentials: list[ShownCredential]


class SubscriberPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some subscribers of a domain, by name; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[ShownSubscriber]
    next_cursor: str | None


class GivenHa1(msgspec.Struct, frozen=True, rename="camel"):
    """HA1 as another system kept it, hexadecimal: the hash of `username:realm:password`. At least one of the two."""

    md5: Md5 | None = None
    sha256: Sha256 | None = None


class SetSipPassword(msgspec.Struct, frozen=True, rename="camel"):
    """PUT …/subscribers/{username}/password: a password, or the `ha1` of one; without both one is made and shown once.

    `realm`: for this one alone; absent = for the subscriber's own and all that it has something for (`ha1`: its own).
    """

    password: ChosenPassword | None = None
    ha1: GivenHa1 | None = None
    realm: Realm | None = None


class SipPasswordSet(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The new password, where the server made it."""

    address: str
    password: str | None = None


class ShownBinding(msgspec.Struct, frozen=True, rename="camel"):
    """Where a subscriber is reached. `source`: transport, host and port that its REGISTER came from."""

    contact: str
    instance: str | None
    user_agent: str | None
    source: str
    registered_at: int
    expires_at: int


class BindingList(msgspec.Struct, frozen=True, rename="camel"):
    """Where a subscriber is reached at the moment, the freshest first."""

    items: list[ShownBinding]


class BindingsDeleted(msgspec.Struct, frozen=True, rename="camel"):
    """How many bindings are gone."""

    deleted: int


class SipCredential(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What proves a subscriber (HA1, hexadecimal), for a SIP proxy; without the hash that is not known."""

    username: str
    domain: str
    realm: str
    user_id: str
    md5: str | None = None
    sha256: str | None = None


# preferences ----------------------------------------------------------------------------------------------------------

OldMobilePush = bool | Literal[1, 0, "true", "false", "1", "0"]
"""`mobile_push_enable` from when it was a boolean in NGCP, as scripts and exports from then write it."""
_OF_OLD: dict[Any, MobilePush] = {
    True: "always", "true": "always", "1": "always",
    False: "never", "false": "never", "0": "never",
}  # fmt: skip
"""The numbers 1 and 0 are found as True and False."""


class SetPreferences(msgspec.Struct, frozen=True):
    """PUT or PATCH …/preferences: what this level says; null = nothing, the level above decides.

    Absent: as null with PUT, as it is with PATCH. `mobile_push_enable`: true and 1 mean `always`, false and 0 `never`.
    `mobile_push_expiry`: seconds. `prompt`: the name of a WAV file beside `RINGBACK_SIP_PROMPT`.
    """

    mobile_push_enable: MobilePush | OldMobilePush | UnsetType | None = UNSET
    mobile_push_expiry: Expiry | UnsetType | None = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    prompt_loop: bool | UnsetType | None = UNSET

    def said(self) -> dict[str, Any]:
        """What it says, by name, with the old boolean translated; None = nothing any more."""
        told = {name: getattr(self, name) for name in self.__struct_fields__}
        told["mobile_push_enable"] = _OF_OLD.get(self.mobile_push_enable, self.mobile_push_enable)
        return {name: value for name, value in told.items() if value is not UNSET}


class OwnPreferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this level says; what it does not say is absent."""

    mobile_push_enable: MobilePush | None = None
    mobile_push_expiry: int | None = None
    prompt: str | None = None
    prompt_loop: bool | None = None


class EffectivePreferences(msgspec.Struct, frozen=True):
    """What holds. `mobile_push_expiry` null: as long as the server lets callers wait; `prompt` null: the server's."""

    mobile_push_enable: MobilePush
    mobile_push_expiry: int | None
    prompt: str | None
    prompt_loop: bool


class ShownPreferences(msgspec.Struct, frozen=True, rename="camel"):
    """What this level says, what holds, and which level decided it: `subscriber`, `domain` or `built in`."""

    own: OwnPreferences
    effective: EffectivePreferences
    decided_by: dict[str, Level]
