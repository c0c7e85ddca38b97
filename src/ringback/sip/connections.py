"""Ways to others: the sockets that listen, and connections, which are used again for as long as they live."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from ringback.protocols.sip.uri import host_port
from ringback.sip.counters import SipCounters
from ringback.sip.gate import Gate
from ringback.sip.limits import Trusted, sender_of
from ringback.sip.model import DEFAULT_PORTS, HERE, SipAddress, SipLimits, SipUnreachable, Transport
from ringback.sip.needs import Flow, Owner, Peer
from ringback.sip.resolve import Resolver, is_address
from ringback.sip.transports import StreamFlow, UdpFlow, address_of

_WILDCARDS: Final = {"0.0.0.0", "::", ""}  # noqa: S104 to be recognized, not listened on
_MOST_ROUTES: Final = 1_000
_MOST_PORTS_TRIED: Final = 20
_BACKLOG: Final = 1_024


class Connections:
    """All ways of one endpoint. `advertised`: HOST or HOST:PORT that others reach us by, "" = the socket's own.

    `tls_back`: trusts so few authorities that their word is enough where a certificate has no name to be checked by.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        limits: SipLimits,
        counters: SipCounters,
        trusted: Trusted,
        advertised: tuple[str, int | None] | None,
        tls: ssl.SSLContext | None,
        tls_back: ssl.SSLContext | None,
        on_lost: Callable[[Flow], None],
    ) -> None:
        self._owner = owner
        self._limits = limits
        self._counters = counters
        self._trusted = trusted
        self._advertised = advertised
        self._tls = tls
        self._tls_back = tls_back
        self._told = on_lost
        self._resolver = Resolver()
        self._sockets: list[UdpFlow] = []
        self._servers: list[asyncio.Server] = []
        self._listening: dict[str, SipAddress] = {}
        self._streams: dict[SipAddress, StreamFlow] = {}
        self._streams_back: dict[SipAddress, StreamFlow] = {}
        """Those that no name was checked for: good for answers only."""
        self._opening: dict[tuple[SipAddress, bool], asyncio.Task[StreamFlow]] = {}
        self._accepted: Counter[str] = Counter()
        self._accepted_of_trusted: Counter[str] = Counter()
        self._all: set[StreamFlow] = set()
        self._gate = Gate(limits=limits, counters=counters, trusted=trusted)
        self._routes: dict[str, str] = {}
        self.places: set[str] = set()
        """What we wrote as sent-by in a Via, `host:port`."""

    @property
    def open(self) -> int:
        """Connections that are open, whoever opened them."""
        return len(self._all)

    # -- listening --------------------------------------------------------------------------------------------------

    async def listen_on_both(self, host: str, port: int) -> list[SipAddress]:
        """UDP and TCP on one port. Port 0 = one that is free for both. Raises OSError."""
        for attempt in range(_MOST_PORTS_TRIED):
            stream = await self.listen("tcp", host, port, None)
            try:
                return [await self.listen("udp", host, stream.port, None), stream]
            except OSError:
                self._servers.pop().close()
                if self._listening.get("tcp") == stream:
                    del self._listening["tcp"]
                if port or attempt == _MOST_PORTS_TRIED - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def listen(self, transport: Transport, host: str, port: int, tls: ssl.SSLContext | None) -> SipAddress:
        """Opens a socket. Port 0 = any. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        if transport == "udp":
            _, flow = await loop.create_datagram_endpoint(lambda: UdpFlow(self._owner), local_addr=(host, port))
            self._sockets.append(flow)
            bound = flow.local
        else:
            if (transport == "tls") != (tls is not None):
                raise ValueError("TLS, and only TLS, needs a certificate.")

            def make() -> StreamFlow:
                return StreamFlow(self._owner, transport, opened_by_us=False)

            def accepted() -> asyncio.Protocol:
                return make() if tls is None else self._gate.protocol(tls, make)

            server = await loop.create_server(accepted, host, port, backlog=_BACKLOG)
            self._servers.append(server)
            name = server.sockets[0].getsockname()
            bound = SipAddress(transport, str(name[0]), int(name[1]))
        self._listening.setdefault(transport, bound)
        return bound

    def stop_listening(self) -> None:
        """Takes no new connections; those that are there go on, and so does UDP."""
        for server in self._servers:
            server.close()

    def close(self) -> None:
        """Closes everything."""
        self.stop_listening()
        self._gate.close()
        for task in self._opening.values():
            task.cancel()
        for stream in list(self._all):
            stream.close()
        for flow in self._sockets:
            flow.close()
        self._resolver.close()

    def fell_behind(self) -> None:
        """Nothing was read for a long time."""
        for flow in self._sockets:
            flow.fell_behind()

    # -- ways out ---------------------------------------------------------------------------------------------------

    async def way_to(self, to: SipAddress) -> tuple[Flow, Peer]:
        """A flow that leads there, the next one if the first cannot be had. Raises SipUnreachable."""
        if to.transport == "udp":
            flow, address = self._udp_for(await self._resolver.addresses(to))
            return flow, (address, to.port)
        known = self._streams.get(to)
        if known is not None and not known.is_closed:
            return known, ()
        failure = SipUnreachable("No connection could be made.")
        for address in await self._resolver.addresses(to):
            place = SipAddress(to.transport, address, to.port)
            known = self._streams.get(place)
            if known is not None and not known.is_closed:
                return known, ()
            try:
                return await self._opened(place, to.host), ()
            except SipUnreachable as error:
                failure = error
        raise failure

    async def way_back(self, to: SipAddress, name: str) -> tuple[Flow, Peer]:
        """A flow for the answer to a request whose connection is gone (§18.2.2). Raises SipUnreachable.

        `to`: where it came from, so that no name leads the answer elsewhere. `name`: what its Via calls that place. A
        certificate must be for that name (RFC 5922); few are for an address, so there `tls_back` decides, if any.
        """
        nameless = to.transport == "tls" and self._tls_back is not None and is_address(name)
        for known in (self._streams.get(to), self._streams_back.get(to) if nameless else None):
            if known is not None and not known.is_closed:
                return known, ()
        return await self._opened(to, name, nameless=nameless), ()

    async def addresses(self, to: SipAddress) -> list[str]:
        """The addresses of a place, best first. Raises SipUnreachable."""
        return await self._resolver.addresses(to)

    def _udp_for(self, addresses: list[str]) -> tuple[UdpFlow, str]:
        for address in addresses:
            for flow in self._sockets:
                if (":" in flow.local.host) == (":" in address) and not flow.is_closed:
                    return flow, address
        raise SipUnreachable("No UDP socket of ours reaches this address.")

    async def _opened(self, place: SipAddress, name: str, *, nameless: bool = False) -> StreamFlow:
        """One connection for all who ask for it at the same time."""
        key = (place, nameless)
        task = self._opening.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(place, name, nameless=nameless))
            self._opening[key] = task
            task.add_done_callback(lambda done: self._settled(key, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # we are closing, not the one who asked
                raise SipUnreachable("The endpoint is closed.") from None
            raise

    def _settled(self, key: tuple[SipAddress, bool], done: asyncio.Task[StreamFlow]) -> None:
        del self._opening[key]
        if not done.cancelled():
            done.exception()  # whoever asked may be gone, and then nobody else looks at it

    async def _open(self, place: SipAddress, name: str, *, nameless: bool) -> StreamFlow:
        loop = asyncio.get_running_loop()
        tls = place.transport == "tls"
        context = self._tls_back if nameless else self._tls
        if tls and context is None:
            raise SipUnreachable("There is no TLS here.")
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, flow = await loop.create_connection(
                    lambda: StreamFlow(self._owner, place.transport, opened_by_us=True),
                    place.host,
                    place.port,
                    ssl=context if tls else None,
                    server_hostname=name if tls else None,
                )
        except (OSError, TimeoutError, ssl.SSLError, UnicodeError) as error:
            raise SipUnreachable(_why(error, self._limits.connect_seconds)) from error
        if not flow.is_closed:
            (self._streams_back if nameless else self._streams)[flow.peer] = flow
        return flow

    def on_connected(self, flow: StreamFlow, *, opened_by_us: bool) -> bool:
        """A connection is there. False: one too many. Whoever is trusted finds room, whatever strangers do."""
        peer = flow.peer
        if not opened_by_us:
            accepted, sender, of_one = self._of(peer)
            if accepted[sender] >= of_one or accepted.total() >= self._limits.connections:
                self._counters.refuse("connections")
                return False
            accepted[sender] += 1
            self._streams[peer] = flow
        self._all.add(flow)
        return True

    def on_lost(self, flow: StreamFlow, *, opened_by_us: bool) -> None:
        """A connection is gone."""
        peer = flow.peer
        if not opened_by_us:
            accepted, sender, _ = self._of(peer)
            accepted[sender] -= 1
            if not accepted[sender]:
                del accepted[sender]
        self._all.discard(flow)
        for streams in (self._streams, self._streams_back):
            if streams.get(peer) is flow:
                del streams[peer]
        self._told(flow)

    def _of(self, peer: SipAddress) -> tuple[Counter[str], str, int]:
        """The connections that are counted with those of this address, under which name, and how many it may have."""
        if peer.host in self._trusted:
            return self._accepted_of_trusted, peer.host, self._limits.connections
        return self._accepted, sender_of(peer.host), self._limits.connections_of_one

    # -- who we are -------------------------------------------------------------------------------------------------

    def place_of(self, flow: Flow, peer: Peer) -> SipAddress:
        """Where the other side of this flow reaches us for new requests."""
        transport = flow.local.transport
        listening = self._listening.get(transport)
        port = listening.port if listening is not None else flow.local.port
        if self._advertised is not None:
            host, advertised_port = self._advertised
            # One port is advertised for UDP and TCP; TLS has its own.
            return SipAddress(transport, host, (advertised_port if transport != "tls" else None) or port)
        return SipAddress(transport, self._host_of(flow, peer), port)

    def names_us(self, host: str, port: int, flow: Flow, peer: Peer) -> bool:
        """Whether this is what is advertised, or one of our sockets as the other side of this flow reaches them."""
        ports = {one.port for one in self._listening.values()}
        advertised, advertised_port = self._advertised or ("", None)
        if host == advertised and port in ({advertised_port} if advertised_port else ports):
            return True
        return port in ports and host == self._host_of(flow, peer)

    def via_of(self, flow: Flow, peer: Peer) -> str:
        """The beginning of our Via, up to where `;branch=` follows."""
        place = self.place_of(flow, peer)
        sent_by = host_port(place.host, place.port)
        self.places.add(sent_by)
        return f"SIP/2.0/{place.transport.upper()} {sent_by}"

    def contact_of(self, flow: Flow, peer: Peer, user: str = "") -> str:
        """Our URI as the other side of this flow reaches it."""
        place = self.place_of(flow, peer)
        who = f"{user}@" if user else ""
        port = None if place.port == DEFAULT_PORTS[place.transport] and place.transport != "tls" else place.port
        way = "" if place.transport == "udp" else f";transport={place.transport}"
        return f"sip:{who}{host_port(place.host, port)}{way}"

    def with_place(self, contact: str, flow: Flow, peer: Peer) -> str:
        """A Contact in which `HERE` stands for us."""
        return contact.replace(HERE, self.contact_of(flow, peer).removeprefix("sip:"))

    def _host_of(self, flow: Flow, peer: Peer) -> str:
        """Our end of this flow; of a socket that listens everywhere, what leads to its other side."""
        host = flow.local.host
        return self._route(address_of("udp", peer).host) if host in _WILDCARDS and peer else host

    def _route(self, address: str) -> str:
        """Our address on the way to this one: what the system would take."""
        known = self._routes.get(address)
        if known is not None:
            return known
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = "::1" if ":" in address else "127.0.0.1"
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address.partition("%")[0], 9))  # nothing is sent
            found = str(probe.getsockname()[0])
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        self._routes[address] = found
        return found


def _why(error: Exception, seconds: float) -> str:
    """What kept a connection from being made, in a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The other side's certificate is not trusted: {error.verify_message.rstrip('.')}."
    if isinstance(error, ssl.SSLError):
        return f"TLS could not be agreed on: {(error.reason or 'no reason given').lower().replace('_', ' ')}."
    if isinstance(error, TimeoutError) and not error.errno:
        return f"There is no answer in {seconds:g} s."
    if isinstance(error, OSError) and error.errno:
        return f"No connection could be made: {os.strerror(error.errno)}."
    return "No connection could be made."
