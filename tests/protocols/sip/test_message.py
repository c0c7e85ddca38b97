"""Messages: what is read, what is kept, what is written."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.message import Headers, Request, Response, SipMalformed, parse_message, response_to
from tests.protocols.sip.odd_messages import ANSWERABLE, INVITE, READ, REFUSED, changed


def read(data: bytes) -> Request:
    found = parse_message(data)
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize("name", READ)
def test_an_odd_message_is_read_for_what_it_means(name: str) -> None:
    request = read(READ[name])
    assert request.via.branch == "z9hG4bKabc"
    assert (request.from_tag, request.to_tag) == ("1928", None)
    assert request.call_id == "a84b4c76e66710@192.0.2.1"
    assert request.cseq.method == request.method
    assert request.contacts[0].uri.startswith("sip:alice@192.0.2.1:5080")
    assert request.max_forwards in {70, None}
    assert request.body == b""


@pytest.mark.parametrize("name", READ)
def test_what_we_write_of_an_odd_message_reads_the_same(name: str) -> None:
    request = read(READ[name])
    again = read(request.encode())
    assert list(again.headers) == [
        *(one for one in request.headers if one[0] != "Content-Length"),
        ("Content-Length", "0"),
    ]
    assert (again.method, again.uri) == (request.method, request.uri)


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_message_is_malformed_and_says_why(name: str) -> None:
    with pytest.raises(SipMalformed) as caught:
        parse_message(REFUSED[name])
    assert caught.value.reason
    assert caught.value.reason.isascii()
    assert caught.value.status == (505 if name.startswith("other version") else 400)
    if name not in ANSWERABLE:
        assert caught.value.request is None
        return
    assert caught.value.request is not None
    answer = response_to(caught.value.request, caught.value.status, caught.value.reason, to_tag="ours")
    back = parse_or_none(answer.encode())
    assert back is None or back.headers.get("Call-ID") == "a84b4c76e66710@192.0.2.1"


def parse_or_none(data: bytes) -> Response | None:
    """Our answer to what was broken may echo what was broken, but it is always one whole message of its own."""
    assert data.count(b"\r\n\r\n") == 1
    assert data.startswith(b"SIP/2.0 ")
    try:
        found = parse_message(data)
    except SipMalformed:
        return None
    assert isinstance(found, Response)
    return found


def test_an_ack_is_never_answered() -> None:
    data = changed("Max-Forwards: 70", "Max-Forwards: 700").replace(b"INVITE", b"ACK")
    with pytest.raises(SipMalformed) as caught:
        parse_message(data)
    assert caught.value.request is None


def test_a_broken_answer_has_nothing_to_answer() -> None:
    with pytest.raises(SipMalformed) as caught:
        parse_message(INVITE.replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 999 What").encode())
    assert caught.value.request is None


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("SIP/2.0 200 OK", 200, "OK"),
        ("SIP/2.0 200 ", 200, ""),
        ("SIP/2.0 200", 200, ""),
        ("SIP/2.0 486 Ocupado ahora, señor", 486, "Ocupado ahora, señor"),
    ],
)
def test_a_reason_may_be_anything_or_nothing(line: str, status: int, reason: str) -> None:
    found = parse_message(INVITE.replace("INVITE sip:bob@example.com SIP/2.0", line).encode())
    assert isinstance(found, Response)
    assert (found.status, found.reason, found.cseq.method) == (status, reason, "INVITE")


def test_a_body_is_cut_at_its_length_and_is_the_rest_without_one() -> None:
    data = INVITE.replace("Content-Length: 0", "Content-Length: 4").encode() + b"v=0\nmore"
    assert read(data).body == b"v=0\n"
    assert read(INVITE.replace("Content-Length: 0\r\n", "").encode() + b"\r\n\r\n\n\0").body == b"\r\n\r\n\n\0"


def test_an_answer_gives_back_what_it_must_byte_for_byte() -> None:
    request = read(
        INVITE.replace("To: <", "t :\r\n   <")
        .replace('"Alice"', '"J\udcfcr  gen"')
        .replace("Call-ID: ", "i:   ")
        .replace(
            "Max",
            "Record-Route: <sip:p1;lr>,<sip:p2;lr>\r\nVia : SIP / 2.0/TCP  10.0.0.1 ;branch=z9x\r\nTimestamp: 5\r\nMax",
        )
        .encode("utf-8", "surrogateescape")
    )
    assert response_to(
        request, 183, to_tag="ours", headers=[("Contact", "<sip:x>")], body=b"v=0", content_type="a/b"
    ).encode() == (
        b"SIP/2.0 183 Session Progress\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n"
        b"Record-Route: <sip:p1;lr>,<sip:p2;lr>\r\n"
        b"Via: SIP / 2.0/TCP  10.0.0.1 ;branch=z9x\r\n"
        b'From: "J\xfcr  gen" <sip:alice@example.org>;tag=1928\r\n'
        b"To: \r\n   <sip:bob@example.com>;tag=ours\r\n"
        b"Call-ID: a84b4c76e66710@192.0.2.1\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Contact: <sip:x>\r\n"
        b"Content-Type: a/b\r\n"
        b"Content-Length: 3\r\n"
        b"\r\n"
        b"v=0"
    )
    trying = response_to(request, 100, to_tag="ours")
    assert trying.headers.get("Timestamp") == "5"
    assert trying.to_tag is None
    assert "Record-Route" not in trying.headers
    assert "Record-Route" not in response_to(request, 302).headers


def test_a_tag_that_is_there_stays() -> None:
    request = read(changed("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;TAG=theirs"))
    assert response_to(request, 200, to_tag="ours").to_tag == "theirs"


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("192.0.2.1;branch=z", "192.0.2.1;branch=z"),
        ("192.0.2.1;branch=z;rport", "192.0.2.1;branch=z;received=192.0.2.1;rport=4711"),
        ("10.0.0.1:5060;branch=z", "10.0.0.1:5060;branch=z;received=192.0.2.1"),
        ("phone.local ;rport;branch=z", "phone.local;branch=z;received=192.0.2.1;rport=4711"),
        # A peer that says itself where it is does not make us answer somebody else.
        ("10.0.0.1;received=198.51.100.7;rport=9;branch=z", "10.0.0.1;branch=z;received=192.0.2.1;rport=4711"),
        ("192.0.2.1;received=198.51.100.7;branch=z", "192.0.2.1;branch=z;received=192.0.2.1"),
    ],
)
def test_where_a_request_came_from_is_noted_in_its_via(via: str, expected: str) -> None:
    request = read(changed("192.0.2.1:5060;branch=z9hG4bKabc;rport", f"{via}, SIP/2.0/UDP 10.9.9.9;branch=y"))
    request.came_from("192.0.2.1", 4711)
    assert request.headers.get("Via") == f"SIP/2.0/UDP {expected}, SIP/2.0/UDP 10.9.9.9;branch=y"
    assert request.via == read(request.encode()).via
    assert [one.branch for one in request.vias] == ["z", "y"]


def test_an_ipv6_source_is_noted_without_brackets() -> None:
    request = read(changed("192.0.2.1:5060", "[2001:db8::2]:5060"))
    request.came_from("2001:db8::1", 4711)
    assert (
        request.headers.get("Via") == "SIP/2.0/UDP [2001:db8::2]:5060;branch=z9hG4bKabc;received=2001:db8::1;rport=4711"
    )
    assert (request.via.received, request.via.rport) == ("2001:db8::1", 4711)


@pytest.mark.parametrize("evil", ["x\r\nEvil: 1", "x\nEvil: 1", "x\r", "\0", "\x7f", "x\r\n folded"])
def test_nothing_that_we_write_can_begin_a_line(evil: str) -> None:
    request = Request("OPTIONS", "sip:x", Headers([("Via", "SIP/2.0/UDP x")]))
    writers = (request.headers.add, request.headers.put, request.headers.prepend)
    for write in writers:
        with pytest.raises(ValueError, match="control"):
            write("Subject", evil)
        with pytest.raises(ValueError, match="name"):
            write(evil, "x")
    assert "Subject" not in request.headers
    request.uri = evil
    with pytest.raises(ValueError, match=r"control|spaces"):
        request.encode()
    with pytest.raises(ValueError, match="control"):
        Response(200, evil).encode()
    asked = read(INVITE.encode())
    for told in ({"to_tag": evil}, {"headers": [("Contact", evil)]}, {"content_type": evil}):
        with pytest.raises(ValueError, match="control"):
            response_to(asked, 200, **told)


def test_headers_are_found_by_any_spelling_and_kept_in_order() -> None:
    headers = Headers([("v", "one"), ("X-Own", "a"), ("CONTACT", "<sip:a,b>, <sip:c>"), ("x-own", "b"), ("via", "two")])
    assert list(headers) == [
        ("Via", "one"), ("X-Own", "a"), ("Contact", "<sip:a,b>, <sip:c>"), ("x-own", "b"), ("Via", "two")
    ]  # fmt: skip
    assert headers.get("VIA") == "one"
    assert headers.lines("v") == ["one", "two"]
    assert headers.lines("X-OWN") == ["a", "b"]
    assert headers.elements("m") == ["<sip:a,b>", "<sip:c>"]
    assert "x-OWN" in headers
    assert headers.get("Expires") is None
    headers.put("Via", "only")
    headers.prepend("Via", "first")
    headers.drop("x-own")
    assert list(headers) == [("Via", "first"), ("Via", "only"), ("Contact", "<sip:a,b>, <sip:c>")]
    other = headers.copy()
    other.drop("Via")
    assert len(headers) == 3


def test_contacts_routes_and_lifetimes_are_read_when_they_are_asked_for() -> None:
    request = read(
        changed(
            "Contact: <sip:alice@192.0.2.1:5080>\r\n",
            'm: *\r\nContact: "B, <C>" <sip:b@b;x=1?y=z>;Expires=60;+sip.instance="<urn:uuid:1>" , sip:d@d;q=0.5\r\n'
            "Route: <sip:p1;lr>,<sip:p2>\r\nExpires: 9999999999\r\n",
        )
    )
    star, first, second = request.contacts
    assert star.uri == "*"
    assert (first.display_name, first.uri) == ("B, <C>", "sip:b@b;x=1?y=z")
    assert first.parameters == {"expires": "60", "+sip.instance": "<urn:uuid:1>"}
    assert str(first) == '"B, <C>" <sip:b@b;x=1?y=z>;expires=60;+sip.instance="<urn:uuid:1>"'
    assert (second.uri, second.parameters) == ("sip:d@d", {"q": "0.5"})
    assert [one.uri for one in request.route] == ["sip:p1;lr", "sip:p2"]
    assert request.expires is None  # larger than 2**32 - 1 is no number of seconds


def test_a_contact_that_cannot_be_read_is_told_when_it_is_asked_for() -> None:
    request = read(changed("<sip:alice@192.0.2.1:5080>", "<sip:alice"))
    with pytest.raises(SipMalformed):
        _ = request.contacts


def test_names_are_fit_to_be_shown_and_stored() -> None:
    assert read(READ["name in Latin-1"]).from_.display_name == "Jürgen"
    assert read(READ["name in UTF-8"]).from_.display_name == "Jürgen"
    assert read(READ["semicolon and quotes in the name"]).from_.display_name == 'A;B"C, <D>;tag=no'
    assert read(changed('"Alice"', '"\udc81"')).from_.display_name == "?"
    assert read(READ["control characters in quoted pairs"]).from_.display_name == "BEL:? NUL:? DEL:?"


def test_control_characters_in_quoted_pairs_go_back_in_an_answer() -> None:
    name = '"BEL:\\\x07 NUL:\\\0"'
    answer = response_to(read(changed("To: <", f"To: {name} <")), 486, to_tag="b").encode()
    assert f"To: {name} <sip:bob@example.com>;tag=b\r\n".encode() in answer
    found = parse_message(answer)
    assert (found.to.display_name, found.to_tag) == ("BEL:? NUL:?", "b")


def test_what_is_kept_for_answers_is_enough_for_every_answer() -> None:
    text = (
        b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/TCP 192.0.2.2\r\n"
        b'f: "Alice" <sip:alice@example.org>;tag=a\r\nt: <sip:bob@example.org>\r\ni: call\r\nCSeq: 7 INVITE\r\n'
        b"Record-Route: <sip:192.0.2.1;lr>\r\nTimestamp: 5\r\nSupported: 100rel\r\nContact: <sip:alice@192.0.2.2>\r\n"
        b"User-Agent: a phone\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
    )
    request, whole = parse_message(text), parse_message(text)
    assert isinstance(request, Request)
    assert isinstance(whole, Request)
    request.keep_for_answers()
    for status in (100, 183, 200, 302, 487):
        answers = [response_to(one, status, to_tag="b").encode() for one in (request, whole)]
        assert answers[0] == answers[1]
    assert (request.via, request.cseq, request.from_tag, request.to_tag) == (whole.via, whole.cseq, "a", None)
    assert request.headers.get("Supported") == "100rel"
    assert request.body == b""
    assert "Contact" not in request.headers
