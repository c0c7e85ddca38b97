"""SIP as the load speaks it: bytes put together from templates, and read by looking only for what is needed.

It trusts what it reads, as a load may: header fields stand in their long form, each on a line of its own, as
Ringback and Kamailio write them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ECHOED = re.compile(rb"\r\n((?:Via|Record-Route|From|Call-ID|CSeq):[^\r]*)", re.IGNORECASE)
_HEADERS = {
    name: re.compile(rb"\r\n" + name.encode() + rb"[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)
    for name in ("Call-ID", "CSeq", "To", "Contact", "Record-Route", "WWW-Authenticate", "Proxy-Authenticate")
}
_ADDRESS = re.compile(rb"<sips?:(?:[^@>]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d+))?([^>]*)>")
_URI = re.compile(rb"<([^>]*)>")
CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
)


class Seen(NamedTuple):
    """What a datagram begins with: `status` of a response, or `method` of a request."""

    status: int
    method: bytes
    call_id: bytes


def look_at(data: bytes) -> Seen | None:
    """The beginning and the Call-ID; None for what is no SIP message."""
    line = data[: data.find(b"\r\n")]
    found = _HEADERS["Call-ID"].search(data)
    if found is None:
        return None
    if line.startswith(b"SIP/2.0 "):
        return Seen(int(line[8:11]), b"", found[1]) if line[8:11].isdigit() else None
    method, _, rest = line.partition(b" ")
    return Seen(0, method, found[1]) if rest.endswith(b"SIP/2.0") else None


def header(data: bytes, name: str) -> bytes:
    """The value of a header field's first line; empty where it is absent."""
    found = _HEADERS[name].search(data)
    return found[1] if found else b""


def record_route(data: bytes) -> list[bytes]:
    """The route set of the one who called (RFC 3261 §12.1.2): Record-Route from the last to the first."""
    lines = _HEADERS["Record-Route"].findall(data)
    return [one.strip() for line in reversed(lines) for one in reversed(line.split(b","))]


def contact_uri(data: bytes) -> bytes:
    """The URI in angle brackets in the first Contact; empty where there is none."""
    found = _URI.search(header(data, "Contact"))
    return found[1] if found else b""


def address_of(uri: bytes) -> tuple[str, int] | None:
    """Where a URI leads: host and port."""
    found = _ADDRESS.match(b"<" + uri.strip(b"<>") + b">")
    return (found[1].decode().strip("[]"), int(found[2] or 5060)) if found else None


def via(address: tuple[str, int], mark: str) -> str:
    """The Via of a request; `mark` makes its branch one that never was before."""
    return f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK{mark};rport"


def write_request(method: str, uri: str, lines: list[str], body: str = "") -> bytes:
    """A request; `lines` are header fields."""
    media = ["Content-Type: application/sdp"] if body else []
    head = [f"{method} {uri} SIP/2.0", *lines, *media, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(head).encode()


def write_response(request: bytes, status: str, to_tag: str, lines: list[str], body: str = "") -> bytes:
    """A response to a request as it came; `status` with its reason. The To tag is added unless there is one."""
    to = header(request, "To")
    if b"tag=" not in to:
        to += b";tag=" + to_tag.encode()
    media = ["Content-Type: application/sdp"] if body else []
    own = "\r\n".join([*lines, *media, f"Content-Length: {len(body)}", "", body]).encode()
    return b"\r\n".join([f"SIP/2.0 {status}".encode(), *_ECHOED.findall(request), b"To: " + to, own])
