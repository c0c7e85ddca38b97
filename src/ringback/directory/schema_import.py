"""Subscribers as a file names them, many at once."""

from __future__ import annotations

import msgspec

from ringback.directory.model_sip import MobilePush
from ringback.directory.schema_sip import DomainName, Expiry, Md5, OldMobilePush, Realm, Sha256, Username
from ringback.directory.schema_users import ChosenPassword, DisplayName, UserId


class Address(msgspec.Struct, frozen=True):
    """`username@domain` in its parts."""

    username: Username
    domain: DomainName


class ImportedLine(msgspec.Struct, frozen=True, rename="camel"):
    """A line of a file of subscribers. `line`: its number; `address`: `username@domain`."""

    line: int
    address: str
    user_id: UserId
    display_name: DisplayName | None = None
    password: ChosenPassword | None = None
    realm: Realm | None = None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    disabled: bool = False
    mobile_push_enable: MobilePush | OldMobilePush | None = msgspec.field(default=None, name="mobile_push_enable")
    mobile_push_expiry: Expiry | None = msgspec.field(default=None, name="mobile_push_expiry")
