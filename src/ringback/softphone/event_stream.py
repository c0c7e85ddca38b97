"""Server-Sent Events as a reader sees them (WHATWG HTML, "Server-sent events", parsing an event stream). No I/O."""

from __future__ import annotations

import msgspec

MAX_LINE_BYTES = 256 * 1024


class ServerEvent(msgspec.Struct, frozen=True):
    """One event. `event_id` is the last id seen, which a reader sends as Last-Event-ID when it comes back."""

    event_id: str
    kind: str
    data: str


class EventStreamTooLong(Exception):
    """A line of the event stream is longer than 256 KiB."""


class EventStreamReader:
    """Bytes in, whole events out; an event that the end of a connection cuts off is dropped, as the standard says."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._rest = b""
        self._data: list[str] = []
        self._kind = ""
        self._id = last_event_id

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this chunk completes. Raises EventStreamTooLong."""
        text = (self._rest + chunk).replace(b"\r\n", b"\n")
        # A carriage return at the very end may be half of CR LF: it waits for the next chunk.
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text.removesuffix(held).replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        if len(self._rest) > MAX_LINE_BYTES:
            raise EventStreamTooLong
        events = []
        for line in lines:
            event = self._line(line.decode("utf-8", "replace"))
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)
        return None  # a line that starts with a colon is a comment: the server's keep-alive

    def _dispatch(self) -> ServerEvent | None:
        self.last_event_id = self._id
        data, kind = self._data, self._kind
        self._data, self._kind = [], ""
        if not data:
            return None
        return ServerEvent(self.last_event_id, kind or "message", "\n".join(data))
