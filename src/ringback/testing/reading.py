"""What a person would say about a push that came in: its title, or that it is encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ringback.testing.record import Received

ENCRYPTED = "encrypted"
_JWE = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]+\.[\w-]*\.[\w-]+")
_DEEPEST = 5


def is_encrypted(received: Received) -> bool:
    """Somewhere in the payload stands a JWE, compact form (RFC 7516 §7.1)."""
    return any(_JWE.fullmatch(text) for text in _texts(received.payload, _DEEPEST))


def title_of(received: Received) -> str:
    """The title, else the text, else "silent"; or "encrypted", whatever stands beside it for the lock screen."""
    if is_encrypted(received):
        return ENCRYPTED
    payload = received.payload if isinstance(received.payload, dict) else {}
    places = [_part(payload, "aps", "alert"), _part(payload, "message", "notification")]
    places += [_part(payload, "message", "data"), payload]
    for place in places:
        if isinstance(place, str) and place:
            return place
        names = ("title", "body", "title-loc-key", "loc-key", "displayname") if isinstance(place, dict) else ()
        for name in names:
            if place.get(name):
                return str(place[name])
    return "silent"


def _part(payload: dict[str, Any], *path: str) -> Any:
    found: Any = payload
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth:
        for inner in value.values():
            yield from _texts(inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _texts(inner, depth - 1)
