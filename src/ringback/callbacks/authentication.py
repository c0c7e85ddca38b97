"""How a callback proves to the receiver who is calling: not at all, or by HTTP Basic (RFC 7617).

What is needed for it is one tagged Struct, sealed as JSON; another way of authenticating is another Struct here.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ringback.secrets import Vault


class HttpBasic(msgspec.Struct, frozen=True, tag="http_basic"):
    """User name and password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"HttpBasic({self.username})"


Authentication = HttpBasic


def seal(vault: Vault, callback_id: str, authentication: Authentication | None) -> bytes | None:
    """What the row keeps."""
    if authentication is None:
        return None
    return vault.seal(msgspec.json.encode(authentication), _identity(callback_id))


def unseal(vault: Vault, callback_id: str, sealed: bytes | None) -> Authentication | None:
    """The opposite of `seal`; raises SealBroken."""
    if sealed is None:
        return None
    return msgspec.json.decode(vault.unseal(sealed, _identity(callback_id)), type=Authentication)


def headers_of(authentication: Authentication | None) -> dict[str, str]:
    """The header fields that prove it."""
    if authentication is None:
        return {}
    credentials = f"{authentication.username}:{authentication.password}".encode()
    return {"Authorization": "Basic " + base64.b64encode(credentials).decode()}


def _identity(callback_id: str) -> str:
    return f"callback:{callback_id}:authentication"
