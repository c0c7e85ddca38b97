"""The connections to one place, and who waits for a place on them.

A request goes onto a connection that has room, or waits: urgent ones before all others, each until its deadline. While
somebody waits another connection is dialed, one at a time, up to the limit. This is not a retry layer: when there is no
connection and none can be made, everybody who waits is told so at once. Only what was provably not processed (a refused
stream, one above the last of a GOAWAY) is moved to another place, and that a few times.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict

from ringback.http2.connection import Connection
from ringback.http2.dial import CheckAddress, Resolve, Way, dial, read_proxy
from ringback.http2.exchange import Deadlines, Exchange, Tally
from ringback.http2.model import (
    Answer,
    Backend,
    Indexing,
    NotSent,
    OutcomeUnknown,
    PoolLimits,
    Request,
    Statistics,
)
from ringback.http2.session import Listener, Session

_HTTPS = 443
_FIRST_PAUSE = 0.1
_MOST_DOUBLINGS = 16


class Pool:
    """Sends requests to one host. `tls` is the pool's own: its ALPN becomes h2, its client certificate is used.

    `first_limit_is_one`: a connection carries one request until its first answer came, whatever it allows (a rule of
    APNs with provider tokens). `proxy`: `http://[user:password@]host:port`, asked by CONNECT. `check_address` is called
    with every address before it is called, and raises DestinationNotAllowed; `resolve` gives the addresses of the name,
    the system's resolver by default. `ping`: whether the other side tolerates PINGs.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext,
        backend: Backend = "ngh2",
        limits: PoolLimits | None = None,
        indexing: Indexing | None = None,
        first_limit_is_one: bool = False,
        proxy: str | None = None,
        check_address: CheckAddress | None = None,
        resolve: Resolve | None = None,
        ping: bool = False,
    ) -> None:
        tls.set_alpn_protocols(["h2"])
        way_round = read_proxy(proxy) if proxy else None
        self._way = Way(host, port, tls, way_round, check_address, resolve)
        name = f"[{host}]" if ":" in host else host
        self._authority = (name if port == _HTTPS else f"{name}:{port}").encode("ascii")
        self._backend: Backend = backend
        self._limits = limits or PoolLimits()
        self._indexing = indexing or Indexing()
        self._one_until_answered = first_limit_is_one
        self._ping = ping
        self._tally = Tally()
        self._open: list[Connection] = []
        self._draining: set[Connection] = set()
        self._urgent: OrderedDict[Exchange, None] = OrderedDict()
        self._normal: OrderedDict[Exchange, None] = OrderedDict()
        self._dialing: asyncio.Task[None] | None = None
        self._failures = 0
        self._dial_again_at = 0.0
        self._dial_timer: asyncio.TimerHandle | None = None
        self._last_failure = NotSent("no connection yet", connection_failed=True)
        self._closed = False
        self._running: tuple[asyncio.AbstractEventLoop, Deadlines] | None = None

    async def send(self, request: Request, *, timeout_seconds: float, urgent: bool = False) -> Answer:
        """The answer, whatever its status. Cancelling gives the stream up.

        Raises NotSent, OutcomeUnknown, and ValueError for a request that HTTP/2 cannot carry.
        """
        loop, deadlines = self._running or self._here()
        exchange = Exchange(request, loop.create_future(), urgent)
        connection = self._with_place(urgent)
        if connection is not None:
            deadlines.add(exchange, timeout_seconds)
            connection.start(exchange)
        else:
            self._wait(exchange, deadlines, timeout_seconds)
        try:
            return await exchange.future
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise

    async def close(self) -> None:
        """Takes nothing new, gives what is under way a moment to be answered, and closes every connection."""
        self._closed = True
        if self._dialing is not None:
            self._dialing.cancel()
            await asyncio.wait([self._dialing])
        if self._dial_timer is not None:
            self._dial_timer.cancel()
        self._refuse_waiting(NotSent("the pool is closed"))
        everything = {*self._open, *self._draining}
        for connection in everything:
            connection.retire()
        if everything:
            await asyncio.wait([connection.closed for connection in everything], timeout=self._limits.drain_seconds)
        for connection in everything:
            connection.abort()
        if self._running is not None:
            self._running[1].stop()

    def statistics(self) -> Statistics:
        """How it stands now."""
        tally = self._tally
        return Statistics(
            connections=len(self._open),
            draining=len(self._draining),
            dialing=self._dialing is not None,
            in_flight=sum(len(connection.streams) for connection in (*self._open, *self._draining)),
            waiting=len(self._urgent) + len(self._normal),
            answered=tally.answered,
            unknown=tally.unknown,
            not_sent=tally.not_sent,
            moved=tally.moved,
            dialed=tally.dialed,
            dials_failed=tally.dials_failed,
            last_failure=tally.last_failure,
        )

    # what connections report

    def on_places(self) -> None:
        """There may be room for those who wait."""
        if self._normal or self._urgent:
            self._dispatch()

    def on_retired(self, connection: Connection) -> None:
        """It takes no more requests; another one is dialed when somebody needs it."""
        if connection in self._open:
            self._open.remove(connection)
        self._draining.add(connection)

    def on_lost(self, connection: Connection, reason: str) -> None:
        """It is no more. One that took requests and never answered any counts as a dial that failed."""
        self._draining.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
        if connection.used and not connection.proved:
            self._count_failure(NotSent(reason, connection_failed=True))
        self.on_places()

    def is_spare(self, connection: Connection) -> bool:
        """Every unused connection, except the last one where PINGs keep it alive."""
        return not connection.streams and (not self._ping or len(self._open) > 1)

    def on_proved(self) -> None:
        """The other side answers."""
        self._failures = 0
        self._dial_again_at = 0.0

    def take_back(self, exchanges: list[Exchange], reason: str, goaway_debug: bytes | None) -> None:
        """They wait again, before everybody else; unless they were moved too often or nobody waits for them."""
        for exchange in reversed(exchanges):
            exchange.connection = None
            exchange.moves += 1
            if exchange.future.done():
                continue
            if self._closed or exchange.moves > self._limits.most_moves:
                self._refuse(exchange, NotSent(reason, goaway_debug=goaway_debug))
                continue
            self._tally.moved += 1
            queue = self._urgent if exchange.urgent else self._normal
            queue[exchange] = None
            queue.move_to_end(exchange, last=False)
        self.on_places()

    # who waits

    def _with_place(self, urgent: bool) -> Connection | None:  # noqa: FBT001 # a name costs time here
        """A connection with room, always in the same order, so that those that are not needed fall idle."""
        for connection in self._open:
            if len(connection.streams) < (connection.places_for_urgent if urgent else connection.places):
                return connection
        return None

    def _wait(self, exchange: Exchange, deadlines: Deadlines, timeout_seconds: float) -> None:
        if self._closed:
            self._refuse(exchange, NotSent("the pool is closed"))
        elif len(self._urgent) + len(self._normal) >= self._limits.most_waiting:
            self._refuse(exchange, NotSent("too many requests wait for a place"))
        else:
            deadlines.add(exchange, timeout_seconds)
            (self._urgent if exchange.urgent else self._normal)[exchange] = None
            self._dial_if_needed()

    def _dispatch(self) -> None:
        for queue, urgent in ((self._urgent, True), (self._normal, False)):
            while queue and (connection := self._with_place(urgent)) is not None:
                exchange, _ = queue.popitem(last=False)
                connection.start(exchange)
        self._dial_if_needed()

    def _on_due(self, exchange: Exchange) -> None:
        if exchange.connection is None:
            self._leave(exchange)
            self._refuse(exchange, NotSent("no place before the deadline", connection_failed=not self._open))
            return
        self._tally.unknown += exchange.fail(OutcomeUnknown("no answer in time"))
        exchange.connection.overdue(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        if exchange.future.done() and not exchange.future.cancelled():
            exchange.future.exception()  # it came in the same moment; asyncio need not complain that nobody looked
        if exchange.bucket is not None:
            exchange.bucket.discard(exchange)
        if exchange.connection is None:
            self._leave(exchange)
        else:
            exchange.connection.abandon(exchange)

    def _leave(self, exchange: Exchange) -> None:
        (self._urgent if exchange.urgent else self._normal).pop(exchange, None)

    def _refuse(self, exchange: Exchange, error: NotSent) -> None:
        self._tally.not_sent += exchange.fail(error)

    def _refuse_waiting(self, error: NotSent) -> None:
        for queue in (self._urgent, self._normal):
            while queue:
                self._refuse(queue.popitem(last=False)[0], _copy(error))

    # dialing

    def _dial_if_needed(self) -> None:
        """One at a time. In the pause after a failure those who wait are told, or wait for the connections there are.

        An urgent request does not let itself be told: with no connection at all, it tries once more.
        """
        if not (self._urgent or self._normal) or self._dialing is not None or self._closed:
            return
        if len(self._open) >= self._limits.most_connections:
            return
        loop, _ = self._here()
        if loop.time() < self._dial_again_at and (self._open or not self._urgent):
            if not self._open:
                self._refuse_waiting(self._last_failure)
            elif self._dial_timer is None:
                self._dial_timer = loop.call_at(self._dial_again_at, self._after_pause)
            return
        self._dialing = loop.create_task(self._dial())

    def _after_pause(self) -> None:
        self._dial_timer = None
        self._dial_if_needed()

    async def _dial(self) -> None:
        self._tally.dialed += 1
        try:
            connection = await dial(self._way, self._connection, seconds=self._limits.connect_seconds)
        except NotSent as error:
            self._dialing = None
            self._fail_dial(error)
            return
        except BaseException:
            self._dialing = None
            raise
        self._dialing = None
        if connection.over:
            gone = NotSent("it went away at once", connection_failed=True, goaway_debug=connection.goaway_debug)
            self._fail_dial(gone)
            return
        self._open.append(connection)
        self._dispatch()

    def _fail_dial(self, error: NotSent) -> None:
        self._count_failure(error)
        if not self._open:
            self._refuse_waiting(error)
        self._dispatch()

    def _connection(self) -> Connection:
        return Connection(
            self._session,
            self,
            self._tally,
            authority=self._authority,
            limits=self._limits,
            indexing=self._indexing,
            one_until_answered=self._one_until_answered,
            ping=self._ping,
        )

    def _session(self, listener: Listener) -> Session:
        if self._backend == "ngh2":
            from ringback.http2.session_ngh2 import Ngh2Session  # noqa: PLC0415 # each library only where it is used

            return Ngh2Session(listener)
        from ringback.http2.session_h2 import H2Session  # noqa: PLC0415

        return H2Session(listener)

    def _count_failure(self, error: NotSent) -> None:
        self._tally.dials_failed += 1
        self._tally.last_failure = error.reason
        self._last_failure = error
        pause = min(_FIRST_PAUSE * 2 ** min(self._failures, _MOST_DOUBLINGS), self._limits.longest_pause_seconds)
        self._failures += 1
        self._dial_again_at = self._here()[0].time() + pause

    def _here(self) -> tuple[asyncio.AbstractEventLoop, Deadlines]:
        """The loop that the pool is first used in: it may be made before there is one."""
        if self._running is None:
            loop = asyncio.get_running_loop()
            self._running = (loop, Deadlines(loop, self._on_due))
        return self._running


def _copy(error: NotSent) -> NotSent:
    """One for each who waits: an exception collects the traceback of whoever raises it."""
    copied = NotSent(error.reason, connection_failed=error.connection_failed, goaway_debug=error.goaway_debug)
    copied.__cause__ = error.__cause__
    return copied
