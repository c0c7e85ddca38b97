"""Cutting a message into its start line, its fields and its body, with everything that people write. RFC 3261 §7."""

from __future__ import annotations

import re
from typing import Final

from ringback.protocols.sip.header_fields import NAMES, NEVER_IN_A_VALUE, Headers, has_control, name_as_read

_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_STRAY_CR: Final = re.compile(rb"\r(?!\n)")
_SINGLE: Final = frozenset(
    (
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Content-Length",
        "Max-Forwards",
        "Expires",
        "Content-Type",
        "Event",
        "Subscription-State",
    )
)
_USUAL: Final = re.compile(r"^([!-9;-~]{1,255}+):[ \t]*+((?:[ -~]*[!-~])?)\r\n", re.MULTILINE)
"""A field of one line in ASCII, without white space before the colon and at the end."""
_WITH_DISPLAY_NAME: Final = frozenset(
    ("From", "To", "Contact", "Reply-To", "P-Asserted-Identity", "P-Preferred-Identity")
)
_QUOTED_PAIRS: Final = re.compile(r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\r\n])*+"[^\x00-\x08\x0a-\x1f\x7f]*+')
"""A value that begins with a display name, and has control characters only there, each behind a backslash (§25.1)."""
_MOST_FIELDS: Final = 256
_LONGEST_NAME: Final = 255


def end_of_header(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """Where the header ends and where the body begins; (-1, -1) while the blank line has not come.

    The one place that decides this, so that framing and reading cannot disagree.
    """
    at = data.find(b"\r\n\r\n", start)
    if at >= 0 and data.find(b"\n\n", start, at) < 0 and data.find(b"\n\r\n", start) == at + 1:
        return at, at + 4
    found = _BLANK_LINE.search(data, start)
    return (found.start(), found.end()) if found is not None else (-1, -1)


def read_header(data: bytes) -> tuple[str, Headers, bytes, str]:
    """A message as (start line, sound fields, everything after the blank line, what is wrong or "").

    Nothing is raised, so that what is wrong can be answered with the fields that are sound.
    """
    end, begin = end_of_header(data)
    complete = end >= 0
    usual = _read_usual(data[:begin]) if complete else None
    if usual is not None:
        return *usual, data[begin:], ""
    head, body = (data[:end], data[begin:]) if complete else (data, b"")
    problem = "" if complete else "Missing Blank Line"
    if head.count(b"\r") != head.count(b"\r\n"):
        problem = problem or "Stray Carriage Return"
        head = _STRAY_CR.sub(b" ", head)
    if head.count(b"\n") != head.count(b"\r\n"):
        head = _BARE_LF.sub(b"\r\n", head)
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    names: list[str] = []
    values: list[str] = []
    dirty = len(head.translate(None, NEVER_IN_A_VALUE)) + 2 * len(lines) != len(head)
    if dirty or b"\n " in head or b"\n\t" in head or not _read_plainly(lines, names, values):
        names, values = [], []
        problem = _read_fields(lines, names, values, dirty=dirty) or problem
    if len(set(names)) != len(names):
        problem = _drop_repeated(names, values) or problem
    return start, Headers.as_read(names, values), body, problem


def _read_usual(head: bytes) -> tuple[str, Headers] | None:
    """Start line and fields of a header with its blank line, as almost all write them; None when it is not so."""
    if not head.isascii():
        return None
    start, _, rest = head.decode("ascii").partition("\r\n")
    fields = _USUAL.findall(rest)
    # One end of a line more: that of the blank line. Where anything else was skipped, it has its own.
    if not 0 < len(fields) <= _MOST_FIELDS or len(fields) != rest.count("\n") - 1 or not start.isprintable():
        return None
    written, values = zip(*fields, strict=True)
    names = [known or name_as_read(name) for name, known in zip(written, map(NAMES.get, written), strict=True)]
    alone = [name for name in names if name in _SINGLE]
    if "" in names or len(set(alone)) != len(alone):
        return None
    return start, Headers.as_read(names, list(values))


def _read_plainly(lines: list[str], names: list[str], values: list[str]) -> bool:
    """Fills names and values from fields of one line each. False when there is anything else."""
    for line in lines:
        name, colon, value = line.partition(":")
        known = NAMES.get(name) or _name(name)
        if not known or not colon:
            return False
        names.append(known)
        values.append(value.strip(" \t"))
    return len(names) <= _MOST_FIELDS


def _read_fields(lines: list[str], names: list[str], values: list[str], *, dirty: bool) -> str:
    """Fills names and values with the sound fields; returns what is wrong with the others, or ""."""
    problem = ""
    skipping = True  # a continuation has a line before it that was taken
    for line in lines:
        if line[:1] in {" ", "\t"} and line:
            if skipping or (dirty and has_control(line)):
                problem = problem or "Malformed Header Field"
            elif line.strip(" \t"):  # a line of nothing but spaces would end the header, were it written again
                values[-1] = f"{values[-1]}\r\n{line}".rstrip(" \t")
            continue
        name, colon, value = line.partition(":")
        known, value = _name(name), value.strip(" \t")
        skipping = not colon or not known or (dirty and not _is_sound(known, value)) or len(names) >= _MOST_FIELDS
        if skipping:
            problem = problem or "Malformed Header Field"
            continue
        names.append(known)
        values.append(value)
    return problem


def _name(text: str) -> str:
    return name_as_read(text) if len(text) <= _LONGEST_NAME else ""


def _is_sound(name: str, value: str) -> bool:
    """Whether the value has control characters only where its field may have them."""
    return not has_control(value) or (name in _WITH_DISPLAY_NAME and _QUOTED_PAIRS.fullmatch(value) is not None)


def _drop_repeated(names: list[str], values: list[str]) -> str:
    """Keeps the first of each field that may stand only once; returns what is wrong, or ""."""
    problem = ""
    for at in range(len(names) - 1, -1, -1):
        name = names[at]
        if name in _SINGLE and name in names[:at]:
            del names[at], values[at]
            problem = f"Repeated {name}"
    return problem
