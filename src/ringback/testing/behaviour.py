"""How a double misbehaves: what is to happen to a request that would have been accepted, and when."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
"""Numbers of SETTINGS (RFC 9113 §6.5.2)."""
REFUSED_STREAM = 7
"""The error code that says that a stream was not looked at (RFC 9113 §7)."""


class GoAway(msgspec.Struct, frozen=True, kw_only=True):
    """A GOAWAY frame. `last`: which stream is the last one that was, or will be, processed.

    `this` = the one of the scripted request, `before` = the one before it, `newest` = every one that came in.
    `close`: `drained` = after the last answer, `at once` = without any further answer, `never` = the socket stays open.
    """

    debug: bytes = b""
    code: int = 0
    last: Literal["this", "before", "newest"] = "newest"
    close: Literal["drained", "at once", "never"] = "drained"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one request. Parts are done in this order; without any, the request is accepted.

    `settings` are sent (by number), then `after_seconds` pass, then one of: `silent` (never an answer), `drop` (the
    connection is cut), `reset` (RST_STREAM with this code), or the answer; then `goaway`. A `goaway` that closes
    `at once` or has this stream behind its last one comes instead of the answer.
    """

    status: int = 0
    """HTTP status; 0 = that of an accepted request, or the usual one of `reason`."""
    reason: str = ""
    """The reason of APNs, the error code of FCM."""
    retry_after: str = ""
    timestamp_ms: int | None = None
    """APNs: since when a push token is dead, with status 410."""
    after_seconds: float = 0
    settings: dict[int, int] = {}
    silent: bool = False
    drop: bool = False
    reset: int | None = None
    goaway: GoAway | None = None
    body: bytes | None = None
    """Verbatim instead of what the provider would write: a page of some proxy, or half of a JSON document."""

    @property
    def summary(self) -> str:
        """A few words, for lists of what is possible."""
        parts = [f"{self.status or ''} {self.reason}".strip()]
        parts.append(f"retry-after {self.retry_after}" if self.retry_after else "")
        parts.append(f"after {self.after_seconds:g} s" if self.after_seconds else "")
        parts.append(f"SETTINGS {self.settings}" if self.settings else "")
        parts.append("no answer" if self.silent else "")
        parts.append("connection cut" if self.drop else "")
        parts.append(f"RST_STREAM {self.reset}" if self.reset is not None else "")
        if self.goaway is not None:
            parts.append(f"GOAWAY {self.goaway.debug.decode()}".rstrip() + f" (last: {self.goaway.last})")
        return ", ".join(filter(None, parts)) or "accepted"


ACCEPT = Behaviour()


def reject(reason: str, *, status: int = 0, retry_after: str = "", timestamp_ms: int | None = None) -> Behaviour:
    """The answer of the provider with this reason; the status is the usual one of the reason."""
    return Behaviour(status=status, reason=reason, retry_after=retry_after, timestamp_ms=timestamp_ms)


def silence() -> Behaviour:
    """No answer, ever."""
    return Behaviour(silent=True)


def slow(seconds: float) -> Behaviour:
    """Accepted after this time."""
    return Behaviour(after_seconds=seconds)


def drop() -> Behaviour:
    """The connection is cut without an answer, with everything that is under way on it."""
    return Behaviour(drop=True)


def reset(code: int = REFUSED_STREAM) -> Behaviour:
    """RST_STREAM with this error code."""
    return Behaviour(reset=code)


def go_away(
    debug: bytes = b"",
    *,
    code: int = 0,
    last: Literal["this", "before", "newest"] = "newest",
    close: Literal["drained", "at once", "never"] = "drained",
) -> Behaviour:
    """GOAWAY; see `GoAway` for what happens to this request and the others on the connection."""
    return Behaviour(goaway=GoAway(debug=debug, code=code, last=last, close=close))


def stream_limit(streams: int) -> Behaviour:
    """Accepted, after the number of streams at a time was changed by SETTINGS."""
    return Behaviour(settings={MAX_CONCURRENT_STREAMS: streams})


class Script:
    """Which behaviour is next: for one push token, for one request by its place, by a prefix, for everything."""

    def __init__(self, prefixes: Mapping[str, Behaviour]) -> None:
        self._prefixes = dict(prefixes)
        self._of_token: defaultdict[str, deque[Behaviour]] = defaultdict(deque)
        self._next: deque[Behaviour] = deque()
        self._at: dict[int, Behaviour] = {}
        self._seen = 0
        self.otherwise = ACCEPT
        """What happens where nothing else is written."""

    def of_token(self, token: str, behaviours: Iterable[Behaviour]) -> None:
        """Appends: one behaviour for each of the next requests with this push token."""
        self._of_token[token].extend(behaviours)

    def next(self, behaviours: Iterable[Behaviour]) -> None:
        """Appends: one behaviour for each of the next requests, whatever their push token."""
        self._next.extend(behaviours)

    def at(self, place: int, behaviour: Behaviour) -> None:
        """For the request at this place from now on; 1 = the next one."""
        self._at[self._seen + place] = behaviour

    def clear(self) -> None:
        """Forgets everything but the prefixes."""
        self._of_token.clear()
        self._next.clear()
        self._at.clear()
        self.otherwise = ACCEPT

    def take(self, token: str) -> Behaviour:
        """The behaviour for a request that is there now."""
        self._seen += 1
        placed = self._at.pop(self._seen, None)
        if placed is not None:
            return placed
        waiting = self._of_token.get(token)
        if waiting:
            return waiting.popleft()
        if self._next:
            return self._next.popleft()
        for prefix, behaviour in self._prefixes.items():
            if token.startswith(prefix):
                return behaviour
        return self.otherwise
