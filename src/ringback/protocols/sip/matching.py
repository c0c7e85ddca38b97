"""Which transaction a message belongs to, and where its answer goes.

Equal keys mean the same transaction. Besides branch, sent-by and method (RFC 3261 §17.2.3) a key holds Call-ID and the
number of CSeq, which are the same in all copies of a request, its CANCEL and its ACK: a peer that uses a branch twice,
or somebody who guessed one, does not get into a transaction of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from ringback.protocols.sip.message import Request, Response

MAGIC_COOKIE: Final = "z9hG4bK"
"""What the branch of everybody since 2002 begins with (§8.1.1.7)."""

Key: TypeAlias = str | tuple[object, ...]


def has_cookie(branch: str) -> bool:
    """Whether the branch alone names the transaction."""
    return len(branch) > len(MAGIC_COOKIE) and branch[:7].lower() == "z9hg4bk"


def server_key(request: Request, method: str) -> Key:
    """The transaction that a request belongs to as a `method`: its own, or INVITE for what an ACK or CANCEL is about.

    Without the cookie, as RFC 2543 did it: by URI and From tag as well.
    """
    via = request.via
    branch = via.branch
    # One text, since very many are kept; no part of it has a line end.
    key = f"{branch}\n{via.host}\n{via.port}\n{request.call_id}\n{request.cseq.number}\n{method}"
    return key if has_cookie(branch) else f"{key}\n{request.uri}\n{request.from_tag}"


def merged_key(request: Request) -> Key | None:
    """Requests outside of dialogs with the same key are one that came by two ways, by two branches (§8.2.2.2).

    The Request-URI is in it, other than in the RFC: phones that share this process may all be asked at once.
    """
    if request.to_tag is not None:
        return None
    return request.from_tag, request.call_id, request.cseq.number, request.method, request.uri


def answered_key(message: Request, our_tag: str | None, number: int) -> Key:
    """The INVITE of this number, answered with our tag, that a PRACK or the ACK to a 2xx is about."""
    return message.call_id, message.from_tag, our_tag, number


def client_key(response: Response) -> Key:
    """The transaction of ours that an answer belongs to (§17.1.3)."""
    return response.via.branch, response.cseq.method


def answer_port(request: Request, default: int) -> int:
    """The port that an answer by UDP goes to, at the address that the request came from (§18.2.2, RFC 3581 §4).

    `maddr` is not followed: it would let a stranger aim our answers at somebody else.
    """
    via = request.via
    return via.rport or via.port or default


def came_by_us(request: Request, ours: Iterable[str]) -> bool:
    """Whether one of the hops is one of ours (`host:port`, as we write it in Via): our own request has come back."""
    lines = request.headers.lines("Via")
    suspects = [place for place in ours if any(place in line for line in lines)]  # reading them all would cost more
    return bool(suspects) and any(via.sent_by in suspects for via in request.vias)
