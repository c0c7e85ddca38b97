"""HTTP/2 by the pure Python library h2: for where libnghttp2 is not to be had, and to check it against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hpack

from ringback.http2.session import (
    CANCEL,
    LOCAL_WINDOW,
    MOST_ACKNOWLEDGEMENTS,
    MOST_HEADER_BYTES,
    Field,
    Listener,
    SessionBroken,
)

_DEFAULT_WINDOW = 65_535
_FRAME_HEAD = 9
_LARGEST_FRAME = 16_384
_DATA, _HEADERS, _GOAWAY, _CONTINUATION = 0x0, 0x1, 0x7, 0x9
_END_STREAM, _END_HEADERS = 0x1, 0x4
_MOST_EMPTY = 8
"""CONTINUATION frames, or DATA frames without data, in a row."""
_STREAM_BITS = 0x7FFFFFFF
_MAX_CONCURRENT_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class H2Session:
    """A session on an `h2.connection.H2Connection`.

    h2 takes a GOAWAY for the end of everything, while answers may still come (RFC 9113 §6.8): so frames are told apart
    here, and that one is kept from it.
    """

    def __init__(self, listener: Listener) -> None:
        self.last_stream = 0
        self.literal: frozenset[bytes] = frozenset()
        self._listener = listener
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,  # `fields` has done it
                normalize_outbound_headers=False,
            )
        )
        self._bodies: dict[int, memoryview] = {}
        self._incoming = bytearray()
        self._to_acknowledge = 0
        self._empty = 0
        self._in_header_block = False
        self._ended = False

    def never_indexed(self, field: Field) -> Field:
        """The field as one that HPACK puts into no table."""
        return hpack.NeverIndexedHeaderTuple(*field)

    def open(self) -> None:
        """Makes the preface and our settings."""
        connection = self._connection
        codes = h2.settings.SettingCodes
        ours = {codes.ENABLE_PUSH: 0, codes.MAX_HEADER_LIST_SIZE: MOST_HEADER_BYTES}
        connection.local_settings = h2.settings.Settings(client=True, initial_values=ours)
        connection.initiate_connection()
        connection.increment_flow_control_window(LOCAL_WINDOW - _DEFAULT_WINDOW)

    def request(self, fields: list[Field], body: bytes) -> int:
        """Opens a stream. Raises SessionBroken."""
        try:
            stream = self._connection.get_next_available_stream_id()
            self._connection.send_headers(stream, fields, end_stream=not body)
        except h2.exceptions.ProtocolError as error:
            raise SessionBroken("no stream can be opened") from error
        self.last_stream = stream
        if body:
            self._bodies[stream] = memoryview(body)
            self._send_body(stream)
        return stream

    def reset(self, stream: int) -> None:
        """Gives a stream up."""
        self._bodies.pop(stream, None)
        try:
            self._connection.reset_stream(stream, CANCEL)
        except h2.exceptions.ProtocolError:
            return  # it had ended, or everything has

    def ping(self) -> None:
        """Asks whether the other side is there."""
        if not self._ended:
            self._connection.ping(b"ringback")

    def goodbye(self) -> None:
        """Says that we go away."""
        if not self._ended:
            self._ended = True
            self._connection.close_connection()

    def receive(self, data: bytes | memoryview) -> None:
        """Takes what came and tells the listener. Raises SessionBroken."""
        self._incoming += data
        while (frame := self._next_frame()) is not None:
            if self._ended:
                raise SessionBroken("the connection has ended")
            self._look_at(frame)
            if frame[3] == _GOAWAY and len(frame) >= _FRAME_HEAD + 8:
                if self._in_header_block or int.from_bytes(frame[5:9], "big") & _STREAM_BITS:
                    self._give_up("a GOAWAY out of place")
                last, code = int.from_bytes(frame[9:13], "big") & _STREAM_BITS, int.from_bytes(frame[13:17], "big")
                self._listener.on_goaway(last, code, frame[17:])
                continue
            try:
                events = self._connection.receive_data(frame)
            except h2.exceptions.ProtocolError as error:
                self._ended = True
                raise SessionBroken(str(error) or type(error).__name__) from error
            for event in events:
                self._tell(event)
        if self._to_acknowledge > MOST_ACKNOWLEDGEMENTS:
            raise SessionBroken("the other side asks and does not read")

    def outgoing(self) -> bytes:
        """What has to be written now."""
        self._to_acknowledge = 0
        return self._connection.data_to_send()

    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self._ended

    def _next_frame(self) -> bytes | None:
        """A whole frame, when one is there. h2 would wait for the whole of one that is larger than allowed."""
        if len(self._incoming) < _FRAME_HEAD:
            return None
        length = _FRAME_HEAD + int.from_bytes(self._incoming[:3], "big")
        if length > _FRAME_HEAD + _LARGEST_FRAME:
            raise SessionBroken("a frame is too large")
        if len(self._incoming) < length:
            return None
        frame = bytes(self._incoming[:length])
        del self._incoming[:length]
        return frame

    def _look_at(self, frame: bytes) -> None:
        """Frames that cost something and say nothing, and where a header block is. Raises SessionBroken."""
        kind, flags = frame[3], frame[4]
        if kind in {_HEADERS, _CONTINUATION}:
            self._in_header_block = not flags & _END_HEADERS
        says_nothing = kind == _DATA and len(frame) == _FRAME_HEAD and not flags & _END_STREAM
        self._empty = self._empty + 1 if kind == _CONTINUATION or says_nothing else 0
        if self._empty > _MOST_EMPTY:
            self._give_up("too many CONTINUATION or empty DATA frames")

    def _give_up(self, why: str) -> NoReturn:
        self._ended = True
        raise SessionBroken(why)

    def _tell(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            fields: Any = event.headers or ()
            self._listener.on_head(_stream(event), fields)
        elif isinstance(event, h2.events.DataReceived):
            stream = _stream(event)
            self._listener.on_body(stream, event.data or b"")
            self._acknowledge(event.flow_controlled_length or 0, stream)
        elif isinstance(event, h2.events.StreamEnded):
            stream = _stream(event)
            if stream in self._bodies:  # answered before the whole request was out (RFC 9113 §8.1)
                self.reset(stream)
            self._listener.on_end(stream)
        elif isinstance(event, h2.events.StreamReset):
            stream = _stream(event)
            self._bodies.pop(stream, None)
            self._listener.on_reset(stream, int(event.error_code or 0))
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self._to_acknowledge += 1
            settings = self._connection.remote_settings
            given = _MAX_CONCURRENT_STREAMS in settings
            self._listener.on_settings(settings.max_concurrent_streams if given else None)
            self._send_bodies(list(self._bodies))
        elif isinstance(event, h2.events.WindowUpdated):
            stream = _stream(event)
            self._send_bodies([stream] if stream else list(self._bodies))
        elif isinstance(event, h2.events.PingReceived):
            self._to_acknowledge += 1

    def _acknowledge(self, length: int, stream: int) -> None:
        try:
            self._connection.acknowledge_received_data(length, stream)
        except h2.exceptions.ProtocolError:
            return  # the stream has ended in the meantime; h2 has widened the connection's window all the same

    def _send_bodies(self, streams: Iterable[int]) -> None:
        for stream in streams:
            if stream in self._bodies:
                self._send_body(stream)

    def _send_body(self, stream: int) -> None:
        """As much of a request's body as the windows allow."""
        rest, connection = self._bodies[stream], self._connection
        try:
            while (room := min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)) > 0:
                part, rest = rest[:room], rest[room:]
                connection.send_data(stream, part.tobytes(), end_stream=not rest)
                if not rest:
                    del self._bodies[stream]
                    return
        except h2.exceptions.ProtocolError:
            del self._bodies[stream]  # the stream has ended; its end is told as an event of its own
            return
        self._bodies[stream] = rest


def _stream(event: Any) -> int:
    return int(event.stream_id or 0)
