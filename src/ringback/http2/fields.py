"""The header fields of a request: checked, and marked with what HPACK may remember of them.

Sources: RFC 9113 §8.2 (which names and values are allowed), §8.3.1 (pseudo-header fields), RFC 7541 §6.2 (literals).
"""

from __future__ import annotations

import re

from ringback.http2.model import Indexing, Request
from ringback.http2.session import Field, Session

PATH = b":path"
_CONTROLS = {*range(0x09), *range(0x0A, 0x20), 0x7F}
# Tables for `translate`: they leave as it is what may be sent, and nothing else. Much faster than any other check.
_VALUE = bytes((octet + 1) % 256 if octet in _CONTROLS else octet for octet in range(256))
_IN_PATH = bytes((octet + 1) % 256 if octet in _CONTROLS | {0x09, 0x20} else octet for octet in range(256))
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]{1,100}")
_OF_A_CONNECTION = frozenset(
    {b"connection", b"host", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
_MOST_REMEMBERED = 200
_SHORT = 16
_SCHEME = (b":scheme", b"https")


class Fields:
    """Makes the field lists of one connection, in the order in which its requests go out.

    `authority` as in `:authority`. Literals that we mark are "never indexed" ones: to both tables they are what Apple
    calls "without indexing", and whoever stands between us and the provider must keep it so.
    """

    def __init__(self, authority: bytes, indexing: Indexing, session: Session) -> None:
        self._authority = (b":authority", authority)
        self._never_indexed = session.never_indexed
        never = indexing.never - session.literal
        self._path_is_marked = PATH in never
        self._marked = never - {PATH}
        self._once = indexing.once
        self._sent_once: set[bytes] = set()
        self._ready: dict[Field, Field] = {}
        self._shared: dict[tuple[Field, ...], list[Field]] = {}
        self._last_shared: tuple[tuple[Field, ...], list[Field]] = ((), [])

    def of(self, request: Request) -> list[Field]:
        """The fields of a request. Raises ValueError for what must not be in one."""
        path, ready = request.path, self._ready
        given, shared = self._last_shared
        if request.shared is not given:
            shared = self._find_shared(request.shared)
        if path[:1] != b"/" or path.translate(_IN_PATH) != path:
            raise ValueError("This path cannot be sent.")
        location = (PATH, path)
        made: list[Field] = [
            (b":method", request.method),
            _SCHEME,
            self._authority,
            self._never_indexed(location) if self._path_is_marked else location,
            *shared,
        ]
        for field in request.headers:
            name, value = field
            if name in self._sent_once and len(value) > _SHORT:  # an id, which does not come again
                if value.translate(_VALUE) != value:
                    raise _cannot_be_sent(name)
                made.append(self._never_indexed(field))
            else:
                made.append(ready.get(field) or self._prepare(field))
        return made

    def _find_shared(self, fields: tuple[Field, ...]) -> list[Field]:
        """The same for those that many requests have alike; all of them at once are found again at once."""
        made = self._shared.get(fields)
        if made is None:
            made = [self._prepare(field) for field in fields]
            if any(name in self._once for name, _ in fields):  # the second time, those are sent in another way
                return made
            if len(self._shared) >= _MOST_REMEMBERED:
                self._shared.clear()
            self._shared[fields] = made
        self._last_shared = (fields, made)
        return made

    def _prepare(self, field: Field) -> Field:
        """Checks a field that was not seen lately, and remembers how it is sent."""
        name, value = field
        if value.translate(_VALUE) != value:
            raise _cannot_be_sent(name)
        if len(self._ready) >= _MOST_REMEMBERED:
            self._ready.clear()
        if name in self._marked or name in self._sent_once:
            made = self._ready[field] = self._never_indexed(field)
            return made
        if not _NAME.fullmatch(name) or name in _OF_A_CONNECTION:
            raise ValueError(f"The field {name!r} cannot be sent.")
        if name in self._once:
            self._sent_once.add(name)
        else:
            self._ready[field] = field
        return field


def _cannot_be_sent(name: bytes) -> ValueError:
    return ValueError(f"The value of {name!r} cannot be sent.")
