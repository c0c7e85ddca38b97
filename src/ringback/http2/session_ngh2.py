"""HTTP/2 by libnghttp2: what production uses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import ngh2

from ringback.http2.session import (
    CANCEL,
    LOCAL_WINDOW,
    MOST_ACKNOWLEDGEMENTS,
    MOST_HEADER_BYTES,
    Field,
    Listener,
    SessionBroken,
)

_CONFIGURATION = ngh2.Configuration(
    max_outbound_ack=MOST_ACKNOWLEDGEMENTS,
    max_inbound_header_list_size=MOST_HEADER_BYTES,
    max_inbound_header_count=200,
    peer_max_concurrent_streams=2**31 - 1,  # the connection counts
)

# The class itself would unpack and pack the pair again, which is felt at a hundred thousand requests a second.
_NEVER_INDEXED = functools.partial(tuple.__new__, ngh2.NeverIndexedHeader)


class Ngh2Session:
    """A session on an `ngh2.Connection`. It sends nothing by itself; answers and windows wait for `outgoing`."""

    def __init__(self, listener: Listener) -> None:
        self.last_stream = 0
        self.literal = frozenset({b":path", b"authorization"})
        self.never_indexed: Callable[[Field], Field] = _NEVER_INDEXED
        self._listener = listener
        self._connection = ngh2.Connection(ngh2.Role.CLIENT, _CONFIGURATION)
        self._most_streams: int | None = None
        self._complete: set[int] = set()

    def open(self) -> None:
        """Makes the preface and our settings."""
        self._connection.initiate_connection({ngh2.Setting.ENABLE_PUSH: 0})
        self._connection.set_local_window_size(LOCAL_WINDOW)

    def request(self, fields: list[Field], body: bytes) -> int:
        """Opens a stream. Raises SessionBroken."""
        connection = self._connection
        try:
            if body:
                stream = connection.send_request(fields)
                connection.send_data(stream, body, end_stream=True)
            else:
                stream = connection.send_request(fields, end_stream=True)
        except ngh2.NGH2Error as error:
            raise SessionBroken("no stream can be opened") from error
        self.last_stream = stream
        return stream

    def reset(self, stream: int) -> None:
        """Gives a stream up."""
        try:
            self._connection.reset_stream(stream, CANCEL)
        except ngh2.NGH2Error:
            return  # it had ended, or everything has

    def ping(self) -> None:
        """Asks whether the other side is there."""
        try:
            self._connection.ping(b"ringback")
        except ngh2.NGH2Error:
            return  # everything has ended

    def goodbye(self) -> None:
        """Says that we go away."""
        try:
            self._connection.terminate_connection(0)
        except ngh2.NGH2Error:
            return  # it was said

    def receive(self, data: bytes | memoryview) -> None:
        """Takes what came and tells the listener. Raises SessionBroken."""
        broken: Exception | None = None
        try:
            self._connection.receive_data(data)
        except ngh2.NGH2Error as error:
            broken = error
        self._tell()  # what came before the error counts
        if broken is not None:
            raise SessionBroken(str(broken)) from broken

    def outgoing(self) -> bytes:
        """What has to be written now."""
        try:
            data = self._connection.data_to_send()
        except ngh2.NGH2Error:
            return b""
        self._tell()
        return data

    def ended(self) -> bool:
        """Whether nothing more can come: the library wants no more bytes after an error and after the last GOAWAY."""
        return not self._connection.want_read

    def _tell(self) -> None:
        listener, complete = self._listener, self._complete
        event: Any  # told apart by its exact class, twice as fast as by isinstance
        for event in self._connection.events():
            kind = type(event)
            if kind is ngh2.ResponseReceived:
                stream = event.stream_id
                if event.end_stream:
                    complete.add(stream)
                    listener.on_end(stream, event.headers)
                else:
                    listener.on_head(stream, event.headers)
            elif kind is ngh2.StreamClosed:
                stream = event.stream_id
                if stream in complete:
                    complete.remove(stream)
                else:
                    listener.on_reset(stream, event.error_code)
            elif kind is ngh2.DataReceived:
                stream = event.stream_id
                listener.on_body(stream, event.data)
                if event.end_stream:
                    complete.add(stream)
                    listener.on_end(stream)
            else:
                self._tell_the_rare(event)
        if complete:
            for stream in complete:  # answered before the whole request was out: nobody reads it (RFC 9113 §8.1)
                self.reset(stream)
            complete.clear()

    def _tell_the_rare(self, event: ngh2.Event) -> None:
        if isinstance(event, ngh2.SettingsReceived):
            self._most_streams = event.settings.get(ngh2.Setting.MAX_CONCURRENT_STREAMS, self._most_streams)
            self._listener.on_settings(self._most_streams)
        elif isinstance(event, ngh2.GoAwayReceived):
            self._listener.on_goaway(event.last_stream_id, event.error_code, event.debug_data)
        elif isinstance(event, ngh2.TrailersReceived):
            self._listener.on_head(event.stream_id, event.headers)
            self._complete.add(event.stream_id)
            self._listener.on_end(event.stream_id)
