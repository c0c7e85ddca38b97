"""The narrow waist: HTTP/2 itself, bytes in and bytes out, the same for each library that implements it (RFC 9113)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]

REFUSED_STREAM = 0x7
CANCEL = 0x8
LOCAL_WINDOW = 1 << 20
"""What the other side may send on a connection before we have read it; each stream has the default of 64 kB."""
MOST_HEADER_BYTES = 65_536
MOST_ACKNOWLEDGEMENTS = 1_000
"""PINGs and SETTINGS that wait for our acknowledgement while the other side does not read."""


class SessionBroken(Exception):
    """The other side broke the protocol, or the connection has ended. What `outgoing` still has says goodbye."""


class Listener(Protocol):
    """Who is told what came. Called from within `Session.receive` and `Session.outgoing`; must not call them."""

    def on_settings(self, most_streams: int | None) -> None:
        """Settings came; so many streams may be open at once, None = the other side has never said."""
        ...

    def on_head(self, stream: int, fields: Sequence[Field]) -> None:
        """The head of an answer, with `:status`; or its trailers, without."""
        ...

    def on_body(self, stream: int, data: bytes) -> None:
        """A part of a body."""
        ...

    def on_end(self, stream: int, head: Sequence[Field] = ()) -> None:
        """The answer is complete; its place is free when everything that came is told.

        `head`: when it was all, instead of `on_head`.
        """
        ...

    def on_reset(self, stream: int, code: int) -> None:
        """The stream ended without a complete answer, and its place is free."""
        ...

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:
        """The other side takes no new streams, and has not looked at those above `last_stream`."""
        ...


class Session(Protocol):
    """The client's side of one connection. It does not count streams: whoever calls `request` keeps the limit."""

    last_stream: int
    """The highest stream made so far."""
    literal: frozenset[bytes]
    """Names of fields that HPACK sends as literals and puts into no table, whether they are marked or not."""

    def never_indexed(self, field: Field) -> Field:
        """The field as one that HPACK sends as a literal and puts into no table."""
        ...

    def open(self) -> None:
        """Makes the preface and our settings."""
        ...

    def request(self, fields: list[Field], body: bytes) -> int:
        """Opens a stream and returns its number. The body goes out as the windows allow. Raises SessionBroken."""
        ...

    def reset(self, stream: int) -> None:
        """Gives a stream up; nothing more is told about it."""
        ...

    def ping(self) -> None:
        """Asks whether the other side is there."""
        ...

    def goodbye(self) -> None:
        """Says that we go away."""
        ...

    def receive(self, data: bytes | memoryview) -> None:
        """Takes what came and tells the listener. Raises SessionBroken."""
        ...

    def outgoing(self) -> bytes:
        """What has to be written now; tells the listener what ends by that."""
        ...

    def ended(self) -> bool:
        """Whether nothing more can come or go."""
        ...
