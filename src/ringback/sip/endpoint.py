"""The SIP endpoint: sockets, both sides of transactions, and one wheel of timers, put together."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from ringback.clock import Randomness, SystemRandomness
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.framing import is_keepalive
from ringback.protocols.sip.message import Request, Response, parse_message
from ringback.protocols.sip.transactions import Timers
from ringback.protocols.sip.uri import host_port, parse_host_port
from ringback.sip.abilities import Abilities
from ringback.sip.client import Client, OutgoingTransaction
from ringback.sip.connections import Connections
from ringback.sip.counters import SipCounters
from ringback.sip.limits import Buckets, Network, Trusted
from ringback.sip.model import HERE, SipAddress, SipFailure, SipLimits, SipUnreachable, Transport
from ringback.sip.needs import Flow, Peer, SipHandler, Unsent
from ringback.sip.server import Server
from ringback.sip.standstill import Standstill
from ringback.sip.transports import StreamFlow, UdpFlow
from ringback.sip.wheel import Wheel

_log: Final = logging.getLogger(__name__)
_DIALOG_MAKERS: Final = {"INVITE", "SUBSCRIBE", "REFER", "UPDATE"}
_PUBLISH_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 5.0


class SipEndpoint:
    """Speaks SIP on the sockets that it listens on; made inside a running loop. It knows no calls.

    name: what Server and User-Agent say. advertised: HOST[:PORT] that others reach us by, where that is not what our
    sockets say. trusted: networks that no rate limit holds for. methods: those that the handler takes, others are
    answered 405 (None: it takes all, and OPTIONS is answered here all the same). extensions: option tags that may be
    required of us. tls: for connections that we open. tls_back: for those that we open only to answer at an address; no
    name is checked there, so it should trust nobody but one's own authorities.
    """

    def __init__(
        self,
        handler: SipHandler,
        *,
        name: str = "Ringback",
        limits: SipLimits | None = None,
        advertised: str = "",
        timers: Timers | None = None,
        counters: SipCounters | None = None,
        trusted: Iterable[str | Network] = (),
        methods: Iterable[str] | None = None,
        extensions: Iterable[str] = ("100rel",),
        tls: ssl.SSLContext | None = None,
        tls_back: ssl.SSLContext | None = None,
        randomness: Randomness | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.limits = limits or SipLimits()
        self.timers = timers or Timers()
        self.counters = counters or SipCounters()
        self.wheel = Wheel(self._loop, self._failed)
        self.trusted = Trusted(trusted)
        self._buckets = Buckets(self.limits.messages_per_second, self.limits.messages_at_once)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._silent_until = 0.0
        randomness = randomness or SystemRandomness()
        self._client = Client(
            name=name, timers=self.timers, counters=self.counters, wheel=self.wheel, randomness=randomness
        )
        self._ways = Connections(
            self,
            limits=self.limits,
            counters=self.counters,
            trusted=self.trusted,
            advertised=parse_host_port(advertised) if advertised else None,
            tls=tls,
            tls_back=tls_back,
            on_lost=self._client.on_lost,
        )
        self._server = Server(
            handler,
            name=name,
            limits=self.limits,
            timers=self.timers,
            counters=self.counters,
            wheel=self.wheel,
            randomness=randomness,
            abilities=Abilities(None if methods is None else tuple(methods), tuple(extensions)),
            ways=self._ways,
            open_again=self._answer_elsewhere,
            failed=self._failed,
        )
        self._publishing = _Publishing(self)
        self._standstill = Standstill(
            self.wheel,
            self._loop.time(),
            self.limits.unread_seconds or self.timers.patience,
            noticed=self._ways.fell_behind,
        )

    # -- for everybody ----------------------------------------------------------------------------------------------

    async def listen(
        self, transport: Transport, host: str, port: int, *, ssl: ssl.SSLContext | None = None
    ) -> SipAddress:
        """Opens one more socket and says what it is bound to. Port 0 = any. Raises OSError."""
        return await self._ways.listen(transport, host, port, ssl)

    async def listen_on_both(self, host: str, port: int) -> list[SipAddress]:
        """UDP and TCP on one port, as proxies expect it. Port 0 = one that is free for both. Raises OSError."""
        return await self._ways.listen_on_both(host, port)

    @property
    def held_calls(self) -> int:
        """INVITEs of others that wait for their final answer."""
        return self._server.calls

    @property
    def transactions(self) -> int:
        """Everything that is remembered, of both sides."""
        return self._server.transactions + self._client.transactions

    @property
    def connections(self) -> int:
        """Connections that are open, whoever opened them."""
        return self._ways.open

    @property
    def allow(self) -> str:
        """The value of Allow, for a 405."""
        return self._server.abilities.allow

    async def send(
        self, request: Request, to: SipAddress, *, on_provisional: Callable[[Response], None] | None = None
    ) -> Response:
        """Sends one request and waits for its final answer. Not for INVITE, see `start`.

        Via, Max-Forwards and User-Agent are filled in, a Contact where the method makes a dialog and there is none, and
        our address in the place of `HERE` in a Contact; the request itself stays as it is. Nothing switches to TCP by
        itself, however long the request is (§18.1.1 would from 1300 bytes on): `to` says which. Raises SipTimeout and
        SipUnreachable. Cancelled, it is forgotten.
        """
        waiter: asyncio.Future[Response] = self._loop.create_future()

        def on_response(response: Response) -> None:
            if response.status >= 200:
                if not waiter.done():
                    waiter.set_result(response)
            elif on_provisional is not None:
                on_provisional(response)

        def on_failure(failure: SipFailure) -> None:
            if not waiter.done():
                waiter.set_exception(failure)

        transaction = await self.start(request, to, on_response=on_response, on_failure=on_failure)
        try:
            return await waiter
        except asyncio.CancelledError:
            transaction.forget()
            raise

    async def start(
        self,
        request: Request,
        to: SipAddress,
        *,
        on_response: Callable[[Response], None],
        on_failure: Callable[[SipFailure], None],
    ) -> OutgoingTransaction:
        """Begins a client transaction, and tells what comes of it. Raises SipUnreachable when it cannot be sent.

        An INVITE has its refusals acknowledged here. Each 2xx, copies and those of other phones included, is told, and
        is the caller's to acknowledge: `transmit`, with a `Dialog` made of it. `cancel` is for those that ring.
        """
        if self._is_closed:
            raise SipUnreachable("The endpoint is closed.")
        flow, peer = await self._ways.way_to(to)
        request = self._dressed(request, flow, peer)
        return self._client.start(request, flow, peer, on_response=on_response, on_failure=on_failure)

    async def addresses(self, to: SipAddress) -> list[str]:
        """The addresses of a place that may be given by its name, best first. Raises SipUnreachable."""
        return await self._ways.addresses(to)

    async def host_towards(self, to: SipAddress) -> str:
        """Our host as `to` can reach it, IPv6 in brackets. Raises SipUnreachable."""
        flow, peer = await self._ways.way_to(to)
        return host_port(self._ways.place_of(flow, peer).host)

    async def contact_towards(self, to: SipAddress, user: str = "") -> str:
        """Our URI as `to` can reach it. Raises SipUnreachable."""
        flow, peer = await self._ways.way_to(to)
        return self._ways.contact_of(flow, peer, user)

    async def transmit(self, request: Request, to: SipAddress) -> None:
        """Sends an ACK to a 2xx, which is answered by nobody and belongs to no transaction. Raises SipUnreachable."""
        flow, peer = await self._ways.way_to(to)
        self._client.transmit(flow, peer, self._dressed(request, flow, peer).encode())

    def cancel(self, invite: OutgoingTransaction) -> None:
        """Sends CANCEL for an INVITE that was answered with a provisional answer, and no final one."""
        self._client.start_cancel(invite)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does this meanwhile; what cannot be sent is given up without a word."""

        async def run() -> None:
            try:
                await work
            except SipFailure:
                self.counters.refuse("unsendable")
            except Exception as error:  # noqa: BLE001 nobody waits for it, so the log must say it
                self._failed(error)

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self) -> None:
        """From now on OPTIONS is answered 503: who asks whether we are there sends what is new to somebody else."""
        self._server.is_leaving = True

    async def close(self, grace_seconds: float = 0) -> None:
        """Refuses new requests with 503, waits so long for those that are not settled, and closes everything."""
        self._server.is_draining = True
        self._ways.stop_listening()
        if grace_seconds:
            await self._server.quiet(grace_seconds)
        self._is_closed = True
        self._client.close()
        self.wheel.close()
        self._ways.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.counters.publish()
        await asyncio.sleep(0)  # transports say in the next turn that they are closed

    # -- for sockets and connections --------------------------------------------------------------------------------

    def on_data(self, data: bytes, flow: Flow, peer: Peer, source: SipAddress) -> bool:
        """A datagram, or one whole message of a stream. Never raises: one packet must not stop the loop.

        False when it was dropped, because that address sends too much.
        """
        self.counters.received += 1
        if self._standstill.look(self._loop.time()) and isinstance(flow, UdpFlow):
            flow.is_behind = True
        if not source.port or (not flow.is_reliable and is_keepalive(data)):
            return True
        if source.host not in self.trusted and not self._buckets.take(source.host, self._loop.time()):
            self.counters.refuse("rate")
            return False
        try:
            self._receive(data, flow, peer, source)
        except Exception as error:  # noqa: BLE001 see above
            self._failed(error)
        return True

    def on_connected(self, flow: Flow, peer: SipAddress, *, opened_by_us: bool) -> bool:
        """A connection is there. False: one too many, it is closed."""
        del peer
        assert isinstance(flow, StreamFlow)
        return not self._is_closed and self._ways.on_connected(flow, opened_by_us=opened_by_us)

    def on_lost(self, flow: Flow, peer: SipAddress, *, opened_by_us: bool) -> None:
        """A connection is gone."""
        del peer
        assert isinstance(flow, StreamFlow)
        self._ways.on_lost(flow, opened_by_us=opened_by_us)

    def _receive(self, data: bytes, flow: Flow, peer: Peer, source: SipAddress) -> None:
        if len(data) > self.limits.message_bytes:
            self._oversize(data, flow, peer, source)
            return
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                self._client.on_response(message)
            else:
                self._server.on_request(message, flow, peer, source)
        except SipMalformed as malformed:
            self._server.on_malformed(malformed, flow, peer, source)

    def _oversize(self, data: bytes, flow: Flow, peer: Peer, source: SipAddress) -> None:
        """513 (§21.5.7), when the beginning says whom to tell."""
        self.counters.refuse("oversize")
        try:
            parse_message(data[: self.limits.message_bytes])
        except SipMalformed as malformed:
            request = malformed.request
            if request is not None:
                self._server.on_oversize(request, flow, peer, source)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _dressed(self, request: Request, flow: Flow, peer: Peer) -> Request:
        """A copy with what every request of ours has on this way."""
        made = self._client.dressed(request, self._ways.via_of(flow, peer))
        contact = made.headers.get("Contact")
        if contact is None and made.method in _DIALOG_MAKERS:
            made.headers.add("Contact", f"<{self._ways.contact_of(flow, peer)}>")
        elif contact is not None and HERE in contact:
            made.headers.put("Contact", self._ways.with_place(contact, flow, peer))
        return made

    def _answer_elsewhere(self, to: SipAddress, name: str, data: bytes, unsent: Unsent | None) -> None:
        """The connection of a request is gone: its answer goes by a new one (§18.2.2)."""

        async def send() -> None:
            flow, peer = await self._ways.way_back(to, name)
            if not self._client.transmit(flow, peer, data):
                raise SipUnreachable("It could not be sent.")

        async def answer() -> None:
            try:
                await send()
            except SipUnreachable as failure:
                if unsent is not None:
                    unsent(str(failure))
                raise

        if not self._is_closed:
            self.spawn(answer())

    def _failed(self, error: Exception) -> None:
        """A mistake of ours: counted each time, but logged now and then, since each packet of a flood may cause it."""
        self.counters.refuse("handler_failed")
        if self._loop.time() >= self._silent_until:
            self._silent_until = self._loop.time() + _SILENT_SECONDS
            _log.error("A SIP message could not be handled.", exc_info=error)


class _Publishing:
    """Brings the figures of messages to /metrics every few seconds."""

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint
        self.tick = 0
        self.due = asyncio.get_running_loop().time() + _PUBLISH_SECONDS
        endpoint.wheel.place(self)

    def on_time(self, now: float) -> None:
        self._endpoint.counters.publish()
        self.due = now + _PUBLISH_SECONDS
