"""What cannot be read as SIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Request


class SipMalformed(ValueError):
    """A message, or a part of it, breaks the grammar.

    reason: a short text without anything that the sender wrote; it may be the reason phrase of the answer.
    request: what could be read, when that is enough to answer (Via, From, To, Call-ID and CSeq are there, and it is
    no ACK); its Via can be parsed, whatever else cannot.
    status: what to answer: 400, or 505 for another version of SIP.
    """

    def __init__(self, reason: str, request: Request | None = None, *, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request = request
        self.status = status
