"""Our own requests: client transactions, and the answers that find them. Source: RFC 3261 §17.1, §18.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.clock import Randomness
from ringback.protocols.sip.matching import MAGIC_COOKIE, Key, client_key
from ringback.protocols.sip.message import Request, Response
from ringback.protocols.sip.transactions import ClientInvite, ClientRequest, State, Timers
from ringback.sip.counters import SipCounters
from ringback.sip.model import SipFailure, SipTimeout, SipUnreachable
from ringback.sip.needs import Flow, Peer
from ringback.sip.wheel import Wheel

_MAX_FORWARDS = "70"


class OutgoingTransaction:
    """One request on its way.

    `on_response` hears of each answer once (of a 2xx to INVITE: of every copy), `on_failure` of the end without a final
    one.
    """

    __slots__ = ("_client", "flow", "key", "machine", "on_failure", "on_response", "peer", "request", "tick")

    def __init__(
        self,
        client: Client,
        request: Request,
        machine: ClientInvite | ClientRequest,
        flow: Flow,
        peer: Peer,
        *,
        on_response: Callable[[Response], None],
        on_failure: Callable[[SipFailure], None],
    ) -> None:
        self._client = client
        self.request = request
        self.machine = machine
        self.flow = flow
        self.peer = peer
        self.on_response = on_response
        self.on_failure = on_failure
        self.key: Key = (request.via.branch, request.method)
        self.tick = 0

    @property
    def due(self) -> float:
        """When it is next to be looked at, in the loop's seconds."""
        return self.machine.due

    @due.setter
    def due(self, value: float) -> None:
        self.machine.due = value

    @property
    def is_final(self) -> bool:
        """Whether the final answer came, or the request was given up."""
        return self.machine.state > State.PROCEEDING

    def received(self, response: Response, now: float) -> None:
        """An answer came."""
        machine = self.machine
        tells = machine.received(response.status, now)
        if isinstance(machine, ClientInvite) and machine.state is State.COMPLETED:
            data = machine.acknowledgement or acknowledgement(self.request, response).encode()
            self._client.transmit(self.flow, self.peer, data)
            machine.acknowledged_with(data)
        self._client.moved(self)
        tell = self.on_response
        if machine.state is State.COMPLETED:  # copies are absorbed for some seconds, and nobody is told any more
            self.on_response = self.on_failure = _ignore
        if tells:
            tell(response)

    def on_time(self, now: float) -> None:
        """`due` has come."""
        machine = self.machine
        data = machine.on_time(now)
        if data is not None:
            self._client.transmit(self.flow, self.peer, data)
        elif machine.state is State.TERMINATED:
            self._client.ended(self)
            if machine.is_timed_out:
                self.on_failure(SipTimeout("No answer came in time."))

    def failed(self, failure: SipFailure) -> None:
        """The way is gone."""
        was_final = self.is_final
        self.machine.abandon()
        self._client.moved(self)
        if not was_final:
            self.on_failure(failure)

    def forget(self) -> None:
        """Nobody waits for it any more: nothing is sent again, and nobody is told."""
        self.machine.abandon()
        self._client.moved(self)


def acknowledgement(request: Request, response: Response) -> Request:
    """The ACK to a final answer that is not 2xx: the same branch, the To of the answer (§17.1.1.3)."""
    ack = Request("ACK", request.uri)
    ack.headers.add("Via", str(request.via))
    for name in ("From", "Call-ID", "Route"):
        ack.headers.copy_from(request.headers, name)
    ack.headers.copy_from(response.headers, "To")
    ack.headers.add("CSeq", f"{request.cseq.number} ACK")
    ack.headers.add("Max-Forwards", _MAX_FORWARDS)
    return ack


def cancellation(request: Request) -> Request:
    """The CANCEL of an INVITE: the same branch and To (§9.1)."""
    cancel = Request("CANCEL", request.uri)
    cancel.headers.add("Via", str(request.via))
    for name in ("From", "To", "Call-ID", "Route"):
        cancel.headers.copy_from(request.headers, name)
    cancel.headers.add("CSeq", f"{request.cseq.number} CANCEL")
    cancel.headers.add("Max-Forwards", _MAX_FORWARDS)
    return cancel


class Client:
    """The client side of one endpoint."""

    def __init__(
        self, *, name: str, timers: Timers, counters: SipCounters, wheel: Wheel, randomness: Randomness
    ) -> None:
        self._name = name
        self._timers = timers
        self._counters = counters
        self._wheel = wheel
        self._randomness = randomness
        self._now = asyncio.get_running_loop().time
        self._known: dict[Key, OutgoingTransaction] = {}

    @property
    def transactions(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def start(
        self,
        request: Request,
        flow: Flow,
        peer: Peer,
        *,
        on_response: Callable[[Response], None],
        on_failure: Callable[[SipFailure], None],
    ) -> OutgoingTransaction:
        """Sends for the first time a request that was `dressed`.

        Raises SipUnreachable when it certainly cannot go out, ValueError when it cannot be written.
        """
        data = request.encode()
        now = self._now()
        make = ClientInvite if request.method == "INVITE" else ClientRequest
        machine = make(self._timers, data, now, reliable=flow.is_reliable)
        made = OutgoingTransaction(self, request, machine, flow, peer, on_response=on_response, on_failure=on_failure)
        if not self.transmit(flow, peer, data):
            raise SipUnreachable("It could not be sent.")
        self._known[made.key] = made
        self._wheel.place(made)
        return made

    def start_cancel(self, invite: OutgoingTransaction) -> None:
        """Cancels an INVITE that rings, on its branch; the answer says nothing that the INVITE's will not (§9.1)."""
        if invite.is_final:
            return
        cancel = cancellation(invite.request)
        data = cancel.encode()
        machine = ClientRequest(self._timers, data, self._now(), reliable=invite.flow.is_reliable)
        made = OutgoingTransaction(
            self, cancel, machine, invite.flow, invite.peer, on_response=_ignore, on_failure=_ignore
        )
        self._known[made.key] = made
        self.transmit(invite.flow, invite.peer, data)
        self._wheel.place(made)
        assert isinstance(invite.machine, ClientInvite)
        invite.machine.cancelled(self._now())
        self._wheel.place(invite)

    def dressed(self, request: Request, via: str) -> Request:
        """A copy with what every request of ours has, and a branch of its own; an earlier attempt's Via is replaced.

        `via`: what stands before `;branch=`.
        """
        made = Request(request.method, request.uri, request.headers.copy(), request.body)
        headers = made.headers
        headers.drop("Via")
        headers.prepend("Via", f"{via};branch={MAGIC_COOKIE}{self._randomness.bytes(12).hex()};rport")
        if "Max-Forwards" not in headers:
            headers.add("Max-Forwards", _MAX_FORWARDS)
        if "User-Agent" not in headers:
            headers.add("User-Agent", self._name)
        return made

    def on_response(self, response: Response) -> None:
        """An answer that somebody sent. What belongs to no request of ours is dropped (§18.1.2)."""
        found = self._known.get(client_key(response))
        if found is None or response.headers.get("Call-ID") != found.request.headers.get("Call-ID"):
            self._counters.refuse("unmatched_response")
            return
        found.received(response, self._now())

    def on_lost(self, flow: Flow) -> None:
        """A connection is gone: what waited on it is told at once (§18.4)."""
        for one in [one for one in self._known.values() if one.flow is flow]:
            one.failed(SipUnreachable("The connection was lost."))

    def close(self) -> None:
        """Whoever waits is told."""
        for one in list(self._known.values()):
            one.failed(SipUnreachable("The endpoint is closed."))
        self._known.clear()

    def transmit(self, flow: Flow, peer: Peer, data: bytes) -> bool:
        """Sends, and counts."""
        self._counters.sent += 1
        return flow.send(data, peer)

    def moved(self, one: OutgoingTransaction) -> None:
        """Its state changed."""
        self._wheel.place(one)
        if one.machine.state is State.TERMINATED:
            self.ended(one)

    def ended(self, one: OutgoingTransaction) -> None:
        """It is forgotten."""
        if self._known.get(one.key) is one:
            del self._known[one.key]


def _ignore(_: object) -> None:
    """Nobody waits."""
