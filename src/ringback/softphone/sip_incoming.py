"""A call that comes in: it rings, and is answered or rejected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.protocols.sip.dialog import Dialog
from ringback.sip import HERE, IncomingRequest, SipAddress, SipUnreachable, next_hop
from ringback.softphone.errors import CallMoveImpossible, SipServerUnreachable
from ringback.softphone.sip_call import PhoneCall
from ringback.softphone.sip_sound import SDP, answer_sound, hear_answer, offer_sound

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Request
    from ringback.softphone.sip_phone import SipPhone

_BUSY, _NOT_ACCEPTABLE = 486, 488


def hop_of(dialog: Dialog, otherwise: SipAddress) -> SipAddress:
    """Where its requests go; where its INVITE came from, or went, when the URI leads nowhere."""
    try:
        return next_hop(dialog.first_hop)
    except SipUnreachable:
        return otherwise


class IncomingCall(PhoneCall):
    """One INVITE from somebody else. Raises SipMalformed for one whose caller cannot be read."""

    def __init__(self, phone: SipPhone, incoming: IncomingRequest) -> None:
        request = incoming.request
        super().__init__(
            call_id=request.call_id,
            peer=request.from_.uri,
            incoming=True,
            clock=phone.clock,
            media=None,
            on_move=None,
        )
        self.display_name = request.from_.display_name or ""
        self._phone = phone
        self._invite = incoming
        self._offer = request.body
        self._dialog = Dialog.as_callee(request, incoming.to_tag)
        self._hanging_up: asyncio.Task[None] | None = None
        self._acknowledged = asyncio.Event()
        incoming.on_cancel = self._on_cancel
        incoming.on_acknowledged = self._on_acknowledged

    def ring(self) -> None:
        """180."""
        self._invite.respond(180, headers=[self._contact])
        self.move("RINGING", status=180)

    async def answer(self) -> None:
        """200, with sound where the phone has any and the two agree on a codec. Raises CallMoveImpossible."""
        if self.state != "RINGING":
            raise CallMoveImpossible(f"A call that is {self.state} cannot be answered.")
        self.media = await self._phone.new_media()
        body = answer_sound(self.media, self._offer) if self._offer else offer_sound(self.media)
        if body is None:
            self._invite.respond(_NOT_ACCEPTABLE)
            self.finish("refused", status=_NOT_ACCEPTABLE)
            return
        if not self._invite.respond(200, headers=[self._contact], body=body, content_type=SDP):
            return  # the caller was faster
        self.status = 200
        self.move("ANSWERED", status=200)

    async def reject(self, status: int = _BUSY) -> None:
        """The person does not want the call."""
        if self.state != "ENDED" and self._invite.respond(status):
            self.finish("refused", status=status)

    async def hang_up(self) -> None:
        """Rejects a call that rings, ends one that was answered; returns when it is over."""
        if self.state == "RINGING":
            await self.reject()
        elif self.state == "ANSWERED":
            await self._bye("hung up here")

    def takes(self, request: Request) -> bool:
        """Whether this request belongs to the call."""
        same = request.call_id == self.call_id and request.to_tag == self._invite.to_tag
        return same and request.from_tag == self._invite.request.from_tag

    def on_request(self, incoming: IncomingRequest) -> None:
        """A request within the dialog."""
        if not self._dialog.takes(incoming.request):
            incoming.respond(500)
        elif incoming.request.method == "BYE":
            incoming.respond(200)
            self.finish("hung up there")
        elif incoming.request.method == "INVITE" and self.state == "ANSWERED":
            body = answer_sound(self.media, incoming.request.body) if incoming.request.body else offer_sound(self.media)
            if body is None:
                incoming.respond(_NOT_ACCEPTABLE)
            else:
                incoming.respond(200, headers=[self._contact], body=body, content_type=SDP)
        else:
            incoming.respond(481 if self.state == "ENDED" else 405)

    def on_ack(self, ack: Request) -> None:
        """It has the answer to our offer, when the INVITE had none."""
        self._acknowledged.set()
        if not self._offer and ack.body and self.state == "ANSWERED":
            hear_answer(self.media, ack.body)

    @property
    def _contact(self) -> tuple[str, str]:
        return ("Contact", f"<sip:{self._phone.account.user}@{HERE}>")

    def _on_cancel(self) -> None:
        self.finish("cancelled", status=487)

    def _on_acknowledged(self, came: bool) -> None:  # noqa: FBT001 - the endpoint's signature
        if came:
            self._acknowledged.set()
        elif self.state == "ANSWERED":
            self._hanging_up = asyncio.get_running_loop().create_task(self._bye("failed"))

    async def _bye(self, end: str) -> None:
        self.finish(end)  # type: ignore[arg-type]  # both are ends of a call
        try:
            await self._phone.send(self._dialog.request("BYE"), hop_of(self._dialog, self._invite.source))
        except SipServerUnreachable:
            return  # they will notice
