"""The extras of a message: what it carries for the app."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.errors import invalid_field
from ringback.push import unusable_extra

MOST_BYTES = 2048
_encode = msgspec.json.Encoder().encode


def checked_extras(extras: dict[str, Any] | None) -> dict[str, Any]:
    """The extras, none for None. Raises InvalidRequest that names them."""
    if not extras:
        return {}
    if len(_encode(extras)) > MOST_BYTES:
        raise invalid_field("extras", f"At most {MOST_BYTES} bytes as JSON.")
    name = unusable_extra(extras)
    if name is not None:
        raise invalid_field(f"extras.{name}", "Push providers keep this name for themselves.")
    return extras
