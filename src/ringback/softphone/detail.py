"""What the server calls this phone, and what it tells about the user. Source: PowerAuth RESTful API."""

from __future__ import annotations

import msgspec


class PhoneDetail(msgspec.Struct, rename="camel"):
    """What the phone is called."""

    activation_id: str
    activation_name: str | None = None


class DetailAnswer(msgspec.Struct, rename="camel"):
    """Opened answer of activation/detail and activation/rename: framed as a plain one."""

    response_object: PhoneDetail
