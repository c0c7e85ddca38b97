"""What all doubles have in common: a listener, a record, a script, and ways to misbehave on the spot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self

import msgspec

from ringback.clock import Clock, SystemClock
from ringback.testing.behaviour import MAX_CONCURRENT_STREAMS, Behaviour, GoAway, Script
from ringback.testing.certificates import Authority
from ringback.testing.exchange import Connection, Headers, Request
from ringback.testing.listener import Listener
from ringback.testing.record import Received, Record

SCRIPTED_LIMIT = "scripted stream limit"


class Answer(msgspec.Struct, frozen=True):
    """What goes back to the client; `reason` is for the record."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    reason: str = ""


class Double:
    """A provider on this machine. `async with` starts and stops it; it may be stopped and started again on its port."""

    name = "double"
    alpn: tuple[str, ...] = ("h2",)

    def __init__(
        self,
        folder: Path,
        *,
        prefixes: Mapping[str, Behaviour],
        authority: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.authority = authority or Authority(folder)
        self.folder = folder
        self.clock = clock or SystemClock()
        self.violations: list[int] = []
        """Numbers of the connections on which the client opened more streams than it was allowed."""
        self._record = Record()
        self._script = Script(prefixes)
        self._held: list[Callable[[], None]] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        certificate = self.authority.server(file=f"server-{self.name}")
        self._listener = Listener(self, certificate, host=host, port=port, alpn=self.alpn)

    # Starting and stopping

    async def start(self) -> None:
        """Listens. StartRefused: the port is taken."""
        await self._listener.start()

    async def close(self) -> None:
        """Stops listening and cuts every connection; the record stays, and `start` listens on the same port again."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await self._listener.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._listener.host

    @property
    def port(self) -> int:
        """Known after `start`."""
        return self._listener.port

    @property
    def url(self) -> str:
        """`https://127.0.0.1:12345`, without a path."""
        return f"https://{self.host}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """What a client has to trust (PEM)."""
        return self.authority.file

    # What came in

    @property
    def received(self) -> list[Received]:
        """Every push that came in whole, in order."""
        return self._record.received

    @property
    def accepted(self) -> list[Received]:
        """Those that the client was told to have arrived."""
        return self._record.accepted

    @property
    def open_connections(self) -> int:
        """Clients that are connected now."""
        return len(self._listener.connections)

    @property
    def handshakes(self) -> int:
        """Connections that were made so far."""
        return self._listener.handshakes

    async def wait_for(
        self,
        count: int = 1,
        *,
        push_token: str | None = None,
        status: int | None = None,
        where: Callable[[Received], bool] | None = None,
        seconds: float = 30,
    ) -> list[Received]:
        """All pushes that fit, as soon as they are at least `count`. TimeoutError says what came instead."""
        return await self._record.wait_for(count, push_token=push_token, status=status, where=where, seconds=seconds)

    def on_outcome(self, listener: Callable[[Received], None]) -> None:
        """Is called once for each push, when it was answered or when it is known that it will not be."""
        self._record.on_outcome(listener)

    # What is to happen. A script answers only what would have been accepted: a faulty request is refused as ever.

    def script(self, push_token: str, behaviours: list[Behaviour]) -> None:
        """One behaviour for each of the next pushes to this push token; then as before."""
        self._script.of_token(push_token, behaviours)

    def next(self, *behaviours: Behaviour) -> None:
        """One behaviour for each of the next pushes, whatever their push token."""
        self._script.next(behaviours)

    def at(self, place: int, behaviour: Behaviour) -> None:
        """For the push at this place from now on; 1 = the next one."""
        self._script.at(place, behaviour)

    def always(self, behaviour: Behaviour) -> None:
        """For every push for which nothing else is written."""
        self._script.otherwise = behaviour

    def forget_scripts(self) -> None:
        """Accepts again; what the prefixes of push tokens say stays."""
        self._script.clear()

    def hold(self) -> None:
        """From now on nothing is answered until `release`: streams pile up."""
        self._held = self._held or []

    def release(self) -> None:
        """Does everything that was held back, in order."""
        held, self._held = self._held or [], None
        for action in held:
            action()

    # What happens on the spot, on every open connection

    def go_away(
        self,
        debug: bytes = b"",
        *,
        code: int = 0,
        last_stream: int | None = None,
        close: Literal["drained", "at once", "never"] = "drained",
    ) -> None:
        """GOAWAY. Streams above `last_stream` (None: none of those that came in) are not processed any more."""
        for connection in list(self._listener.connections.values()):
            connection.go_away(code, debug, last_stream)
            _close(connection, close)

    def change_settings(self, settings: Mapping[int, int]) -> None:
        """SETTINGS, by number."""
        for connection in list(self._listener.connections.values()):
            self._settings(connection, settings)

    def drop_connections(self) -> None:
        """Cuts them all; new ones are welcome."""
        for connection in list(self._listener.connections.values()):
            connection.abort()

    # What a listener calls

    def connected(self, connection: Connection) -> None:
        """A client has finished its TLS handshake."""

    def settings_for(self, connection: Connection) -> Mapping[int, int]:  # noqa: ARG002 - others look at it
        """The first SETTINGS of an HTTP/2 connection, by their numbers."""
        return {}

    def stream_limit_exceeded(self, connection: Connection) -> None:
        """Remembers it: a test looks at `violations`."""
        self.violations.append(connection.number)

    def requested(self, request: Request) -> None:
        """A request is there."""
        raise NotImplementedError

    # For the doubles themselves

    def _receive(self, request: Request, *, push_token: str, payload: object) -> Received:
        """Puts a push into the record."""
        received = Received(
            provider=self.name,
            number=len(self._record.received) + 1,
            at_ms=self.clock.now_ms(),
            connection=request.connection.number,
            stream=request.stream,
            http=request.connection.alpn,
            method=request.method,
            path=request.path,
            headers=dict(reversed(request.headers)),
            body=request.body,
            push_token=push_token,
            payload=payload,
        )
        self._record.add(received)
        return received

    def _perform(
        self, request: Request, received: Received | None, behaviour: Behaviour, answer: Callable[[], Answer]
    ) -> None:
        """Does what the behaviour says, and else what `answer` says, at once or later. `received`: None = no push."""
        if behaviour.settings:
            self._settings(request.connection, behaviour.settings)
        if behaviour.after_seconds <= 0:
            self._finish(request, received, behaviour, answer)
            return

        def later() -> None:
            self._timers.discard(timer)
            self._finish(request, received, behaviour, answer)

        timer = asyncio.get_running_loop().call_later(behaviour.after_seconds, later)
        self._timers.add(timer)

    def _finish(
        self, request: Request, received: Received | None, behaviour: Behaviour, answer: Callable[[], Answer]
    ) -> None:
        if self._held is not None:
            self._held.append(lambda: self._finish(request, received, behaviour, answer))
            return
        connection, stream = request.connection, request.stream
        instead = ""
        if behaviour.silent:
            instead = "silent"
        elif behaviour.drop:
            instead = "dropped"
            connection.abort()
        elif behaviour.reset is not None:
            instead = "reset"
            connection.reset(stream, behaviour.reset)
        elif behaviour.goaway is not None and (
            behaviour.goaway.close == "at once" or behaviour.goaway.last == "before"
        ):
            instead = "goaway"
        if instead:
            self._close_record(received, 0, instead)
        else:
            self._reply(request, received, answer())
        if behaviour.goaway is not None:
            _go_away(connection, stream, behaviour.goaway)

    def _reply(self, request: Request, received: Received | None, answer: Answer) -> None:
        if request.connection.reply(request.stream, answer.status, answer.headers, answer.body):
            self._close_record(received, answer.status, answer.reason)
        else:
            self._close_record(received, 0, "gone")

    def _close_record(self, received: Received | None, status: int, reason: str) -> None:
        if received is not None:
            self._record.close(received, status, reason)

    def _settings(self, connection: Connection, settings: Mapping[int, int]) -> None:
        if MAX_CONCURRENT_STREAMS in settings:
            connection.facts[SCRIPTED_LIMIT] = True
        connection.change_settings(settings)


def _go_away(connection: Connection, stream: int, goaway: GoAway) -> None:
    last = {"this": stream, "before": max(stream - 2, 0), "newest": None}[goaway.last]
    connection.go_away(goaway.code, goaway.debug, last)
    _close(connection, goaway.close)


def _close(connection: Connection, how: Literal["drained", "at once", "never"]) -> None:
    if how == "drained":
        connection.close_when_drained()
    elif how == "at once":
        connection.close()
