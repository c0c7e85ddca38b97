"""The HTTP/2 side of a double, on `h2`: deliberately not the library that the server's own engine is made with.

Source: RFC 9113. GOAWAY frames are written by hand (§6.8), because `h2` answers nothing any more after it sent one,
and a provider goes on answering the streams that it has accepted.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings

from ringback.testing.exchange import MAX_BODY, Application, Headers, Request

GOAWAY_FRAME = 0x7
TOO_MANY_STREAMS = b"Maximum active streams violated"
CLEAN_EVERY = 64


class _H2(H2Connection):
    """Counts streams, but leaves it to the double what happens to one too many."""

    def __init__(self, settings: Mapping[int, int]) -> None:
        super().__init__(H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False))
        first = {SettingCodes.MAX_CONCURRENT_STREAMS: 100, SettingCodes.MAX_HEADER_LIST_SIZE: 65_536}
        first |= {SettingCodes(number): value for number, value in settings.items()}
        self.local_settings = Settings(client=False, initial_values=first)
        self._until_clean = CLEAN_EVERY

    @property
    def open_inbound_streams(self) -> int:
        """Less than any limit: `h2` would end the connection without a word. Forgets closed streams now and then."""
        self._until_clean -= 1
        if self._until_clean == 0:
            self._until_clean = CLEAN_EVERY
            _ = super().open_inbound_streams
        return -1


class _Incoming:
    """A request that is still coming in."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.headers = headers
        self.body = bytearray()
        self.length = 0


class Http2Connection:
    """One connection of a client. Everything runs on the loop; nothing here waits."""

    alpn = "h2"

    def __init__(
        self, number: int, transport: asyncio.Transport, application: Application, certificate: bytes | None
    ) -> None:
        self.number = number
        self.certificate = certificate
        self.facts: dict[str, object] = {}
        self._transport = transport
        self._application = application
        self._incoming: dict[int, _Incoming] = {}
        self._unanswered: set[int] = set()
        self._bodies: dict[int, bytes] = {}
        self._newest = 0
        self._last_stream: int | None = None
        self._settled = False
        self._draining = False
        application.connected(self)
        self._h2 = _H2(application.settings_for(self))
        self._h2.initiate_connection()
        self._flush()

    @property
    def open_streams(self) -> int:
        """Requests that are still without an answer."""
        return len(self._unanswered)

    @property
    def stream_limit(self) -> int:
        """What the client has acknowledged."""
        return self._h2.local_settings.max_concurrent_streams

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        try:
            events = self._h2.receive_data(data)
        except (ProtocolError, UnicodeDecodeError):
            self._flush()  # with the GOAWAY that says why
            self.close()
            return
        for event in events:
            self._event(event)
        self._flush()

    def lost(self) -> None:
        """The client is gone."""
        self._unanswered.clear()
        self._incoming.clear()
        self._bodies.clear()

    def _event(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers) if stream and headers is not None:
                self._opened(stream, tuple((str(name), str(value)) for name, value in headers))
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self._data(stream or 0, data or b"", length or 0)
            case StreamEnded(stream_id=stream) if stream in self._incoming:
                self._requested(stream)
            case StreamReset(stream_id=stream):
                self._forget(stream or 0)
            case SettingsAcknowledged():
                self._settled = True
            case WindowUpdated() | RemoteSettingsChanged():
                for stream in list(self._bodies):
                    self._send_body(stream)
            case _:
                pass

    def _opened(self, stream: int, headers: tuple[tuple[str, str], ...]) -> None:
        if self._last_stream is not None and stream > self._last_stream:
            return  # after GOAWAY: never looked at
        if len(self._unanswered) >= self.stream_limit:
            if not self._settled:  # it could not know yet (RFC 9113 §5.1.2)
                self.reset(stream, ErrorCodes.REFUSED_STREAM)
                return
            self._application.stream_limit_exceeded(self)
            self.go_away(ErrorCodes.PROTOCOL_ERROR, TOO_MANY_STREAMS, self._newest)
            self.close()
            return
        self._newest = stream
        self._incoming[stream] = _Incoming(headers)
        self._unanswered.add(stream)

    def _data(self, stream: int, data: bytes, flow_controlled: int) -> None:
        incoming = self._incoming.get(stream)
        if incoming is not None:
            incoming.length += len(data)
            incoming.body += data[: MAX_BODY - len(incoming.body)]
        if flow_controlled:
            try:
                self._h2.acknowledge_received_data(flow_controlled, stream)
            except ProtocolError:
                return  # the stream is over

    def _requested(self, stream: int) -> None:
        incoming = self._incoming.pop(stream)
        if stream not in self._unanswered:
            return
        pseudo = {name: value for name, value in incoming.headers if name.startswith(":")}
        headers = tuple((name, value) for name, value in incoming.headers if not name.startswith(":"))
        method, path = pseudo.get(":method", ""), pseudo.get(":path", "")
        request = Request(self, stream, method, path, headers, bytes(incoming.body), incoming.length)
        self._application.requested(request)

    def _forget(self, stream: int) -> None:
        self._unanswered.discard(stream)
        self._incoming.pop(stream, None)
        self._bodies.pop(stream, None)
        if self._draining and not self._unanswered and not self._bodies:
            self.close()

    def reply(self, stream: int, status: int, headers: Headers, body: bytes) -> bool:
        """Answers. False: nobody is there to read it, or the stream was given up."""
        if stream not in self._unanswered or self._transport.is_closing():
            return False
        try:
            self._h2.send_headers(stream, [(":status", str(status)), *headers], end_stream=not body)
        except (ProtocolError, StreamClosedError):
            self._forget(stream)
            return False
        if body:
            self._bodies[stream] = body
            self._send_body(stream)
        self._unanswered.discard(stream)
        self._flush()
        if stream not in self._bodies:
            self._forget(stream)
        return True

    def _send_body(self, stream: int) -> None:
        body = self._bodies[stream]
        try:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            while body and room > 0:
                self._h2.send_data(stream, body[:room], end_stream=len(body) <= room)
                body = body[room:]
                room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
        except (ProtocolError, StreamClosedError):
            body = b""
        if body:
            self._bodies[stream] = body
        else:
            del self._bodies[stream]
            if stream not in self._unanswered:
                self._forget(stream)

    def reset(self, stream: int, code: int) -> None:
        """Ends one stream with RST_STREAM and this error code."""
        try:
            self._h2.reset_stream(stream, code)
        except ProtocolError:
            return
        self._flush()
        self._forget(stream)

    def go_away(self, code: int, debug: bytes, last_stream: int | None) -> None:
        """Sends GOAWAY; streams above `last_stream` (None: the newest one) are not looked at any more."""
        last = self._newest if last_stream is None else last_stream
        self._last_stream = last
        for stream in [stream for stream in self._unanswered if stream > last]:
            self._forget(stream)
        self._flush()
        payload = struct.pack(">II", last, code) + debug
        frame = struct.pack(">I", len(payload))[1:] + bytes([GOAWAY_FRAME, 0]) + bytes(4) + payload
        self._write(frame)

    def change_settings(self, settings: Mapping[int, int]) -> None:
        """Sends SETTINGS, by their numbers in RFC 9113 §6.5.2."""
        self._h2.update_settings({SettingCodes(number): value for number, value in settings.items()})
        self._flush()

    def close_when_drained(self) -> None:
        """Closes as soon as no request is without an answer."""
        self._draining = True
        if not self._unanswered and not self._bodies:
            self.close()

    def close(self) -> None:
        """Closes now; what was written still goes out."""
        self._transport.close()

    def abort(self) -> None:
        """Cuts the connection: the client sees a reset."""
        self._transport.abort()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)
