"""Whole messages. Source: RFC 3261 §7, §8.2.6, §18.2.1, §18.3; RFC 3581.

Reading is tolerant (folding, `Name :`, bare LF, line ends before the message, bytes that are no UTF-8, compact and odd
spellings) and keeps the text of every value; writing is strict. What decides which transaction a message belongs to
(Via, From, To, Call-ID, CSeq) is checked when a message is read; other fields when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from sys import intern
from typing import Final

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers, checked
from ringback.protocols.sip.header_reading import read_header
from ringback.protocols.sip.headers import (
    TOKEN,
    CSeq,
    NameAddress,
    Via,
    is_word_of_a_header,
    parse_cseq,
    parse_name_address,
    parse_number,
    parse_tag,
    parse_via,
    split_elements,
    split_parameters,
    write_parameters,
)
from ringback.protocols.sip.reasons import REASONS
from ringback.protocols.sip.uri import SipUri, parse_uri

__all__ = ["REASONS", "Headers", "Request", "Response", "SipMalformed", "parse_message", "response_to"]

_REQUEST_LINE: Final = re.compile(rf"({TOKEN}{{1,64}}+) ([^ \x00-\x1f\x7f<>\"]++) ([Ss][Ii][Pp]/[0-9.]{{1,16}}+) *+")
_STATUS_LINE: Final = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*+))?")
_SOURCE: Final = frozenset({"received", "rport"})
_NEEDED: Final = ("Via", "From", "To", "Call-ID", "CSeq")
# What answers repeat (§8.2.6): with Timestamp in 100, with Record-Route where a dialog may begin (§12.1.1).
_IN_REFUSAL: Final = frozenset(_NEEDED)
_IN_TRYING: Final = _IN_REFUSAL | {"Timestamp"}
_IN_DIALOG: Final = _IN_REFUSAL | {"Record-Route"}
_FOR_ANSWERS: Final = _IN_DIALOG | {"Timestamp", "Supported", "Require"}
_LARGEST_EXPIRES: Final = 2**32 - 1


class _Message:
    """What requests and responses have in common. From a parser: `via`, `cseq` and the tags are there and sound."""

    __slots__ = ("_cseq", "_from_tag", "_to_tag", "_via", "body", "headers")

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body
        # Kept only of messages that were read: the header of one that we make may still change.
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from_tag: str | None = None
        self._to_tag: str | None = None

    @property
    def via(self) -> Via:
        """The topmost Via. Raises SipMalformed when there is none, which a message that was read always has."""
        return self._via or self._parsed_via()

    @property
    def vias(self) -> list[Via]:
        """All of them, topmost first. Raises SipMalformed."""
        return [parse_via(element) for element in self.headers.elements("Via")]

    @property
    def cseq(self) -> CSeq:
        """Number and method. Raises SipMalformed."""
        return self._cseq or parse_cseq(self._needed("CSeq"))

    @property
    def call_id(self) -> str:
        """The Call-ID. Raises SipMalformed."""
        return self._needed("Call-ID")

    @property
    def from_(self) -> NameAddress:
        """From. Raises SipMalformed."""
        return parse_name_address(self._needed("From"))

    @property
    def to(self) -> NameAddress:
        """To. Raises SipMalformed."""
        return parse_name_address(self._needed("To"))

    @property
    def from_tag(self) -> str | None:
        """The tag of From."""
        return self._from_tag or self.from_.tag

    @property
    def to_tag(self) -> str | None:
        """The tag of To."""
        return self._to_tag or self.to.tag

    @property
    def contacts(self) -> list[NameAddress]:
        """All contacts; `*` has the URI "*". Raises SipMalformed."""
        return [parse_name_address(element) for element in self.headers.elements("Contact")]

    @property
    def route(self) -> list[NameAddress]:
        """Route, topmost first. Raises SipMalformed."""
        return [parse_name_address(element) for element in self.headers.elements("Route")]

    @property
    def record_route(self) -> list[NameAddress]:
        """Record-Route, topmost first. Raises SipMalformed."""
        return [parse_name_address(element) for element in self.headers.elements("Record-Route")]

    @property
    def expires(self) -> int | None:
        """Seconds; None when the field is absent or no number."""
        value = self.headers.get("Expires")
        return None if value is None else parse_number(value, _LARGEST_EXPIRES)

    def check(self) -> None:
        """Refuses what no transaction can be found for. Raises SipMalformed."""
        self._via = self._parsed_via()
        self._from_tag = parse_tag(self._needed("From"))
        self._to_tag = parse_tag(self._needed("To"))
        self._cseq = parse_cseq(self._needed("CSeq"))
        self._needed("Call-ID")

    def _parsed_via(self) -> Via:
        value = self._needed("Via")
        return parse_via(value if "," not in value else (split_elements(value) or [""])[0])

    def _needed(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise SipMalformed(f"Missing {name}")
        return value

    def _written(self, start: str) -> bytes:
        head = f"{checked(start)}\r\n{self.headers.encode()}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


class Request(_Message):
    """A request. uri: the Request-URI as written."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers | None = None, body: bytes = b"") -> None:
        super().__init__(Headers() if headers is None else headers, body)
        self.method = method
        self.uri = uri

    @property
    def request_uri(self) -> SipUri:
        """The Request-URI in its parts. Raises SipMalformed with the status to answer (400, 416)."""
        return parse_uri(self.uri)

    @property
    def max_forwards(self) -> int | None:
        """0–255, None when the field is absent (a peer of RFC 2543)."""
        value = self.headers.get("Max-Forwards")
        return None if value is None else parse_number(value, 255)

    def check(self) -> None:
        """Also: CSeq names the method, and Max-Forwards is a number up to 255."""
        super().check()
        if self.cseq.method != self.method:
            raise SipMalformed("CSeq Method Does Not Match")
        hops = self.headers.get("Max-Forwards")
        if hops is not None and parse_number(hops, 255) is None:
            raise SipMalformed("Malformed Max-Forwards")

    def came_from(self, host: str, port: int) -> None:
        """Notes in the topmost Via where the request came from (§18.2.1; RFC 3581 §4).

        `received` where that differs from sent-by or `rport` was asked for, and `rport`'s value then. What a peer wrote
        there itself is overwritten.
        """
        via = self.via
        asked = "rport" in via.parameters
        if not asked and via.host == host and "received" not in via.parameters:
            return
        value = self.headers.get("Via") or ""
        first = split_elements(value)[0]
        start = value.index(first)
        kept = [part for part in split_parameters(first) if part.partition("=")[0].strip(" \t").lower() not in _SOURCE]
        noted = {"received": host, "rport": str(port)} if asked else {"received": host}
        top = ";".join(kept) + write_parameters(dict(noted))
        self.headers.put_first("Via", value[:start] + top + value[start + len(first) :])
        self._via = Via(via.transport, via.host, via.port, {**via.parameters, **noted})

    def keep_for_answers(self) -> None:
        """Drops what `response_to` does not repeat, and what does not say how answers may be (Supported, Require)."""
        self.headers = self.headers.picked(_FOR_ANSWERS)
        self.body = b""
        self._via = self._cseq = None

    def encode(self) -> bytes:
        """The bytes to send. Raises ValueError when method or URI would break the line."""
        if not is_word_of_a_header(self.method) or " " in self.uri or not self.uri:
            raise ValueError("A request needs a method and a URI without spaces.")
        return self._written(f"{self.method} {self.uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(_Message):
    """A response. reason: its phrase, "" when there is none."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers | None = None, body: bytes = b"") -> None:
        super().__init__(Headers() if headers is None else headers, body)
        self.status = status
        self.reason = reason

    def encode(self) -> bytes:
        """The bytes to send. Raises ValueError when the reason would break the line."""
        return self._written(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """An answer: Via, From, To, Call-ID and CSeq byte for byte as they came (§8.2.6.2).

    Record-Route where a dialog may begin (§12.1.1), Timestamp in 100 (§8.2.6.1). `to_tag` is added where To has none,
    never in 100. `reason`: the usual phrase by default. Raises ValueError when a header field would start a new line.
    """
    repeated = _IN_TRYING if status == 100 else _IN_DIALOG if status < 300 else _IN_REFUSAL
    made = request.headers.picked(repeated)
    answer = Response(status, REASONS.get(status, "") if reason is None else reason, made)
    if status > 100 and to_tag is not None and not _has_tag(request):
        made.append_to("To", f";tag={to_tag}")
    for name, value in headers:
        made.add(name, value)
    if content_type is not None:
        made.add("Content-Type", content_type)
    answer.body = body
    return answer


def _has_tag(request: Request) -> bool:
    try:
        return request.to_tag is not None
    except SipMalformed:  # the answer is 400: To goes back as it came
        return True


def parse_message(data: bytes) -> Request | Response:
    """Reads one message: a datagram, or what the framing of a stream cut out.

    A body longer than Content-Length is cut; one that is shorter is malformed; without Content-Length the body is the
    rest. Raises SipMalformed and nothing else.
    """
    data = data.lstrip(b"\r\n")
    start, headers, body, problem = read_header(data)
    if start[:4].upper() == "SIP/":
        return _response(start, headers, body, problem)
    return _request(start, headers, body, problem)


def _request(start: str, headers: Headers, body: bytes, problem: str) -> Request:
    line = _REQUEST_LINE.fullmatch(start)
    if line is None:
        method = (headers.get("CSeq") or "").rpartition(" ")[2]
        raise SipMalformed("Malformed Request-Line", _answerable(Request(method, "", headers)))
    request = Request(intern(line[1]), line[2], headers, body)
    if line[3].upper() != "SIP/2.0":
        raise SipMalformed("Version Not Supported", _answerable(request), status=505)
    try:
        _check(request, problem)
    except SipMalformed as malformed:
        raise SipMalformed(malformed.reason, _answerable(request), status=malformed.status) from None
    return request


def _response(start: str, headers: Headers, body: bytes, problem: str) -> Response:
    line = _STATUS_LINE.fullmatch(start)
    if line is None:
        raise SipMalformed("Malformed Status-Line")
    response = Response(int(line[1]), line[2] or "", headers, body)
    _check(response, problem)
    return response


def _check(message: Request | Response, problem: str) -> None:
    """Refuses what is wrong, and cuts the body."""
    if problem:
        raise SipMalformed(problem)
    message.check()
    value = message.headers.get("Content-Length")
    if value is None:
        return
    length = parse_number(value, 2**31)
    if length is None:
        raise SipMalformed("Malformed Content-Length")
    if length > len(message.body):
        raise SipMalformed("Incomplete Body")
    message.body = message.body[:length]


def _answerable(request: Request) -> Request | None:
    """The request, when an answer can be made of it."""
    if request.method == "ACK" or any(not request.headers.get(name) for name in _NEEDED):
        return None
    try:
        _ = request.via
    except SipMalformed:
        return None
    return request
