"""A request of somebody else, from its first copy to the last: the server transaction as a handler sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from ringback.protocols.sip.matching import Key
from ringback.protocols.sip.message import Request
from ringback.protocols.sip.reliable import OPTION, RAck, ReliableAnswers, names_option
from ringback.protocols.sip.transactions import ServerInvite, ServerRequest, State
from ringback.sip.model import SipAddress
from ringback.sip.resolve import listens_at

if TYPE_CHECKING:
    from ringback.sip.counters import Reason
    from ringback.sip.needs import Flow, Peer, Unsent
    from ringback.sip.server import Server

_Answer: TypeAlias = tuple[int, str | None, list[tuple[str, str]], bytes, str | None]


class IncomingRequest:
    """One new request. Lean: tens of thousands are held at once.

    request: as it came, with `received` and `rport` in its Via. source: where it came from. local: our end of that way.
    to_tag: our tag, the same in every answer, or that of the dialog that the request belongs to.
    """

    __slots__ = (
        "_flow",
        "_key",
        "_machine",
        "_merged",
        "_peer",
        "_reliable",
        "_server",
        "cancel_reason",
        "local",
        "on_acknowledged",
        "on_cancel",
        "on_confirmed",
        "on_unheard",
        "on_unsent",
        "promptly",
        "request",
        "source",
        "tick",
        "to_tag",
    )

    def __init__(
        self, server: Server, request: Request, flow: Flow, peer: Peer, source: SipAddress, *, now: float
    ) -> None:
        self._server = server
        self._flow = flow
        self._peer = peer
        self._key: Key | None = None
        self._merged: Key | None = None
        self._reliable: _Reliable | None = None
        reliable = flow.is_reliable
        self._machine: ServerInvite | ServerRequest = (
            ServerInvite(server.timers, reliable=reliable)
            if request.method == "INVITE"
            else ServerRequest(server.timers, now, reliable=reliable)
        )
        self.tick = 0
        self.request = request
        self.source = source
        self.local = flow.local
        self.to_tag = request.to_tag or server.new_tag()
        self.cancel_reason = ""
        """INVITE: what Reason said in the CANCEL or BYE (RFC 3326); known when `on_cancel` is called."""
        self.on_cancel: Callable[[], None] | None = None
        """INVITE: the caller has gone; 200 to the CANCEL or BYE, and 487 to the INVITE, were sent."""
        self.on_acknowledged: Callable[[bool], None] | None = None
        """INVITE: the ACK to the final answer came (True), or did not come in time (False)."""
        self.on_confirmed: Callable[[Request], bytes] | None = None
        """INVITE: a PRACK came. It may answer our offer, or make a new one: returns the SDP that answers that."""
        self.on_unheard: Callable[[], None] | None = None
        """INVITE: nobody confirmed a reliable answer; 504 was sent. `on_cancel` is called where this is None."""
        self.on_unsent: Unsent | None = None
        """INVITE: the final answer found no way to the caller; it is told why."""
        self.promptly = False
        """INVITE: set in `on_request` by a handler that answers within 200 ms, with a 100 at least (RFC 3261 §17.2.1):
        no 100 is sent for it, so that a stranger's caller may still be asked again when `dismiss` was lost."""

    @property
    def is_over(self) -> bool:
        """Whether the final answer was given."""
        return self._machine.is_answered

    @property
    def due(self) -> float:
        """When it is next to be looked at, in the loop's seconds."""
        return self._machine.due

    @due.setter
    def due(self, value: float) -> None:
        self._machine.due = value

    @property
    def listens_at(self) -> SipAddress:
        """Where its sender takes connections; `source` may be one end of a connection that ends with it."""
        return listens_at(self.request.via, self.local.transport)

    @property
    def takes_reliable(self) -> bool:
        """Whether the caller understands reliable provisional answers (RFC 3262)."""
        headers = self.request.headers
        return names_option(headers, "Supported") or names_option(headers, "Require")

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> bool:
        """Answers. False when the final answer was given already, maybe by a CANCEL.

        Raises ValueError when a header field would start a new line. A 2xx waits for the PRACK to a reliable answer
        with a body (RFC 3262 §3).
        """
        if self._machine.is_answered:
            return False
        if self._reliable is not None and status >= 200:
            if status < 300 and self._reliable.holds_back:
                self._reliable.queue.append((status, reason, list(headers), body, content_type))
                return True
            self._reliable.stop()
        self._answer(status, reason, headers, body, content_type)
        return True

    def dismiss(self, status: int, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """Answers, and forgets it. False when it was answered already.

        For senders that nobody knows yet (RFC 3261 §26.3.2.4): where they say they are may be made up, so nobody there
        is sent the same answer again and again, and a flood of them fills no table. A repetition gets the same words
        as long as few others came; later it is a new request.
        """
        if self._machine.is_answered:
            return False
        self._machine.abandon()
        self._server.dismiss(self, status, reason, headers)
        return True

    def count(self, reason: Reason) -> None:
        """Says why it is refused, for the figures of this endpoint."""
        self._server.counters.refuse(reason)

    def hangs_up(self) -> bool:
        """A BYE: ends the INVITE that its tags name, which rings (RFC 3261 §15), and is answered. False: none does."""
        invite = self._server.ringing(self.request)
        if invite is None:
            return False
        self.respond(200)
        invite.cancelled(", ".join(self.request.headers.lines("Reason")))
        return True

    def respond_reliably(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> bool:
        """A provisional answer (101–199) to an INVITE that is repeated until the caller confirms it.

        Like `respond` when the caller does not know how. While one waits for its PRACK, the next ones wait for it.
        """
        if not 100 < status < 200 or not isinstance(self._machine, ServerInvite) or not self.takes_reliable:
            return self.respond(status, reason, headers=headers, body=body, content_type=content_type)
        if self._machine.is_answered:
            return False
        if self._reliable is None:
            self._reliable = _Reliable(self, self._server)
        answer = (status, reason, list(headers), body, content_type)
        if self._reliable.answers.waiting is not None:
            self._reliable.queue.append(answer)
        else:
            self._answer_reliably(answer)
        return True

    def names_us(self, host: str, port: int) -> bool:
        """Whether this is where the sender reaches us."""
        return self._server.names_us(self, host, port)

    def lighten(self) -> None:
        """It is kept for long: what no answer of ours needs of it is let go, its body and most of its header."""
        self.request.keep_for_answers()

    # What follows is for the server of this room.

    def begin(self, key: Key, merged: Key | None) -> None:
        """It stands in the tables under these keys."""
        self._key, self._merged = key, merged

    @property
    def keys(self) -> tuple[Key | None, Key | None]:
        """As `begin` was told."""
        return self._key, self._merged

    @property
    def reliable_answers(self) -> ReliableAnswers | None:
        """Those that wait for a PRACK, or did."""
        return self._reliable.answers if self._reliable is not None else None

    @property
    def is_accepted(self) -> bool:
        """Whether it is an INVITE answered with 2xx."""
        return self._machine.state is State.ACCEPTED

    @property
    def is_terminated(self) -> bool:
        """Whether nothing of it is to come."""
        return self._machine.state is State.TERMINATED

    @property
    def was_answered(self) -> bool:
        """Whether anything was answered, provisional or final."""
        return self._machine.state is not State.TRYING

    @property
    def wants_more(self) -> bool:
        """Whether an answer, or the ACK to it, is missing."""
        machine = self._machine
        if not machine.is_answered:
            return True
        return isinstance(machine, ServerInvite) and not machine.is_acknowledged and not self.is_terminated

    @property
    def flow(self) -> Flow:
        """The way that it came."""
        return self._flow

    @property
    def peer(self) -> Peer:
        """Where answers go by UDP."""
        return self._peer

    def repeated(self) -> None:
        """The same request came again."""
        data = self._machine.repeated()
        if data is not None:
            self._server.send_answer(self._flow, self._peer, data, self.request)

    def acknowledged(self) -> None:
        """The ACK to the final answer came."""
        machine = self._machine
        if isinstance(machine, ServerInvite) and machine.acknowledged(self._server.now()):
            self.on_unsent = None
            told = self.on_acknowledged
            self._server.moved(self)
            if told is not None:
                told(True)

    def cancelled(self, reason: str = "") -> None:
        """A CANCEL or BYE came and was answered. `reason`: its Reason."""
        self.cancel_reason = reason
        is_stranger = self.promptly and not self.was_answered
        told = self.on_cancel
        if (self.dismiss(487) if is_stranger else self.respond(487)) and told is not None:
            told()

    def confirmed(self, prack: IncomingRequest, rack: RAck) -> bool:
        """A PRACK came, and is answered. False when there is nothing that it confirms."""
        if self._reliable is None or not self._reliable.answers.confirmed(rack):
            return False
        self._server.wheel.place(self._reliable)
        body = self.on_confirmed(prack.request) if self.on_confirmed is not None else b""
        prack.respond(200, body=body, content_type="application/sdp" if body else None)
        # What waited for the PRACK may be sent now.
        while not self.is_over and (answer := self._reliable.next()) is not None:
            if answer[0] < 200:
                self._answer_reliably(answer)
            else:
                self._reliable.stop()
                self._answer(*answer)
        return True

    def unheard(self) -> None:
        """Nobody confirmed a reliable answer (RFC 3262 §3)."""
        self._server.counters.refuse("unacknowledged")
        told = self.on_unheard or self.on_cancel
        if self.respond(504) and told is not None:
            told()

    def on_time(self, now: float) -> None:
        """`due` has come."""
        machine = self._machine
        data = machine.on_time(now)
        if data is not None:
            self._server.send_answer(self._flow, self._peer, data, self.request)
            return
        if machine.state is State.TERMINATED:
            unacknowledged = isinstance(machine, ServerInvite) and not machine.is_acknowledged
            told = self.on_acknowledged
            self._server.ended(self)
            if unacknowledged:
                self._server.counters.refuse("unacknowledged")
                if told is not None:
                    told(False)

    def release(self) -> None:
        """It has ended: whoever was to be told is let go, so that no ring of references waits for the collector."""
        self.on_cancel = self.on_acknowledged = self.on_confirmed = self.on_unheard = self.on_unsent = None
        if self._reliable is not None:
            self._reliable.stop()
            self._reliable = None

    def send_reliably_again(self, data: bytes) -> None:
        """One that was not confirmed yet."""
        self._server.send_answer(self._flow, self._peer, data, self.request)

    def _answer(
        self, status: int, reason: str | None, headers: Iterable[tuple[str, str]], body: bytes, content_type: str | None
    ) -> bytes:
        data = self._server.written(self, status, reason, headers, body, content_type)
        self._machine.respond(status, data, self._server.now())
        unsent = self._unsent if status >= 200 else None
        self._server.send_answer(self._flow, self._peer, data, self.request, unsent)
        if status >= 200 and isinstance(self._machine, ServerRequest):
            until = self._machine.due
            self._machine.abandon()
            self._server.answered(self, data, until)
        else:
            self._server.moved(self)
        return data

    def _unsent(self, reason: str) -> None:
        if self.on_unsent is not None:
            self.on_unsent(reason)

    def _answer_reliably(self, answer: _Answer) -> None:
        assert self._reliable is not None
        status, reason, headers, body, content_type = answer
        numbered = [*headers, ("Require", OPTION), ("RSeq", str(self._reliable.answers.rseq + 1))]
        data = self._answer(status, reason, numbered, body, content_type)
        self._reliable.answers.sent(data, self._server.now())
        self._reliable.has_body = bool(body)
        self._server.wheel.place(self._reliable)
        self._server.expects(self)


class _Reliable:
    """The reliable answers of one INVITE in the wheel, and what waits behind them. Few calls have one."""

    __slots__ = ("_incoming", "_server", "answers", "has_body", "queue", "tick")

    def __init__(self, incoming: IncomingRequest, server: Server) -> None:
        self._incoming = incoming
        self._server = server
        self.answers = ReliableAnswers(server.timers, server.first_rseq())
        self.queue: deque[_Answer] = deque()
        self.has_body = False
        self.tick = 0

    @property
    def due(self) -> float:
        return self.answers.due

    @due.setter
    def due(self, value: float) -> None:
        self.answers.due = value

    @property
    def holds_back(self) -> bool:
        """Whether a 2xx has to wait."""
        return bool(self.queue) or (self.has_body and self.answers.waiting is not None)

    def next(self) -> _Answer | None:
        """What may be sent now of that which waits: a 2xx waits for a body that was not confirmed, others for all."""
        if not self.queue:
            return None
        waits = self.answers.waiting is not None and (self.has_body or self.queue[0][0] < 200)
        return None if waits else self.queue.popleft()

    def stop(self) -> None:
        self.queue.clear()
        self.answers.stop()
        self._server.wheel.place(self)

    def on_time(self, now: float) -> None:
        data = self.answers.on_time(now)
        if data is not None:
            self._incoming.send_reliably_again(data)
        elif self.answers.is_given_up:
            self._incoming.unheard()
