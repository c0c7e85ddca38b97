"""A call that we make: INVITE, wherever redirections lead, early dialogs of several phones, ACK, CANCEL and BYE."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ringback.protocols.sip.dialog import Dialog
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.message import Request, Response
from ringback.sip import HERE, IncomingRequest, OutgoingTransaction, SipAddress, SipFailure, SipTimeout, next_hop
from ringback.softphone.errors import SipServerUnreachable
from ringback.softphone.sip_call import OnMove, PhoneCall
from ringback.softphone.sip_incoming import hop_of
from ringback.softphone.sip_sound import SDP, answer_sound, hear_answer, is_sound, offer_sound
from ringback.softphone.sip_unreachable import unreachable

if TYPE_CHECKING:
    from ringback.protocols.sip.headers import NameAddress
    from ringback.softphone.sip_media import CallMedia
    from ringback.softphone.sip_phone import SipPhone
    from ringback.softphone.sip_states import CallEnd

_TIMED_OUT = 408
_TERMINATED = 487
_CANCEL_SECONDS = 5.0
"""How long a cancelled call may take to say that it has ended."""
_NOBODY = frozenset({408, 480, 487})
_MOST_TARGETS = 20


class _Branch:
    """One INVITE on its way."""

    def __init__(self, request: Request, to: SipAddress) -> None:
        self.request = request
        self.to = to
        self.transaction: OutgoingTransaction | None = None
        self.is_provisional = False
        self.is_cancelled = False
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()


class OutgoingCall(PhoneCall):
    """A call to `target`. `early_dialogs`: the To tags that provisional answers had; a call may ring in many places."""

    def __init__(
        self,
        phone: SipPhone,
        target: str,
        *,
        call_id: str,
        media: CallMedia | None,
        on_move: OnMove | None,
        in_parallel: bool,
    ) -> None:
        super().__init__(call_id=call_id, peer=target, incoming=False, clock=phone.clock, media=media, on_move=on_move)
        self.early_dialogs: dict[str, int] = {}
        self.redirected_to: list[str] = []
        self._phone = phone
        self._in_parallel = in_parallel
        self._tag = phone.random(8).hex()
        self._number = 0
        self._tried: set[str] = set()
        self._branches: list[_Branch] = []
        self._dialog: Dialog | None = None
        self._hop = phone.server
        self._acks: dict[str, tuple[Request, SipAddress]] = {}
        self._given_up = False
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Sends the first INVITE."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def hang_up(self) -> None:
        """CANCEL before the answer, BYE after it; returns when the call is over."""
        if self.state == "ANSWERED":
            await self._bye()
            return
        self._given_up = True
        for branch in self._branches:
            self._cancel(branch)
        if self._running is not None:
            await asyncio.wait([self._running], timeout=_CANCEL_SECONDS)
            self._running.cancel()
        self.finish("cancelled", status=_TERMINATED)

    def takes(self, request: Request) -> bool:
        """Whether this request belongs to the call."""
        same = request.call_id == self.call_id and request.to_tag == self._tag
        return same and self._dialog is not None and request.from_tag == self._dialog.remote_tag

    def on_request(self, incoming: IncomingRequest) -> None:
        """A request within the dialog."""
        assert self._dialog is not None  # `takes` said so
        if not self._dialog.takes(incoming.request):
            incoming.respond(500)
        elif incoming.request.method == "BYE":
            incoming.respond(200)
            self.finish("hung up there")
        elif incoming.request.method == "INVITE" and self.state == "ANSWERED":
            body = answer_sound(self.media, incoming.request.body) if incoming.request.body else offer_sound(self.media)
            if body is None:
                incoming.respond(488)
            else:
                contact = ("Contact", f"<sip:{self._phone.account.user}@{HERE}>")
                incoming.respond(200, headers=[contact], body=body, content_type=SDP)
        else:
            incoming.respond(481 if self.state == "ENDED" else 405)

    # until somebody answers -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            answer = await self._ring(self.peer, self._phone.server)
        except SipFailure as error:
            status = _TIMED_OUT if isinstance(error, SipTimeout) else 0
            self.finish("failed", status=status, reason=unreachable(self._phone.server, error).message)
            return
        if self.state == "ANSWERED":
            return
        if self._given_up:
            self.finish("cancelled", status=_TERMINATED)
            return
        end: CallEnd = "no answer" if answer.status in _NOBODY else "refused"
        self.finish(end, status=answer.status, reason=answer.reason)

    async def _ring(self, uri: str, to: SipAddress) -> Response:
        """One target, and all that it leads to; the best answer. Raises SipFailure when none came at all."""
        self._tried.add(uri)
        asked: Counter[str] = Counter()
        while True:
            answer = await self._answer_of(_Branch(self._invite(uri), to))
            if self._given_up or not self._phone.authenticator.wants_proof(answer, asked):
                break
        if 200 <= answer.status < 300:
            return answer
        contacts = _ranked(answer) if 300 <= answer.status < 400 else []
        return await self._follow(answer, contacts)

    async def _follow(self, redirection: Response, groups: Sequence[list[NameAddress]]) -> Response:
        """Calls the contacts of a redirection in the order of their q, those of one q together when that is wanted."""
        best = redirection
        for group in groups:
            uris = [one.uri for one in group if one.uri not in self._tried and len(self._tried) < _MOST_TARGETS]
            batches = [uris] if self._in_parallel else [[uri] for uri in uris]
            for batch in filter(None, batches):
                if self._given_up or self.state in {"ANSWERED", "ENDED"}:
                    return best
                self.redirected_to += batch
                self.move("REDIRECTED", status=redirection.status, detail=", ".join(batch))
                answers = await asyncio.gather(*(self._ring_contact(uri) for uri in batch))
                best = _better(best, answers)
                if best.status < 300 or best.status >= 600:
                    return best
        return best

    async def _ring_contact(self, uri: str) -> Response:
        try:
            return await self._ring(uri, next_hop(uri))
        except SipFailure as error:
            return Response(_TIMED_OUT, str(error))

    def _invite(self, uri: str) -> Request:
        account = self._phone.account
        self._number += 1
        name = f'"{account.display_name}" ' if account.display_name else ""
        request = Request("INVITE", uri, body=offer_sound(self.media))
        headers = request.headers
        headers.add("From", f"{name}<{account.uri}>;tag={self._tag}")
        headers.add("To", f"<{self.peer}>")
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{self._number} INVITE")
        headers.add("Contact", f"<sip:{account.user}@{HERE}>")
        headers.add("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS")
        headers.add("Content-Type", SDP)
        return self._phone.authenticator.proved(request, self._number)

    async def _answer_of(self, branch: _Branch) -> Response:
        """Sends it and waits. Raises SipFailure."""
        if self._given_up:
            return Response(_TERMINATED, "Request Terminated")

        def on_failure(failure: SipFailure) -> None:
            if not branch.final.done():
                branch.final.set_exception(failure)

        self._branches.append(branch)
        try:
            branch.transaction = await self._phone.endpoint.start(
                branch.request,
                branch.to,
                on_response=lambda response: self._on_response(branch, response),
                on_failure=on_failure,
            )
            return await branch.final
        finally:
            self._branches.remove(branch)

    def _on_response(self, branch: _Branch, response: Response) -> None:
        """Each answer, and each copy of a 2xx."""
        if response.status < 200:
            self._on_provisional(branch, response)
            return
        if response.status < 300:
            self._on_success(branch, response)
        if not branch.final.done():
            branch.final.set_result(response)

    def _on_provisional(self, branch: _Branch, response: Response) -> None:
        branch.is_provisional = True
        if self._given_up:
            self._cancel(branch)
            return
        tag = response.to_tag
        if tag is not None:
            self.early_dialogs[tag] = response.status
        if is_sound(response):
            self.has_early_media = True
        if self.state in {"ANSWERED", "ENDED"}:
            return
        if response.status == 180 and self.state != "RINGING":
            self.move("RINGING", status=180)
        elif response.status > 100 and self.state in {"CALLING", "REDIRECTED"}:
            self.move("CONNECTING", status=response.status)

    def _on_success(self, branch: _Branch, response: Response) -> None:
        known = self._acks.get(response.to_tag or "")
        if known is not None:  # our ACK was lost
            self._spawn_transmit(*known)
            return
        try:
            dialog = Dialog.as_caller(branch.request, response)
        except SipMalformed:
            self.finish("failed", status=response.status, reason="the answer cannot be read")
            return
        hop = hop_of(dialog, branch.to)
        acknowledgement = dialog.request("ACK", number=branch.request.cseq.number)
        self._acks[response.to_tag or ""] = (acknowledgement, hop)
        self._spawn_transmit(acknowledgement, hop)
        if self._dialog is not None or self._given_up or self.state == "ENDED":
            self._spawn_bye(dialog, hop)  # somebody else was faster, or nobody waits any more (RFC 3261 §13.2.2.4)
            return
        self._dialog, self._hop = dialog, hop
        self.status = response.status
        self.move("ANSWERED", status=response.status)
        hear_answer(self.media, response.body)
        for other in self._branches:
            if other is not branch:
                self._cancel(other)

    def _cancel(self, branch: _Branch) -> None:
        """Once, and not before something was answered (RFC 3261 §9.1)."""
        if branch.transaction is None or not branch.is_provisional or branch.is_cancelled or branch.final.done():
            return
        branch.is_cancelled = True
        self._phone.endpoint.cancel(branch.transaction)

    # afterwards -------------------------------------------------------------------------------------------------------

    async def _bye(self) -> None:
        dialog = self._dialog
        self.finish("hung up here")
        if dialog is None:
            return
        try:
            await self._phone.send(dialog.request("BYE"), self._hop)
        except SipServerUnreachable:
            return  # they will notice

    def _spawn_bye(self, dialog: Dialog, hop: SipAddress) -> None:
        async def bye() -> None:
            await self._phone.endpoint.send(dialog.request("BYE"), hop)

        self._phone.endpoint.spawn(bye())

    def _spawn_transmit(self, ack: Request, to: SipAddress) -> None:
        self._phone.endpoint.spawn(self._phone.endpoint.transmit(ack, to))


def _ranked(redirection: Response) -> list[list[NameAddress]]:
    """The contacts, the best first, those of the same q together (RFC 3261 §8.1.3.4)."""
    try:
        contacts = [one for one in redirection.contacts if one.uri.lower().startswith(("sip:", "sips:"))]
    except SipMalformed:
        return []
    ranked = sorted(contacts, key=_rank)
    return [list(group) for _, group in groupby(ranked, key=_rank)]


def _rank(contact: NameAddress) -> float:
    try:
        return -float(contact.parameters.get("q") or "1")
    except ValueError:
        return -1.0


def _better(best: Response, answers: Sequence[Response]) -> Response:
    """2xx before 6xx before the rest; a refusal of a person before that of a machine (§16.7, step 6)."""

    def worth(answer: Response) -> tuple[int, int]:
        kind = answer.status // 100
        return ({2: 0, 6: 1}.get(kind, 2 if kind != 3 else 3), answer.status)

    return min([*answers, best], key=worth)
