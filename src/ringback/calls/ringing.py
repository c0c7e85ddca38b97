"""What both ways of ringing share: who calls, as the SIP request says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ringback.calls.model import Outcome
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import NameAddress, parse_name_address, split_elements
from ringback.protocols.sip.push_parameters import without_push_parameters
from ringback.protocols.sip.uri import STEERING, parse_uri

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Request

LONGEST_NAME = 128
LONGEST_URI = 256
ANONYMOUS = "sip:anonymous@anonymous.invalid"
"""RFC 3323 §4.1.1.3: the address of who does not want to be known."""
_HIDES = frozenset({"id", "user", "header"})
_STEERING = re.compile(f"[{STEERING}]")


class Caller(NamedTuple):
    """Who calls: the URI as text, and the name that is to be shown (may be empty)."""

    uri: str
    name: str


def caller_of(request: Request, *, trusted: bool) -> Caller:
    """Who calls. From a trusted proxy P-Asserted-Identity counts (RFC 3325 §9.1), else From.

    Who asks for privacy (RFC 3323 §4.2) is anonymous to the phone. Nothing in here raises: a caller that cannot be read
    is anonymous too.
    """
    asked = request.headers.get("Privacy")
    if asked is not None and _HIDES.intersection(part.strip().lower() for part in asked.split(";")):
        return Caller(ANONYMOUS, "")
    if trusted:
        for value in request.headers.elements("P-Asserted-Identity"):
            try:
                asserted = parse_name_address(value)
            except SipMalformed:
                continue
            if asserted.uri.lower().startswith(("sip:", "sips:", "tel:")):
                return _caller(asserted)
    return _caller(request.from_)


def end_by_cancel(reason: str) -> tuple[Outcome, str]:
    """Why the caller's side took the call back, and in words. `reason`: the CANCEL's Reason (RFC 3326), may be empty.

    A proxy that rang other phones as well says so when one of them has answered.
    """
    for element in split_elements(reason):
        protocol, *parameters = (part.strip().lower() for part in element.split(";"))
        if protocol == "sip" and "cause=200" in (part.replace(" ", "") for part in parameters):
            return Outcome.ANSWERED_ELSEWHERE, "another phone has answered"
    return Outcome.CANCELLED, "the caller gave up"


def contact_to_show(uri: str) -> str | None:
    """A contact as records may have it, without what its phone can be pushed with; None when it cannot be read.

    A proxy tells of contacts to the letter; a push token is nobody else's (RFC 8599 §14.1).
    """
    try:
        return str(without_push_parameters(parse_uri(uri)))
    except SipMalformed:
        return None


def readable(text: str) -> str:
    """Text of a message as it may be stored and shown.

    A byte that was no UTF-8 on the wire is a question mark, and so is what steers a terminal (an escape of eight bits).
    """
    if text.isascii():
        return text
    return _STEERING.sub("?", text.encode("utf-8", "replace").decode())


def _caller(address: NameAddress) -> Caller:
    return Caller(readable(address.uri[:LONGEST_URI]), _printable(address.display_name or "")[:LONGEST_NAME])


def _printable(text: str) -> str:
    """Without control characters and what was no UTF-8 on the wire: it goes into JSON and onto screens."""
    return "".join(letter for letter in text if letter.isprintable()).strip()
