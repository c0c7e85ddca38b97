"""From the bytes of a request to a Struct, or a refusal that names the field."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from ringback.errors import InvalidRequest, Violation

T = TypeVar("T", bound=msgspec.Struct)

_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_ESCAPED_NUL = b"\\u0000"
_TOKEN = re.compile(rb'"(?>[^"\\]+|\\.)*+"|[\[{]|[\]}]', re.DOTALL)

MAX_DEPTH = 64
"""So many lists and objects may lie in each other. Whatever walks a value that came in does it by recursion."""


@lru_cache(maxsize=512)
def _decoder(shape: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def decode(body: bytes, shape: type[T], *, optional: bool = False) -> T:
    """The body as `shape`. Unknown fields are ignored; an empty body is `shape()` when `optional`.

    Raises InvalidRequest with one violation that names the field. NUL characters are refused, since no database column
    of text can hold them, and so is what `is_too_deep`.
    """
    if optional and not body.strip():
        return shape()
    try:
        body.decode()  # msgspec does not look into what it skips
        value: T = _decoder(shape).decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "The body must be one JSON object in UTF-8."
        raise InvalidRequest(hint, cause=error, violations=(Violation("body", None, hint),)) from error
    if is_too_deep(body):
        hint = f"At most {MAX_DEPTH} lists and objects may lie in each other."
        raise InvalidRequest(hint, violations=(Violation("body", None, hint),))
    if _ESCAPED_NUL in body and _has_nul(msgspec.to_builtins(value)):
        hint = "Text must not contain the character U+0000."
        raise InvalidRequest(hint, violations=(Violation("body", None, hint),))
    return value


def is_too_deep(body: bytes) -> bool:
    """Whether more than MAX_DEPTH lists and objects lie in each other; `body` has been decoded without an error."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(body):
        kind = token[0][:1]
        if kind in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif kind in b"]}":
            depth -= 1
    return False


def _refusal(text: str, error: Exception) -> InvalidRequest:
    """msgspec says ``Object missing required field `userId` `` or ``Expected `str`, got `int` - at `$.userId` ``."""
    path = _PATH.search(text)
    field = path.group(1) if path else ""
    hint = _PATH.sub("", text)
    missing = re.fullmatch(r"Object missing required field `(.+)`", hint)
    if missing:
        field = f"{field}.{missing.group(1)}" if field else missing.group(1)
        hint = "This field is required."
    field = field or "body"
    return InvalidRequest(f"{field}: {hint}", cause=error, violations=(Violation(field, None, hint),))


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(_has_nul(item) for item in value)
    return False
