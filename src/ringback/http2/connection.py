"""One HTTP/2 connection: streams in, answers out, and how it notices that it is no longer one.

Writes are gathered and leave once per turn of the loop. Whoever asks for a place gets none while the other side does
not read, while it goes away, or beyond the number of streams that it allows at this moment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import cast

from ringback.http2.exchange import Exchange, Tally
from ringback.http2.fields import Fields
from ringback.http2.model import MOST_BODY, Answer, Indexing, OutcomeUnknown, PoolLimits
from ringback.http2.needs import Owner
from ringback.http2.session import REFUSED_STREAM, Field, Listener, Session, SessionBroken

_LAST_STREAM = 2**31 - 1
_FINAL_STATUSES = {b"%d" % status: status for status in range(200, 1000)}
_WRITE_BUFFER = 262_144
_READ_BUFFER = 294_912
"""More than is read of TLS at once (256 kB): nothing stays behind for a turn that may be too late."""
_LEAST_TICK = 0.02
_CLOSE_SECONDS = 2
_MOST_UNANSWERED = 3


class Connection(asyncio.BufferedProtocol):
    """One connection. `session` makes the session for this listener; `ready` is done when the first SETTINGS came."""

    def __init__(
        self,
        session: Callable[[Listener], Session],
        owner: Owner,
        tally: Tally,
        *,
        authority: bytes,
        limits: PoolLimits,
        indexing: Indexing,
        one_until_answered: bool,
        ping: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.streams: dict[int, Exchange] = {}
        self.places = 0
        self.places_for_urgent = 0
        self.proved = False
        self.used = False
        self._session = session(self)
        self._fields = Fields(authority, indexing, self._session)
        self._owner = owner
        self._tally = tally
        self._limits = limits
        self._one_until_answered = one_until_answered
        self._may_ping = ping
        self._last_stream = min(limits.most_requests_per_connection * 2 - 1, _LAST_STREAM)
        self._transport: asyncio.Transport | None = None
        self._incoming = memoryview(bytearray(_READ_BUFFER))
        self._most_streams = 0
        self._paused = self._retired = self._lost = False
        self._flush_is_due = False
        self._flushed_up_to = 0
        self._unanswered = 0  # requests in a row whose deadline has come
        self._goaway_debug: bytes | None = None
        self._unprocessed: list[Exchange] = []
        self._heard_at = self._busy_since = self._used_at = self._loop.time()
        self._pinged_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether it takes no more requests."""
        return self._retired or self._lost

    @property
    def goaway_debug(self) -> bytes | None:
        """What the other side said when it went away."""
        return self._goaway_debug

    # requests

    def start(self, exchange: Exchange) -> None:
        """Sends a request on a new stream; the caller has seen that there is a place."""
        try:
            fields = self._fields.of(exchange.request)
        except ValueError as error:
            exchange.fail(error)
            return
        try:
            stream = self._session.request(fields, exchange.request.body)
        except SessionBroken:
            self.retire()
            self._owner.take_back([exchange], "no stream could be opened", None)
            return
        if not self.streams:
            self._busy_since = self._used_at = self._loop.time()
            self.used = True
        exchange.connection = self
        exchange.stream = stream
        self.streams[stream] = exchange
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        if stream >= self._last_stream:
            self.retire()

    def abandon(self, exchange: Exchange) -> None:
        """Gives up a request that nobody waits for any more."""
        if self.streams.pop(exchange.stream, None) is None:
            return
        self._session.reset(exchange.stream)
        self._flush_soon()
        self._after_ends()

    def overdue(self, exchange: Exchange) -> None:
        """A request had no answer before its deadline.

        Where nothing at all was heard since it was sent, or several in a row went so, the next ones go another way: the
        path may be dead, or what stands behind the connection. It is not lost, since the answers may only be slow.
        """
        self._unanswered += 1
        if self._heard_at < self._busy_since or self._unanswered >= _MOST_UNANSWERED:
            self.retire()
        self.abandon(exchange)

    # going away

    def retire(self) -> None:
        """Takes no more requests; ends when the last answer is there."""
        if self._retired or self._lost:
            return
        self._retired = True
        self._count_places()
        self._owner.on_retired(self)
        self._loop.call_soon(self._end_when_empty)

    def lose(self, reason: str) -> None:
        """Ends at once: what was provably not processed goes back to the pool, of the rest nobody knows."""
        if self._lost:
            return
        self._lost = True
        self._count_places()
        if self._timer is not None:
            self._timer.cancel()
        left, self.streams = self.streams, {}
        unsent = [exchange for stream, exchange in left.items() if stream > self._flushed_up_to]
        for stream, exchange in left.items():
            if stream <= self._flushed_up_to:
                error = OutcomeUnknown(f"connection lost: {reason}", goaway_debug=self._goaway_debug)
                self._tally.unknown += exchange.fail(error)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
            self.ready.exception()  # the dialer may have gone
        self._owner.on_lost(self, reason)
        if unsent:
            self._abort_transport()  # a session that has made their bytes must not write them with its goodbye
        else:
            self._say_goodbye()
        returned, self._unprocessed = self._unprocessed + unsent, []
        if returned:
            self._owner.take_back(returned, f"connection lost: {reason}", self._goaway_debug)

    def abort(self) -> None:
        """Does not wait for the other side to close."""
        self.lose("closed")
        self._abort_transport()

    def _end_when_empty(self) -> None:
        if self._retired and not self.streams:
            self._write()
            waited_in_vain = "it did not answer" if self._unanswered else "retired"
            self.lose("it went away" if self._goaway_debug is not None else waited_in_vain)

    def _abort_transport(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _say_goodbye(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._session.goodbye()
        rest = self._session.outgoing()
        if rest and not self._paused:
            transport.write(rest)
        transport.close()
        self._loop.call_later(_CLOSE_SECONDS, transport.abort)  # whoever does not close its side is not waited for

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TLS handshake is over."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self._heard_at = self._loop.time()
        if _chosen_protocol(self._transport) != "h2":
            self.lose("it does not speak HTTP/2")
            return
        self._session.open()
        self._flush()
        self._tick()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # as much as there may be
        """Where to put what comes: one small TLS record after the other, without an object for each."""
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Some bytes came."""
        if self._lost:
            return
        self._heard_at = self._loop.time()
        if self._flush_is_due:
            self._write()  # what was started before these bytes goes out before our answer to them
        try:
            self._session.receive(self._incoming[:nbytes])
        except SessionBroken as error:
            self.lose(f"protocol error: {error}")
            return
        self._flush_soon()
        self._after_ends()

    def pause_writing(self) -> None:
        """The other side does not read as fast as we write."""
        self._paused = True
        self._count_places()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._count_places()
        self._flush_soon()
        self._owner.on_places()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has closed."""
        if isinstance(exc, ssl.SSLError):
            self.lose(f"TLS refused: {exc.reason or 'no reason given'}")
        else:
            self.lose("reset" if exc else "closed by the other side")
        self.closed.set_result(None)

    # Listener

    def on_settings(self, most_streams: int | None) -> None:
        """The other side says how many streams it wants, which may be fewer than there are."""
        most = self._limits.most_streams_per_connection
        self._most_streams = most if most_streams is None else min(most, most_streams)
        self._count_places()
        if not self.ready.done():
            self.ready.set_result(None)

    def on_head(self, stream: int, fields: Sequence[Field]) -> None:
        """The head of an answer, or its trailers."""
        exchange = self.streams.get(stream)
        if exchange is None:
            return
        exchange.fields = (*exchange.fields, *fields) if exchange.fields else fields

    def on_body(self, stream: int, data: bytes) -> None:
        """A part of a body; what is beyond the limit is not waited for."""
        exchange = self.streams.get(stream)
        if exchange is None:
            return
        if not exchange.body:
            exchange.body = data
        else:
            if not isinstance(exchange.body, bytearray):
                exchange.body = bytearray(exchange.body)
            exchange.body += data
        if len(exchange.body) > MOST_BODY:
            exchange.body = exchange.body[:MOST_BODY]
            self._session.reset(stream)
            self.on_end(stream)

    def on_end(self, stream: int, head: Sequence[Field] = ()) -> None:
        """An answer is complete. Sessions see to it that a head begins with its status."""
        exchange = self.streams.pop(stream, None)
        if exchange is None:
            return
        fields, body = head or exchange.fields, exchange.body
        status = _FINAL_STATUSES.get(fields[0][1]) if fields else None
        if status is None:
            self._tally.unknown += exchange.fail(OutcomeUnknown("the answer has no status"))
            return
        self._unanswered = 0
        self._tally.answered += exchange.answer(Answer(status, fields, bytes(body) if body else b""))
        if not self.proved:
            self.proved = True
            self._count_places()
            self._owner.on_proved()

    def on_reset(self, stream: int, code: int) -> None:
        """A stream ended without an answer."""
        exchange = self.streams.pop(stream, None)
        if exchange is None:
            return
        if code == REFUSED_STREAM and not exchange.fields:
            self._unprocessed.append(exchange)
        else:
            error = OutcomeUnknown(f"stream reset with code {code}", goaway_debug=self._goaway_debug)
            self._tally.unknown += exchange.fail(error)

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:  # noqa: ARG002
        """No new streams; those above `last_stream` were not looked at (RFC 9113 §6.8)."""
        self._goaway_debug = debug
        for stream, exchange in list(self.streams.items()):
            if stream > last_stream and not exchange.fields:
                self._unprocessed.append(self.streams.pop(stream))
        self.retire()

    # inside

    def _count_places(self) -> None:
        if self._retired or self._lost or self._paused:
            self.places = self.places_for_urgent = 0
            return
        most = self._most_streams
        if self._one_until_answered and not self.proved:
            most = min(most, 1)
        self.places_for_urgent = most
        self.places = most - min(self._limits.reserved_streams_for_urgent, most // 4)

    def _after_ends(self) -> None:
        if self._unprocessed:
            returned, self._unprocessed = self._unprocessed, []
            self._owner.take_back(returned, "refused by the other side", self._goaway_debug)
        if self._retired:
            self._end_when_empty()
        else:
            self._owner.on_places()

    def _flush_soon(self) -> None:
        if not self._flush_is_due and not self._lost:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._write()
        if self._unprocessed:
            self._after_ends()
        if not self._lost and self._session.ended():
            self.lose("protocol error")

    def _write(self) -> None:
        transport = self._transport
        if self._lost or self._paused or transport is None or transport.is_closing():
            return
        rest = self._session.outgoing()
        if rest:
            self._flushed_up_to = self._session.last_stream
            transport.write(rest)

    def _tick(self) -> None:
        """Looks from time to time whether the connection is still alive, and still needed."""
        limits, now = self._limits, self._loop.time()
        times = (limits.dead_after_seconds, limits.idle_ping_seconds, limits.idle_close_seconds)
        self._timer = self._loop.call_later(max(min(times) / 4, _LEAST_TICK), self._tick)
        if self.streams:
            self._used_at = now
        if self._pinged_at is not None and self._heard_at >= self._pinged_at:
            self._pinged_at = None
        since = max(self._heard_at, self._busy_since) if self.streams else self._pinged_at
        if since is not None and now - since >= limits.dead_after_seconds:
            self.lose(f"no byte for {limits.dead_after_seconds:g} s")
            self.abort()
        elif self._may_ping and self._pinged_at is None and now - self._heard_at >= self._patience():
            self._pinged_at = now
            self._session.ping()
            self._flush_soon()
        elif now - self._used_at >= limits.idle_close_seconds and self._owner.is_spare(self):
            self.retire()

    def _patience(self) -> float:
        return self._limits.dead_after_seconds / 2 if self.streams else self._limits.idle_ping_seconds


def _chosen_protocol(transport: asyncio.Transport) -> str | None:
    tls = transport.get_extra_info("ssl_object")
    chosen: str | None = tls.selected_alpn_protocol() if tls is not None else None
    return chosen
