"""What a call is for the person who holds the phone: its states, their transitions as one table, and what they mean."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ringback.softphone.errors import CallMoveImpossible

CallState = Literal["CALLING", "CONNECTING", "REDIRECTED", "RINGING", "ANSWERED", "ENDED"]

CALL_MOVES: Final[dict[CallState, frozenset[CallState]]] = {
    # The INVITE is on its way; 100 says only that somebody has it.
    "CALLING": frozenset({"CONNECTING", "REDIRECTED", "RINGING", "ANSWERED", "ENDED"}),
    # 183: something is done about it, and there may be something to hear. Forked: another one may be ringing.
    "CONNECTING": frozenset({"REDIRECTED", "RINGING", "ANSWERED", "ENDED"}),
    # 3xx: the call goes on to the contacts that it was given.
    "REDIRECTED": frozenset({"REDIRECTED", "CONNECTING", "RINGING", "ANSWERED", "ENDED"}),
    # 180: a phone rings. Its owner may have said where else to look for them.
    "RINGING": frozenset({"CONNECTING", "REDIRECTED", "ANSWERED", "ENDED"}),
    "ANSWERED": frozenset({"ENDED"}),
    "ENDED": frozenset(),
}
"""Both directions: a call that comes in has been made by somebody else, and rings next."""

CallEnd = Literal["", "hung up here", "hung up there", "cancelled", "refused", "no answer", "failed"]
"""Why a call ended: by whom, or what became of it."""

_MEANINGS: Final[dict[int, str]] = {
    400: "the server did not understand the call",
    401: "the server wants a password; it took none of this account's",
    403: "this account may not call there",
    404: "there is nobody of this name",
    407: "the proxy wants a password; it took none of this account's",
    408: "nobody answered in time",
    410: "there is nobody of this name any more",
    415: "the other side does not take this kind of call",
    420: "the other side lacks an extension",
    480: "the phone could not be reached: it is off, has no network, or did not wake up in time",
    481: "the other side does not know of this call",
    482: "the call went round in a circle",
    483: "the call went through too many servers",
    484: "the address is not complete",
    486: "the person is on the phone, or rejected the call",
    487: "the call was cancelled",
    488: "the two phones have no codec in common",
    500: "the server has a fault",
    503: "the server has too many calls at the moment",
    504: "a server behind the server did not answer",
    600: "the person is on the phone everywhere",
    603: "the person does not want this call",
    604: "there is nobody of this name anywhere",
}


def meaning(status: int, reason: str = "") -> str:
    """What a final status tells a caller, in words; for one without a meaning here, its own reason."""
    if status in _MEANINGS:
        return _MEANINGS[status]
    return reason or f"the call failed ({status})"


class CallMove(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One step of a call: `after_ms` since it began, the state that it came to, and the SIP status that said so."""

    after_ms: int
    state: CallState
    status: int = 0
    detail: str = ""


def check_move(now: CallState, then: CallState) -> None:
    """Raises CallMoveImpossible when the table has no such transition."""
    if then not in CALL_MOVES[now]:
        raise CallMoveImpossible(f"A call that is {now} cannot become {then}.")
