"""Messages in a stream: Content-Length says where each ends.

Source: RFC 3261 §7.5, §18.3; RFC 5626 §3.5.1 (keep-alives).
"""

from __future__ import annotations

import re
from typing import Final

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_reading import end_of_header

KEEPALIVE: Final = b"\r\n\r\n"
"""A ping that a client sent: the server answers `PONG`. No message equals it."""
PONG: Final = b"\r\n"

_LENGTH: Final = re.compile(rb"\n(?:content-length|l)[ \t]*+:(?:[ \t]|\r?\n[ \t])*+([0-9]*+)", re.IGNORECASE)
_LINE_ENDS: Final = b"\r\n"


def is_keepalive(datagram: bytes) -> bool:
    """Whether a datagram only keeps a NAT binding open: line ends, blanks, NUL, or nothing. Nothing answers it."""
    return not datagram.strip(b"\r\n \t\0")


class StreamFramer:
    """Cuts one stream into messages. Once it is `broken`, nobody knows where the next one begins: close the stream."""

    __slots__ = ("_begin", "_buffer", "_end", "_limit", "_pings", "_scanned", "broken")

    def __init__(self, max_message_bytes: int) -> None:
        """max_message_bytes: the largest message, header and body."""
        self._limit = max_message_bytes
        self._buffer = bytearray()
        self._scanned = 0  # up to here there is no blank line
        self._begin = 0  # where the body begins, 0 while the header is incomplete
        self._end = 0  # where the message ends
        self._pings = 0  # bytes of line ends since the last message
        self.broken: SipMalformed | None = None
        """Why there are no further messages: one had no Content-Length, or two, or was too large."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, and `KEEPALIVE` (the object itself) for each ping, in order.

        Of a broken stream: those that came before; look at `broken` after each call.
        """
        found: list[bytes] = []
        if self.broken is not None:
            return found
        self._buffer += data
        try:
            while self._buffer:
                if self._begin == 0 and not self._header(found):
                    break
                if len(self._buffer) < self._end:
                    break
                found.append(bytes(self._buffer[: self._end]))
                self._cut(self._end)
                self._begin = self._end = 0
        except SipMalformed as malformed:
            self.broken = malformed
        return found

    @property
    def is_idle(self) -> bool:
        """Nothing of a message has come yet."""
        return not self._buffer

    def _header(self, found: list[bytes]) -> bool:
        """Looks for the end of the header; False when more has to come. Raises SipMalformed when there is no way on."""
        buffer = self._buffer
        if buffer[0] in _LINE_ENDS and self._scanned == 0:
            blank = len(buffer) - len(buffer.lstrip(_LINE_ENDS))
            self._count(bytes(buffer[:blank]), found)
            self._cut(blank)
            if not buffer:
                return False
        end, begin = end_of_header(buffer, max(0, self._scanned - 3))
        if end < 0:
            if len(buffer) > self._limit:
                raise SipMalformed("Message Too Large", status=513)
            self._scanned = len(buffer)
            return False
        lengths = _LENGTH.findall(buffer, 0, end)
        if len(lengths) != 1 or not 0 < len(lengths[0]) <= 10:
            raise SipMalformed("Missing Content-Length" if not lengths else "Malformed Content-Length")
        self._begin, self._end = begin, begin + int(lengths[0])
        if self._end > self._limit:
            raise SipMalformed("Message Too Large", status=513)
        self._pings = 0
        return True

    def _count(self, line_ends: bytes, found: list[bytes]) -> None:
        """Every two line ends are a ping, also when they come in pieces."""
        before = self._pings // 4
        self._pings += len(line_ends)
        found += [KEEPALIVE] * (self._pings // 4 - before)

    def _cut(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = 0
