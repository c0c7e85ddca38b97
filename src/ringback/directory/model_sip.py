"""What is kept about SIP: domains, subscribers, their credentials and their preferences."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, cast

import msgspec

MobilePush = Literal["never", "always", "no_reg", "only_push", "reg_then_push", "push_then_reg"]
MOBILE_PUSH: tuple[MobilePush, ...] = ("never", "always", "no_reg", "only_push", "reg_then_push", "push_then_reg")
"""Whether and when a call wakes phones; the values are those of Sipwise NGCP."""
Level = Literal["subscriber", "domain", "built in"]
ALGORITHMS = ("SHA-256", "MD5")
"""The digest algorithms (RFC 7616 §6.1) that HA1 is kept for, the better one first."""


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one level says; None = nothing, so that the level above decides. `mobile_push_expiry`: seconds."""

    mobile_push_enable: MobilePush | None = None
    mobile_push_expiry: int | None = None
    prompt: str | None = None
    prompt_loop: bool | None = None


class Effective(msgspec.Struct, frozen=True):
    """What holds for a subscriber, or for a domain, and which level decided each."""

    mobile_push_enable: MobilePush
    mobile_push_expiry: int | None
    prompt: str | None
    prompt_loop: bool
    decided_by: dict[str, Level]


class Domain(msgspec.Struct, frozen=True):
    """A SIP domain: a row of `domains`. `app_ids`: whose phones its calls may wake; empty = every app of the user."""

    name: str
    app_ids: tuple[str, ...]
    preferences: Preferences
    created_at: int
    version: int


class Subscriber(msgspec.Struct, frozen=True):
    """`username@domain`, which belongs to a user: a row of `subscribers`."""

    id: str
    domain: str
    username: str
    user_id: str
    display_name: str | None
    disabled: bool
    preferences: Preferences
    created_at: int
    version: int

    @property
    def address(self) -> str:
        """The address-of-record, without a scheme."""
        return f"{self.username}@{self.domain}"


class StoredCallee(msgspec.Struct, frozen=True):
    """A subscriber joined with its domain, as the database has them; the last three are JSON."""

    subscriber_id: str
    username: str
    domain: str
    user_id: str
    disabled: bool
    app_ids: str
    own: str
    inherited: str


class Callee(msgspec.Struct, frozen=True):
    """A subscriber that is called, with everything that decides what happens.

    `app_ids`: whose phones may be woken; empty = every app of the user. `mobile_push_expiry`: seconds; None = as long
    as the server lets callers wait. `decided_by`: the level of each preference.
    """

    subscriber_id: str
    username: str
    domain: str
    user_id: str
    disabled: bool
    app_ids: tuple[str, ...]
    mobile_push_enable: MobilePush
    mobile_push_expiry: int | None
    prompt: str | None
    prompt_loop: bool
    decided_by: dict[str, Level]

    @property
    def address(self) -> str:
        """The address-of-record, without a scheme."""
        return f"{self.username}@{self.domain}"


class StoredCredential(msgspec.Struct, frozen=True):
    """A subscriber joined with its credential for one realm, still sealed."""

    subscriber_id: str
    username: str
    domain: str
    user_id: str
    disabled: bool
    realm: str
    ha1_md5_sealed: bytes | None
    ha1_sha256_sealed: bytes | None


class SubscriberCredential(msgspec.Struct, frozen=True):
    """What proves a subscriber in one realm. `ha1`: hexadecimal, by algorithm (`MD5`, `SHA-256`).

    It is as good as a password. `disabled` subscribers prove nothing: whoever asks has to look.
    """

    subscriber_id: str
    username: str
    domain: str
    user_id: str
    disabled: bool
    realm: str
    ha1: dict[str, str]

    def __repr__(self) -> str:
        return f"SubscriberCredential({self.username}@{self.domain}, HA1 not shown)"


class CredentialNote(msgspec.Struct, frozen=True):
    """That there is a credential for a realm, and for which algorithms."""

    realm: str
    has_md5: bool
    has_sha256: bool
    changed_at: int


class StoredBinding(msgspec.Struct, frozen=True):
    """Where a subscriber is reached at the moment, as the registrar keeps it."""

    id: str
    contact: str
    instance: str | None
    user_agent: str | None
    source: str
    registered_at: int
    expires_at: int


_names = msgspec.json.Decoder(tuple[str, ...])
_preferences = msgspec.json.Decoder(Preferences)


@lru_cache(maxsize=1024)
def read_names(text: str) -> tuple[str, ...]:
    """A list of names in a column; the same object for all who have the same, calls that wait among them."""
    return _names.decode(text)


def read_preferences(text: str) -> Preferences:
    """The preferences of one level in a column."""
    return _preferences.decode(text)


def write_json(value: Any) -> str:
    """A column of JSON."""
    return msgspec.json.encode(value).decode()


def domain_row(name: str, app_ids: str, preferences: str, created_at: int, version: int) -> Domain:
    """A row of `domains`."""
    return Domain(name, read_names(app_ids), read_preferences(preferences), created_at, version)


def subscriber_row(*values: Any) -> Subscriber:
    """A row of `subscribers`, with the columns in the order of the Struct."""
    row = dict(zip(Subscriber.__struct_fields__, values, strict=True))
    row["disabled"] = bool(row["disabled"])  # 0 and 1 on SQLite
    row["preferences"] = read_preferences(row["preferences"])
    return Subscriber(**row)


@lru_cache(maxsize=1024)
def effective_for(built_in: Preferences, domain: str, own: str) -> Effective:
    """What holds, from the columns of both levels; one object for all who have the same."""
    return effective(built_in, read_preferences(domain), read_preferences(own))


def effective(built_in: Preferences, domain: Preferences, own: Preferences = Preferences()) -> Effective:  # noqa: B008 - frozen
    """What holds, from the lowest level that says something."""
    decided: dict[str, Level] = {}

    def choose(name: str) -> Any:
        for level, said in (("subscriber", own), ("domain", domain), ("built in", built_in)):
            value = getattr(said, name)
            if value is not None:
                decided[name] = cast("Level", level)
                return value
        decided[name] = "built in"
        return None

    return Effective(
        mobile_push_enable=choose("mobile_push_enable") or "never",
        mobile_push_expiry=choose("mobile_push_expiry"),
        prompt=choose("prompt"),
        prompt_loop=bool(choose("prompt_loop")),
        decided_by=decided,
    )
