"""The requests of others: which are new, which are refused before anybody is bothered, and what repetitions get.

Sources: RFC 3261 §8.2, §9.2, §17.2.3, §18.2; RFC 3262 §3.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from ringback.clock import Randomness
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.matching import Key, answer_port, answered_key, came_by_us, merged_key, server_key
from ringback.protocols.sip.message import Request, Response, response_to
from ringback.protocols.sip.reliable import parse_rack
from ringback.protocols.sip.transactions import NEVER, Timers
from ringback.sip.abilities import Abilities, Refusal
from ringback.sip.connections import Connections
from ringback.sip.counters import Reason, SipCounters
from ringback.sip.incoming import IncomingRequest
from ringback.sip.model import DEFAULT_PORTS, HERE, SipAddress, SipLimits
from ringback.sip.needs import Flow, Peer, SipHandler, Unsent
from ringback.sip.replies import Replies
from ringback.sip.resolve import listens_at
from ringback.sip.wheel import Wheel

_MOST_DISMISSED: Final = 2_000
_LONGEST_KEPT: Final = 2_000
"""Bytes of an answer that is kept for a repetition."""


class Server:
    """The server side of one endpoint."""

    def __init__(
        self,
        handler: SipHandler,
        *,
        name: str,
        limits: SipLimits,
        timers: Timers,
        counters: SipCounters,
        wheel: Wheel,
        randomness: Randomness,
        abilities: Abilities,
        ways: Connections,
        open_again: Callable[[SipAddress, str, bytes, Unsent | None], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.timers = timers
        self.counters = counters
        self.wheel = wheel
        self.now = asyncio.get_running_loop().time
        self.is_draining = False
        self.is_leaving = False
        self.calls = 0
        """INVITEs that wait for their final answer."""
        self.abilities = abilities
        self._handler = handler
        self._name = name
        self._limits = limits
        self._randomness = randomness
        self._ways = ways
        self._open_again = open_again
        self._failed = failed
        self._secret = randomness.bytes(16)
        self._known: dict[Key, IncomingRequest] = {}
        self._unanswered: dict[Key, IncomingRequest] = {}
        self._answered: dict[Key, IncomingRequest] = {}
        self._ringing: dict[str, IncomingRequest] = {}
        """INVITEs that wait for their final answer, by our tag."""
        self._dismissed: dict[Key, bytes] = {}
        self._replies = Replies(wheel, timers.patience / 32)

    @property
    def transactions(self) -> int:
        """How many are remembered."""
        return len(self._known) + len(self._replies)

    # -- what comes -------------------------------------------------------------------------------------------------

    def on_request(self, request: Request, flow: Flow, peer: Peer, source: SipAddress) -> None:
        """One request, whole and sound. Raises SipMalformed for what nobody could answer."""
        peer = _way_back(request, flow, peer, source)
        method = request.method
        if method == "ACK":
            self._on_ack(request, source)
            return
        key = server_key(request, method)
        known = self._known.get(key)
        reply = self._replies.get(key) or self._dismissed.get(key) if known is None else None
        if known is not None:
            known.repeated()
        elif reply is not None:
            self.send_answer(flow, peer, reply, request)
        elif method == "CANCEL":
            self._on_cancel(request, flow, peer, source)
        else:
            self._on_new(request, key, flow, peer, source)

    def on_malformed(self, malformed: SipMalformed, flow: Flow, peer: Peer, source: SipAddress) -> None:
        """A message that breaks the grammar: answered where enough of it could be read."""
        self.counters.refuse("malformed")
        request = malformed.request
        if request is None or request.method == "ACK":
            return
        peer = _way_back(request, flow, peer, source)
        self._refuse(request, flow, peer, malformed.status, malformed.reason)

    def on_oversize(self, request: Request, flow: Flow, peer: Peer, source: SipAddress) -> None:
        """The beginning of a message that is too long."""
        peer = _way_back(request, flow, peer, source)
        self._refuse(request, flow, peer, 513)

    def _on_ack(self, ack: Request, source: SipAddress) -> None:
        invite = self._known.get(server_key(ack, "INVITE"))
        if invite is None:
            invite = self._answered.get(answered_key(ack, ack.to_tag, ack.cseq.number))
        elif invite.source.host != source.host:  # it goes from hop to hop, as CANCEL does
            self.counters.refuse("forged")
            return
        if invite is not None:
            invite.acknowledged()
            if not invite.is_accepted:
                return
        self._handler.on_ack(ack, source)

    def _on_cancel(self, cancel: Request, flow: Flow, peer: Peer, source: SipAddress) -> None:
        """§9.2. Not remembered: a repetition finds the INVITE as it is, and gets the same answer."""
        invite = self._known.get(server_key(cancel, "INVITE"))
        if invite is not None and (invite.source.host != source.host or invite.request.from_tag != cancel.from_tag):
            self.counters.refuse("forged")
            invite = None
        elif invite is None:
            self.counters.refuse("unmatched_cancel")
        if invite is None:
            self._refuse(cancel, flow, peer, 481)
            return
        self._send_stateless(response_to(cancel, 200, to_tag=invite.to_tag), cancel, flow, peer)
        invite.cancelled(", ".join(cancel.headers.lines("Reason")))

    def _on_prack(self, prack: Request, key: Key, flow: Flow, peer: Peer, source: SipAddress) -> None:
        try:
            rack = parse_rack(prack.headers.get("RAck"))
        except SipMalformed as malformed:
            self._refuse(prack, flow, peer, 400, malformed.reason)
            return
        invite = self._answered.get(answered_key(prack, prack.to_tag, rack.number))
        answers = invite.reliable_answers if invite is not None else None
        if invite is None or answers is None or rack.method != "INVITE" or rack.rseq != answers.waiting:
            self.counters.refuse("unmatched_prack")
            self._refuse(prack, flow, peer, 481)
            return
        incoming = IncomingRequest(self, prack, flow, peer, source, now=self.now())
        self._remember(incoming, key, None)
        if not invite.confirmed(incoming, rack):
            incoming.respond(481)

    def _on_new(self, request: Request, key: Key, flow: Flow, peer: Peer, source: SipAddress) -> None:
        if flow.is_behind and request.method == "INVITE":
            self.counters.refuse("late")  # who still waits sends it again; nobody else is to be called any more
            return
        merged = merged_key(request)
        refusal = self._refusal(request, merged)
        if refusal is not None:
            reason, status, headers = refusal
            self.counters.refuse(reason)
            self._refuse(request, flow, peer, status, headers=headers)
            return
        method = request.method
        if method == "PRACK":
            self._on_prack(request, key, flow, peer, source)
            return
        if method == "OPTIONS" and self.abilities.answers_options:
            self._refuse(request, flow, peer, 200, headers=self.abilities.headers)
            return
        incoming = IncomingRequest(self, request, flow, peer, source, now=self.now())
        self._remember(incoming, key, merged)
        try:
            self._handler.on_request(incoming)
        except Exception as error:  # noqa: BLE001 whatever it is, the caller gets an answer and the loop goes on
            self._failed(error)
            incoming.respond(500)
        if method == "INVITE" and not incoming.was_answered and not incoming.promptly:
            incoming.respond(100)

    # -- what is refused here ---------------------------------------------------------------------------------------

    def _refusal(self, request: Request, merged: Key | None) -> Refusal | None:
        """Why nobody is bothered with this request, with the status and what explains it."""
        outside = merged is not None
        found = self._astray(request, merged) if outside else None
        return found or self.abilities.refusal(request) or self._overload(request.method, outside=outside)

    def _astray(self, request: Request, merged: Key | None) -> Refusal | None:
        """It came too far, twice, or back (§8.2.2.2, §16.3). Within a dialog it is where it belongs."""
        if request.max_forwards == 0 and request.method != "OPTIONS":
            return "hops", 483, []
        if merged in self._unanswered:
            return "merged", 482, []
        if not self._limits.takes_own_requests and came_by_us(request, self._ways.places):
            return "loop", 482, []
        return None

    def _overload(self, method: str, *, outside: bool) -> Refusal | None:
        busy: Reason
        if outside and (self.is_draining or (self.is_leaving and method == "OPTIONS")):
            busy = "draining"
        elif method == "INVITE" and outside and self.calls >= self._limits.calls:
            busy = "calls"
        elif self.transactions >= self._limits.transactions:
            busy = "transactions"
        else:
            return None
        return busy, 503, [("Retry-After", str(self._limits.retry_after_seconds))]

    def _refuse(
        self,
        request: Request,
        flow: Flow,
        peer: Peer,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
    ) -> bytes | None:
        """Answers without remembering anything (§8.2.7): a repetition is refused in the same words, tag included.

        What was sent; None when no answer can be made.
        """
        seed = "\n".join((request.via.branch, request.headers.get("Call-ID") or "", request.headers.get("CSeq") or ""))
        tag = hashlib.blake2b(seed.encode("utf-8", "surrogateescape"), digest_size=8, key=self._secret).hexdigest()
        try:
            response = response_to(request, status, reason, to_tag=tag, headers=headers)
        except (SipMalformed, ValueError):
            return None  # not even To can be read
        return self._send_stateless(response, request, flow, peer)

    def _send_stateless(self, response: Response, request: Request, flow: Flow, peer: Peer) -> bytes:
        response.headers.add("Server", self._name)
        data = response.encode()
        self.send_answer(flow, peer, data, request)
        return data

    def dismiss(
        self, incoming: IncomingRequest, status: int, reason: str | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        """It is answered like what is refused here, and forgotten, but for the words of the answer.

        Those of the last ones are kept, so that a repetition that was under way gets the same challenge, not another.
        """
        self.wheel.place(incoming)
        key, _ = incoming.keys
        self.ended(incoming)
        data = self._refuse(incoming.request, incoming.flow, incoming.peer, status, reason, headers=headers)
        if key is not None and data is not None and len(data) <= _LONGEST_KEPT:
            self._dismissed[key] = data
            if len(self._dismissed) > _MOST_DISMISSED:
                del self._dismissed[next(iter(self._dismissed))]

    def ringing(self, bye: Request) -> IncomingRequest | None:
        """The INVITE whose early dialog this request is within."""
        invite = self._ringing.get(bye.to_tag or "")
        if invite is None:
            return None
        asked = invite.request
        return invite if (asked.call_id, asked.from_tag) == (bye.call_id, bye.from_tag) else None

    # -- for transactions -------------------------------------------------------------------------------------------

    def new_tag(self) -> str:
        """64 bits that nobody can guess (§19.3)."""
        return self._randomness.bytes(8).hex()

    def first_rseq(self) -> int:
        """1 to 2**31-1, with room for those that follow (RFC 3262 §3)."""
        return int.from_bytes(self._randomness.bytes(4), "big") % (2**30) + 1

    def names_us(self, incoming: IncomingRequest, host: str, port: int) -> bool:
        """Whether this is where its sender reaches us."""
        return self._ways.names_us(host, port, incoming.flow, incoming.peer)

    def written(
        self,
        incoming: IncomingRequest,
        status: int,
        reason: str | None,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        content_type: str | None,
    ) -> bytes:
        """The bytes of an answer, with what every answer of ours says. Raises ValueError."""
        request = incoming.request
        response = response_to(
            request, status, reason, to_tag=incoming.to_tag, headers=headers, body=body, content_type=content_type
        )
        made = response.headers
        if 100 < status < 300 and request.method == "INVITE":
            own = made.get("Contact")
            if own is None:
                made.add("Contact", f"<{self._ways.contact_of(incoming.flow, incoming.peer)}>")
            elif HERE in own:
                made.put("Contact", self._ways.with_place(own, incoming.flow, incoming.peer))
        if status > 100:
            made.add("Server", self._name)
        return response.encode()

    def send_answer(self, flow: Flow, peer: Peer, data: bytes, request: Request, unsent: Unsent | None = None) -> None:
        """Back the way that the request came; where that is gone, to its Via (§18.2.2)."""
        self.counters.sent += 1
        if flow.send(data, peer):
            return
        if not flow.is_reliable or not flow.is_closed:
            self.counters.refuse("unsendable")
            if unsent is not None:
                unsent("It could not be sent.")
            return
        self._open_again(listens_at(request.via, flow.local.transport), request.via.host, data, unsent)

    def moved(self, incoming: IncomingRequest) -> None:
        """It was answered, or its ACK came."""
        self.wheel.place(incoming)
        if not incoming.is_over:
            return
        self._settle(incoming)
        if incoming.is_accepted:
            self.expects(incoming)
        if incoming.is_terminated:
            self.ended(incoming)

    def answered(self, incoming: IncomingRequest, data: bytes, until: float) -> None:
        """Something other than an INVITE has its final answer; a repetition gets the same `until` then."""
        self.wheel.place(incoming)
        self.ended(incoming)
        key, _ = incoming.keys
        if key is not None and until != NEVER:
            self._replies.keep(key, data, until)

    def expects(self, incoming: IncomingRequest) -> None:
        """A PRACK, or the ACK to a 2xx, will name this INVITE by its dialog."""
        self._answered[self._answered_key(incoming)] = incoming

    def ended(self, incoming: IncomingRequest) -> None:
        """It is forgotten."""
        self._settle(incoming)
        incoming.release()
        key, _ = incoming.keys
        if key is not None and self._known.get(key) is incoming:
            del self._known[key]
        if self._answered and incoming.request.method == "INVITE":
            answered = self._answered_key(incoming)
            if self._answered.get(answered) is incoming:
                del self._answered[answered]

    def _settle(self, incoming: IncomingRequest) -> None:
        """It waits for no answer any more."""
        _, merged = incoming.keys
        if merged is not None and self._unanswered.get(merged) is incoming:
            del self._unanswered[merged]
            if incoming.request.method == "INVITE":
                del self._ringing[incoming.to_tag]
                self.calls -= 1

    def _remember(self, incoming: IncomingRequest, key: Key, merged: Key | None) -> None:
        incoming.begin(key, merged)
        self._known[key] = incoming
        if merged is not None:
            self._unanswered[merged] = incoming
            if incoming.request.method == "INVITE":
                self._ringing[incoming.to_tag] = incoming
                self.calls += 1
        self.wheel.place(incoming)

    def _answered_key(self, incoming: IncomingRequest) -> Key:
        request = incoming.request
        return answered_key(request, incoming.to_tag, request.cseq.number)

    async def quiet(self, seconds: float) -> None:
        """Waits until every request is answered and every answer acknowledged, but not longer than that."""
        until = self.now() + seconds
        # Looked at now and then: this happens once in a process, and an event would cost each call something.
        while self.now() < until and any(one.wants_more for one in self._known.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _way_back(request: Request, flow: Flow, peer: Peer, source: SipAddress) -> Peer:
    """Notes in Via where the request came from, and says where its answers go (§18.2.1, §18.2.2)."""
    request.came_from(source.host, source.port)
    if flow.is_reliable:
        return peer
    port = answer_port(request, DEFAULT_PORTS["udp"])
    return peer if port == peer[1] else (peer[0], port, *peer[2:])
