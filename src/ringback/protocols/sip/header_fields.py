"""The header of a message: names and values, in order, every value as it was written. Source: RFC 3261 §7.3, §20.

What a peer wrote is sent back byte for byte; what we write ourselves cannot start a new line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from ringback.protocols.sip.headers import is_word_of_a_header, split_elements

# RFC 3261 §7.3.3, RFC 3265 §8.4, RFC 3515, RFC 3892, RFC 4028, RFC 8224 and those that this project speaks of.
_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition",
    "e": "Content-Encoding", "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported",
    "l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To",
    "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
_USUAL: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info", "Authorization",
    "Call-Info", "Content-Disposition", "Content-Language", "CSeq", "Date", "Error-Info", "Expires",
    "Feature-Caps", "Flow-Timer", "History-Info", "In-Reply-To", "Max-Forwards", "MIME-Version", "Min-Expires",
    "Min-SE", "Organization", "P-App-Param", "P-Asserted-Identity", "P-Preferred-Identity", "Path", "Priority",
    "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route",
    "Remote-Party-ID",
    "Replaces", "Reply-To", "Require", "Retry-After", "Route", "RSeq", "Server", "Service-Route", "SIP-ETag",
    "SIP-If-Match", "Subscription-State", "Timestamp", "Unsupported", "User-Agent", "Warning", "WWW-Authenticate",
    *_COMPACT.values(),
)  # fmt: skip
NAMES: Final[dict[str, str]] = {
    **{name.lower(): name for name in _USUAL},
    **{name: name for name in _USUAL},
    **_COMPACT,
    **{short.upper(): name for short, name in _COMPACT.items()},
}
"""Spellings of the known names -> the one that is written; others are looked up in lower case."""

NEVER_IN_A_VALUE: Final = bytes((*range(9), *range(10, 32), 127))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FOLD: Final = re.compile(r"\r\n[ \t]++")


class Headers:
    """The fields of one header, in order. Looked up by any spelling of a name; read on one line, kept as written."""

    __slots__ = ("_names", "_values")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        """`fields` as `add` takes them."""
        self._names: list[str] = []
        self._values: list[str] = []
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def as_read(cls, names: list[str], values: list[str]) -> Headers:
        """From a parser that has checked both: names are canonical, values have no control character but folding.

        A display name in quotes may have others too, as quoted pairs (§25.1): they go back as they came.
        """
        made = cls.__new__(cls)
        made._names, made._values = names, values  # noqa: SLF001 - it is one of us
        return made

    def get(self, name: str) -> str | None:
        """The value of the first field of this name, folding undone; None when there is none."""
        try:
            value = self._values[self._names.index(name)]
        except ValueError:
            if NAMES.get(name) == name:
                return None
            at = self._places(name)
            if not at:
                return None
            value = self._values[at[0]]
        return unfolded(value) if "\n" in value else value

    def lines(self, name: str) -> list[str]:
        """The values of all fields of this name, folding undone."""
        return [unfolded(self._values[at]) for at in self._places(name)]

    def elements(self, name: str) -> list[str]:
        """The elements of a list that may be spread over several fields and commas."""
        return [element for value in self.lines(name) for element in split_elements(value)]

    def add(self, name: str, value: str) -> None:
        """Adds a field at the end. Raises ValueError when the name is none or the value would start a new line."""
        name, value = written_name(name), checked(value)
        self._names.append(name)
        self._values.append(value)

    def put(self, name: str, value: str) -> None:
        """Replaces all fields of this name by one, at the place of the first. Raises as `add`."""
        value, at = checked(value), self._places(name)
        if not at:
            self.add(name, value)
            return
        self._values[at[0]] = value
        for place in reversed(at[1:]):
            del self._names[place], self._values[place]

    def put_first(self, name: str, value: str) -> None:
        """Replaces the first field of this name, which there must be, and leaves the others. Raises as `add`."""
        self._values[self._places(name)[0]] = checked(value)

    def append_to(self, name: str, text: str) -> None:
        """Lengthens the first field of this name, which there must be, by a text. Raises as `add`."""
        self._values[self._places(name)[0]] += checked(text)

    def prepend(self, name: str, value: str) -> None:
        """Adds a field before all others, as a proxy or client adds its Via. Raises as `add`."""
        value, name = checked(value), written_name(name)
        self._names.insert(0, name)
        self._values.insert(0, value)

    def drop(self, name: str) -> None:
        """Removes all fields of this name."""
        for place in reversed(self._places(name)):
            del self._names[place], self._values[place]

    def copy_from(self, other: Headers, name: str) -> None:
        """Adds all fields of this name that the other has, byte for byte."""
        for at in other._places(name):
            self._names.append(other._names[at])
            self._values.append(other._values[at])

    def picked(self, names: AbstractSet[str]) -> Headers:
        """The fields of these names (as we write them), byte for byte and in their order."""
        taken = [field for field in zip(self._names, self._values, strict=True) if field[0] in names]
        return Headers.as_read([name for name, _ in taken], [value for _, value in taken])

    def copy(self) -> Headers:
        """The same fields, to be changed."""
        return Headers.as_read(self._names.copy(), self._values.copy())

    def encode(self) -> str:
        """The lines, each with its line end, as they go out; Content-Length is left to the message."""
        return "".join(
            [f"{name}: {value}\r\n" for name, value in zip(self._names, self._values, strict=True) if name != _LENGTH]
        )

    def __contains__(self, name: str) -> bool:
        return name in self._names or (NAMES.get(name) != name and bool(self._places(name)))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names and values, folding undone."""
        return iter([(n, unfolded(v)) for n, v in zip(self._names, self._values, strict=True)])

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def _places(self, name: str) -> list[int]:
        known = NAMES.get(name) or NAMES.get(name.lower())
        if known is not None:
            count = self._names.count(known)
            if count <= 1:
                return [self._names.index(known)] if count else []
            return [at for at, one in enumerate(self._names) if one == known]
        name = name.lower()
        return [at for at, one in enumerate(self._names) if one.lower() == name]


_LENGTH: Final = "Content-Length"


def unfolded(value: str) -> str:
    """The value on one line: every line break with the white space after it is one space (§7.3.1)."""
    return _FOLD.sub(" ", value).strip(" ") if "\n" in value else value


@lru_cache(maxsize=512)
def name_as_read(name: str) -> str:
    """The name as we write it, white space after it forgiven; "" when it is none."""
    try:
        return written_name(name.rstrip(" \t"))
    except ValueError:
        return ""


def written_name(name: str) -> str:
    """The name as we write it. Raises ValueError when it is none."""
    known = NAMES.get(name) or NAMES.get(name.lower())
    if known is not None:
        return known
    if not is_word_of_a_header(name):
        raise ValueError("This is no name of a header field.")
    return name


def checked(text: str) -> str:
    """The text, when it cannot end a line. Raises ValueError."""
    if not text.isprintable() and has_control(text):
        raise ValueError("A header field cannot contain control characters.")
    return text


def has_control(text: str) -> bool:
    """Whether there is a control character in it, folding included; a tab is none."""
    return _CONTROL.search(text) is not None
