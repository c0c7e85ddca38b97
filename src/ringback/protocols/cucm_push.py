"""The payload of a call push, version V2, as apps for Cisco Unified CM read it: seven members, all of them strings.

Source: seed 000 ("App Registration for Mobile SDK 3.x", the Android class of step 7 and the iOS text of step 12).
The iOS text writes `pushId` where the class has `pushid`: the latter is written, both are read.

Not public, so it is chosen here: `type` is `incomingcall` (which the vendor's sample app compares with) or `missedcall`
when the caller has given up; `ringexpiretime` is Unix time in milliseconds, empty when nobody knows.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = "V2"
INCOMING_CALL = "incomingcall"
MISSED_CALL = "missedcall"


class CallPush(msgspec.Struct, frozen=True):
    """The payload. `type` and the numbers are text as well."""

    type: str
    pushid: str
    displayname: str = ""
    displaynumber: str = ""
    payloadversion: str = VERSION
    huntpilotdn: str = ""
    ringexpiretime: str = ""


class CallPushMalformed(ValueError):
    """`field` is missing or not a string, or the payload is no JSON object (`field` = "")."""

    def __init__(self, field: str = "") -> None:
        super().__init__(f"The payload of the call push cannot be read{': ' if field else ''}{field}.")
        self.field = field


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write_call_push(push: CallPush) -> bytes:
    """JSON with the members in the order of the class."""
    return _encode(push)


def read_call_push(payload: bytes) -> CallPush:
    """Reads both spellings of `pushid`; absent and null members are empty, unknown ones ignored.

    Raises CallPushMalformed.
    """
    try:
        found: Any = _decode(payload)
    except ValueError:
        raise CallPushMalformed from None
    if not isinstance(found, dict):
        raise CallPushMalformed
    found.setdefault("pushid", found.get("pushId"))
    values: dict[str, str] = {}
    for name in CallPush.__struct_fields__:
        value = found.get(name)
        if isinstance(value, str):
            values[name] = value
        elif value is not None or name in {"type", "pushid"}:
            raise CallPushMalformed(name)
    return CallPush(**values)
