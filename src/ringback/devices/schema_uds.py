"""The `<token>` of UDS, as OpenAPI shows it; `protocols/uds_token.py` reads it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType


class DeviceToken(msgspec.Struct, frozen=True, rename="camel"):
    """PUT …/devicetoken: what is absent stays as it is, what is empty gets its default.

    `pushNotifyToken`: of PushKit for APNS, in hexadecimal; of FCM as it is. `key`: Base64 of 32 bytes, with which
    pushes are encrypted for the app; empty = they are not. `application`: the id of the app here.
    """

    xml_name: ClassVar[str] = "token"

    push_notify_token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | UnsetType = UNSET
    push_channel_type: Literal["APNS", "APNS:dev", "FCM"] | UnsetType = UNSET
    key: Annotated[str, msgspec.Meta(max_length=100)] | UnsetType = UNSET
    algorithm: Literal["A256GCM", ""] | UnsetType = UNSET
    application: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    payload_version: Literal["V2", ""] | UnsetType = UNSET
