"""What a SIP peer of these tests answers: lines of text, so that every mistake of ours meets somebody else's SIP."""

from __future__ import annotations

from tests.calls.peer import CRLF, Message, Peer, write

ECHOED = ("Via", "From", "Call-ID", "CSeq")


def sdp(port: int, *, codecs: str = "8 0", host: str = "127.0.0.1") -> str:
    """A description of one stream."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP {codecs}"]
    return CRLF.join([*lines, ""])


def answer(
    peer: Peer,
    request: Message,
    status: int,
    *,
    tag: str = "",
    fields: tuple[tuple[str, str], ...] = (),
    body: str = "",
    reason: str = "Said",
) -> None:
    """Sends a response to where the request came from, by its Via."""
    echoed = [(name, value) for name in ECHOED for value in request.all(name)]
    to = request.get("To")
    if tag and ";tag=" not in to:
        to += f";tag={tag}"
    told = [*echoed, ("To", to), *fields]
    if body:
        told.append(("Content-Type", "application/sdp"))
    peer.send(write(f"SIP/2.0 {status} {reason}", told, body), sent_by(request))


def accept(peer: Peer, invite: Message, tag: str, port: int = 40_000) -> None:
    """200 to an INVITE."""
    contact = ("Contact", f"<sip:callee@{peer.address}>")
    answer(peer, invite, 200, tag=tag, fields=(contact,), body=sdp(port))


def sent_by(request: Message) -> tuple[str, int]:
    """Where answers to a request go."""
    host, _, port = request.get("Via").split(";")[0].split(" ")[1].rpartition(":")
    return host, int(port)


def request(
    peer: Peer,
    method: str,
    uri: str,
    *,
    call_id: str = "call-1",
    number: int = 1,
    branch: str = "one",
    from_tag: str = "theirs",
    to_tag: str = "",
    fields: tuple[tuple[str, str], ...] = (),
    body: str = "",
) -> bytes:
    """A request of the peer's own."""
    to = "<sip:bob@example.org>" + (f";tag={to_tag}" if to_tag else "")
    told = [
        ("Via", f"SIP/2.0/UDP {peer.address};branch=z9hG4bK{branch}"),
        ("Max-Forwards", "70"),
        ("From", f'"Alice" <sip:alice@example.org>;tag={from_tag}'),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{number} {method}"),
        *fields,
    ]
    if method == "INVITE":
        told.append(("Contact", f"<sip:alice@{peer.address}>"))
    if body:
        told.append(("Content-Type", "application/sdp"))
    return write(f"{method} {uri} SIP/2.0", told, body)


def media_address(message: Message) -> tuple[str, int]:
    """Where the writer of a description listens."""
    lines = message.body.split(CRLF)
    host = next(line.split(" ")[2] for line in lines if line.startswith("c="))
    port = next(line.split(" ")[1] for line in lines if line.startswith("m="))
    return host, int(port)
