"""`P-App-Param`: what a Sipwise proxy says about a call that it hands over.

Facts of the application `mobile_push` of sipwise/sems: `audio_id=..;expiration=..;caller=..;callee=..;domain=..`. What
is said here takes the place of what the request and the preferences say.
"""

from __future__ import annotations

import re

import msgspec

HEADER = "P-App-Param"
LONGEST = 1024
LONGEST_VALUE = 255
SHORTEST_WAIT_SECONDS = 1
LONGEST_WAIT_SECONDS = 600
_VALUE = re.compile(r"[^\x00-\x20\x7f;\"<>\ud800-\udfff]*")
_USER = re.compile(r"[^@]+")
_HOST = re.compile(r"[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]")
_NUMBER = re.compile(r"[0-9]{1,4}")


class BadAppParam(ValueError):
    """The header cannot be read; the message names the parameter."""


class AppParam(msgspec.Struct, frozen=True):
    """What the header says; None where it says nothing. `expiration` in seconds."""

    audio_id: str | None = None
    expiration: int | None = None
    caller: str | None = None
    callee: str | None = None
    domain: str | None = None


SILENT = AppParam()
_NAMES = frozenset(AppParam.__struct_fields__)


def parse_app_param(text: str | None) -> AppParam:
    """Reads the header's value; parameters that are unknown are left alone, empty ones say nothing.

    Raises BadAppParam: a known parameter twice, a value that cannot be one, or more than 1,024 characters.
    """
    if text is None:
        return SILENT
    if len(text) > LONGEST:
        raise BadAppParam("it is too long")
    values: dict[str, str] = {}
    for part in text.split(";"):
        name, separator, value = part.strip().partition("=")
        name, value = name.strip().lower(), value.strip()
        if name not in _NAMES:
            continue
        if not separator or name in values or len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
            raise BadAppParam(name)
        values[name] = value
    return AppParam(
        audio_id=values.get("audio_id") or None,
        expiration=_seconds(values.get("expiration")),
        caller=values.get("caller") or None,
        callee=_checked("callee", values.get("callee"), _USER),
        domain=_checked("domain", values.get("domain"), _HOST),
    )


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not SHORTEST_WAIT_SECONDS <= int(text) <= LONGEST_WAIT_SECONDS:
        raise BadAppParam("expiration")
    return int(text)


def _checked(name: str, text: str | None, grammar: re.Pattern[str]) -> str | None:
    if not text:
        return None
    if not grammar.fullmatch(text):
        raise BadAppParam(name)
    return text
