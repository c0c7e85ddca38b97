"""Dialogs: tags, routes and numbers of the requests within one (RFC 3261 §12)."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.dialog import Dialog
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.message import Request, Response, parse_message, response_to

INVITE = (
    b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP a.example.org;branch=z9hG4bKx\r\n"
    b"Record-Route: <sip:p2.example.org;lr>, <sip:p1.example.org;lr>\r\n"
    b'From: "Alice" <sip:alice@example.org>;tag=a1\r\nTo: <sip:bob@example.org>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n'
    b"Contact: <sip:alice@192.0.2.1:5062>\r\nContent-Length: 0\r\n\r\n"
)


def invite() -> Request:
    made = parse_message(INVITE)
    assert isinstance(made, Request)
    return made


def answer(tag: str, *headers: tuple[str, str], status: int = 200) -> Response:
    made = parse_message(response_to(invite(), status, to_tag=tag, headers=headers).encode())
    assert isinstance(made, Response)
    return made


def test_the_caller_goes_the_recorded_way_backwards() -> None:
    dialog = Dialog.as_caller(invite(), answer("b1", ("Contact", "<sip:bob@192.0.2.9;transport=tcp>")))
    bye = dialog.request("BYE")
    assert bye.uri == "sip:bob@192.0.2.9;transport=tcp"
    assert [one.uri for one in bye.route] == ["sip:p1.example.org;lr", "sip:p2.example.org;lr"]
    assert dialog.first_hop == "sip:p1.example.org;lr"
    assert bye.from_tag == "a1"
    assert bye.to_tag == "b1"
    assert bye.cseq.number == 8
    assert dialog.request("ACK", number=7).cseq.number == 7
    assert dialog.request("INFO").cseq.number == 9


def test_the_callee_goes_it_forwards_with_its_own_tag() -> None:
    dialog = Dialog.as_callee(invite(), "b1")
    bye = dialog.request("BYE")
    assert bye.uri == "sip:alice@192.0.2.1:5062"
    assert [one.uri for one in bye.route] == ["sip:p2.example.org;lr", "sip:p1.example.org;lr"]
    assert bye.headers.get("From") == "<sip:bob@example.org>;tag=b1"
    assert bye.headers.get("To") == '"Alice" <sip:alice@example.org>;tag=a1'
    assert bye.cseq.number == 1


def test_a_forked_call_has_a_dialog_for_each_phone() -> None:
    dialogs = [Dialog.as_caller(invite(), answer(tag, status=status)) for tag, status in [("b1", 183), ("b2", 200)]]
    assert [dialog.request("BYE").to_tag for dialog in dialogs] == ["b1", "b2"]


def test_a_strict_router_is_asked_itself() -> None:
    dialog = Dialog.as_callee(invite(), "b1")
    dialog.routes = ("<sip:old.example.org>", "<sip:p1.example.org;lr>")
    bye = dialog.request("BYE")
    assert bye.uri == "sip:old.example.org"
    assert [one.uri for one in bye.route] == ["sip:p1.example.org;lr", "sip:alice@192.0.2.1:5062"]


def test_requests_out_of_order_are_not_taken() -> None:
    dialog = Dialog.as_callee(invite(), "b1")
    bye = Dialog.as_caller(invite(), answer("b1")).request("BYE")
    assert dialog.takes(bye)
    assert not dialog.takes(bye)
    assert not dialog.takes(invite())


def test_a_new_contact_moves_the_target_unless_it_is_no_sip_uri() -> None:
    dialog = Dialog.as_callee(invite(), "b1")
    dialog.moved(answer("b1", ("Contact", "<sip:alice@192.0.2.77>")))
    assert dialog.target == "sip:alice@192.0.2.77"
    dialog.moved(answer("b1", ("Contact", "<mailto:alice@example.org>")))
    dialog.moved(answer("b1"))
    assert dialog.target == "sip:alice@192.0.2.77"


def test_without_a_contact_the_request_uri_is_the_target() -> None:
    assert Dialog.as_caller(invite(), answer("b1")).target == "sip:bob@example.org"


def test_a_way_that_cannot_be_gone_makes_no_dialog() -> None:
    with pytest.raises(SipMalformed):
        Dialog.as_caller(invite(), answer("b1", ("Record-Route", "<sip:unclosed")))


def test_control_characters_in_a_name_are_not_written_in_requests_of_ours() -> None:
    request = parse_message(INVITE.replace(b'"Alice"', b'"BEL:\\\x07"'))
    assert isinstance(request, Request)
    bye = Dialog.as_callee(request, "b1").request("BYE")
    assert bye.headers.get("To") == '"BEL:?" <sip:alice@example.org>;tag=a1'
