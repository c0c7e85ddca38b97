"""The pure parts of embedded mode: what a REGISTER asks for, what a 302 says, how often a phone is pushed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ringback.calls.binding_refresh import refresh_content
from ringback.calls.model_bindings import MOST_BINDINGS, Binding
from ringback.calls.purrs import PhoneNames
from ringback.calls.push_rate import PushRate
from ringback.calls.redirect_contacts import come_back_uri, contact_values, merged
from ringback.calls.register_request import AskedRegistration, Lifetimes, RegisterRefused, read_registration
from ringback.calls.ringing import ANONYMOUS, caller_of
from ringback.clock import ManualClock
from ringback.protocols.sip.message import Request, parse_message
from ringback.push.payloads import apns_payload, fcm_message, web_push_payload
from ringback.secrets import Vault

DOMAIN = "example.com"
LIFETIMES = Lifetimes(60, 3600)
HEAD = (
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:bob@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
    "Call-ID: 1\r\nCSeq: 1 {method}\r\n"
)


def request(*lines: str, method: str = "REGISTER", uri: str = "sip:example.com") -> Request:
    """A request with these header lines."""
    text = f"{method} {uri} SIP/2.0\r\n" + HEAD.format(method=method) + "".join(f"{line}\r\n" for line in lines)
    found = parse_message((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(found, Request)
    return found


def asked(*lines: str) -> AskedRegistration:
    return read_registration(request(*lines), DOMAIN, LIFETIMES)


def refused(*lines: str) -> RegisterRefused:
    with pytest.raises(RegisterRefused) as caught:
        asked(*lines)
    return caught.value


# REGISTER -------------------------------------------------------------------------------------------------------------


def test_a_register_without_contact_only_asks() -> None:
    assert asked() == AskedRegistration()


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Contact: <sip:bob@192.0.2.1>;expires=120", "Expires: 600"], 120),
        (["Contact: <sip:bob@192.0.2.1>", "Expires: 600"], 600),
        (["Contact: <sip:bob@192.0.2.1>"], 3600),
        (["Contact: <sip:bob@192.0.2.1>;expires=7200"], 3600),
        (["Contact: <sip:bob@192.0.2.1>;expires=0", "Expires: 600"], 0),
        (["Contact: <sip:bob@192.0.2.1>", "Expires: 0"], 0),
        (["Contact: <sip:bob@192.0.2.1>;expires=soon", "Expires: 600"], 600),
        (["Contact: <sip:bob@192.0.2.1>;expires=99999999999", "Expires: soon"], 3600),
    ],
)
def test_the_lifetime_is_that_of_the_contact_else_of_the_field_else_the_longest(lines: list[str], seconds: int) -> None:
    (contact,) = asked(*lines).contacts
    assert contact.binding.expires_seconds == seconds


def test_a_lifetime_that_is_too_short_is_refused_with_the_shortest_one() -> None:
    refusal = refused("Contact: <sip:bob@192.0.2.1>;expires=59")
    assert (refusal.status, refusal.headers) == (423, (("Min-Expires", "60"),))


@pytest.mark.parametrize(
    "lines",
    [
        ["Contact: *"],
        ["Contact: *", "Expires: 600"],
        ["Contact: *, <sip:bob@192.0.2.1>", "Expires: 0"],
        ["Contact: *", "Contact: *", "Expires: 0"],
    ],
)
def test_a_star_stands_alone_and_expires_0(lines: list[str]) -> None:
    assert refused(*lines).status == 400
    assert asked("Contact: *", "Expires: 0").remove_all


@pytest.mark.parametrize(
    "contact",
    [
        "<tel:+4312345>",
        "<https://example.com/>",
        "<mailto:bob@example.com>",
        "<sip:bob@192.0.2.1?Replaces=x>",
        "<sip:bob@192.0.2.1;method=BYE>",
        "<sip:bob@192.0.2.1;maddr=192.0.2.9>",
        "<sip:alice@example.com>",
        "<sip:bob@example.com:5060>",
        f"<sip:{'b' * 600}@192.0.2.1>",
        f"<sip:bob@192.0.2.1;pn-provider=fcm;pn-prid={'p' * 7000}>",
        "<sip:bob@192.0.2.1>;+sip.instance=<urn:uuid:1>;reg-id=0",
        '<sip:bob@192.0.2.1>;+sip.instance="<urn:uuid:1>";reg-id=0',
        '<sip:bob@192.0.2.1>;+sip.instance="<urn:uuid:1>";reg-id=x',
        f'<sip:bob@192.0.2.1>;+sip.instance="<urn:{"x" * 300}>"',
        "<sip:bob@192.0.2.1:0>",
        "<sip:bob@192.0.2.1:99999>",
        "sip:",
        "<sip:bob@192.0.2.1>, <sip:bob@192.0.2.1>",
    ],
)
def test_a_contact_that_no_caller_should_be_sent_to_is_refused(contact: str) -> None:
    assert 400 <= refused(f"Contact: {contact}").status < 500


def test_a_register_with_too_many_contacts_is_refused() -> None:
    contacts = ", ".join(f"<sip:bob@192.0.2.{number}>" for number in range(MOST_BINDINGS + 1))
    assert refused(f"Contact: {contacts}").status == 403


def test_what_the_phone_says_of_itself_is_read() -> None:
    contact = asked(
        'm: "Bob" <sips:bob@[2001:db8::1]:5061;transport=tls;pn-provider=apns;pn-prid=aa;pn-param=T.app.voip;pn-purr>'
        ';q=0.5;+sip.instance="<urn:uuid:1>";reg-id=2;+sip.pnsreg;expires=600'
    ).contacts[0]
    assert contact.binding.contact == "sips:bob@[2001:db8::1]:5061;transport=tls"
    assert (contact.binding.instance, contact.binding.reg_id, contact.binding.q) == ("<urn:uuid:1>", 2, "0.5")
    assert contact.push is not None
    assert (contact.push.provider, contact.push.prid, contact.push.param) == ("apns", "aa", "T.app.voip")
    assert contact.push.purr == ""
    assert contact.wakes_itself


@pytest.mark.parametrize("q", ["2", "-1", "1.1", "0.1234", "x", ""])
def test_a_q_that_is_none_is_left_alone(q: str) -> None:
    assert asked(f"Contact: <sip:bob@192.0.2.1>;q={q}").contacts[0].binding.q is None


@given(some.text(max_size=80))
def test_whatever_stands_in_contact_is_read_or_refused(text: str) -> None:
    try:
        told = request("Contact: " + "".join(letter for letter in text if letter.isprintable()))
        found = read_registration(told, DOMAIN, LIFETIMES)
    except (RegisterRefused, ValueError):
        return
    assert all(one.binding.contact.isprintable() for one in found.contacts)


# 302 ------------------------------------------------------------------------------------------------------------------


def binding(contact: str = "sip:bob@192.0.2.1", **more: Any) -> Binding:
    made = Binding(
        "id", "bob", contact, None, 0, None, "call", 1, None, "udp:192.0.2.1:5060", None, 1000, 61_000, None, 1
    )
    return msgspec.structs.replace(made, **more)


def test_the_phone_that_was_heard_of_last_is_tried_first() -> None:
    old, new = binding("sip:old@h", registered_at=1), binding("sip:new@h", registered_at=2)
    assert contact_values([old, new]) == ["<sip:new@h>;q=1.0", "<sip:old@h>;q=0.9"]


def test_the_phones_own_q_goes_before() -> None:
    desk, phone = binding("sip:desk@h", registered_at=1, q="0.9"), binding("sip:phone@h", registered_at=2, q="0.1")
    assert contact_values([phone, desk]) == ["<sip:desk@h>;q=1.0", "<sip:phone@h>;q=0.9"]


def test_ten_phones_have_ten_places() -> None:
    values = contact_values([binding(f"sip:{number}@h", registered_at=-number) for number in range(10)])
    assert [value.partition("q=")[2] for value in values] == [
        "1.0", "0.9", "0.8", "0.7", "0.6", "0.5", "0.4", "0.3", "0.2", "0.2",
    ]  # fmt: skip


def test_a_new_binding_replaces_an_old_one_of_the_same_contact_or_instance() -> None:
    new = binding("sip:new@h", instance="<urn:1>")
    old = [binding("sip:new@h"), binding("sip:old@h", instance="<urn:1>"), binding("sip:desk@h", instance="<urn:2>")]
    assert [one.contact for one in merged([new], old)] == ["sip:new@h", "sip:desk@h"]


def test_the_uri_to_come_back_to_is_another_one_and_only_once() -> None:
    again = come_back_uri("sip:bob@example.com;transport=tcp")
    assert again == "sip:bob@example.com;transport=tcp;ringback-then=push"
    assert come_back_uri(again) == ""
    assert contact_values([], come_back_to=again) == [f"<{again}>;q=0.1"]


# renewing ------------------------------------------------------------------------------------------------------------


def test_a_phone_can_tell_a_push_that_renews_its_binding() -> None:
    content = refresh_content("binding")
    aps = json.loads(apns_payload(content))
    assert (aps["aps"], aps["type"]) == ({"content-available": 1}, "binding_refresh")
    message = json.loads(fcm_message(content, "token"))["message"]
    assert message["data"]["type"] == "binding_refresh"
    assert "notification" not in message
    assert json.loads(web_push_payload(content))["type"] == "binding_refresh"


# how often ------------------------------------------------------------------------------------------------------------


def test_six_calls_a_minute_are_pushed_and_then_one_every_ten_seconds() -> None:
    clock = ManualClock()
    rate = PushRate(clock=clock, per_minute=6)
    assert [rate.take("bob") for _ in range(8)] == [True] * 6 + [False] * 2
    clock.advance(9.9)
    assert not rate.take("bob")
    clock.advance(0.2)
    assert rate.take("bob")
    assert not rate.take("bob")
    assert rate.take("alice")


@pytest.mark.parametrize("per_minute", [1, 6, 7, 11, 60, 1000])
def test_as_many_as_were_set_are_pushed_at_once(per_minute: int) -> None:
    rate = PushRate(clock=ManualClock(), per_minute=per_minute)
    assert sum(rate.take("bob") for _ in range(per_minute + 5)) == per_minute


def test_callees_that_nobody_calls_any_more_are_forgotten() -> None:
    clock = ManualClock()
    rate = PushRate(clock=clock, per_minute=6, most=100)
    for number in range(1000):
        rate.take(f"callee {number}")
    assert len(rate) == 100
    clock.advance(61)
    for number in range(60):
        rate.take(f"new {number}")
    assert len(rate) <= 61


# who calls ------------------------------------------------------------------------------------------------------------


def test_only_a_trusted_peer_asserts_who_calls() -> None:
    call = request('P-Asserted-Identity: "Alice" <tel:+4312345>', method="INVITE", uri="sip:bob@example.com")
    assert caller_of(call, trusted=True) == ("tel:+4312345", "Alice")
    assert caller_of(call, trusted=False) == ("sip:bob@example.com", "")


@pytest.mark.parametrize("privacy", ["id", "user;id", "header", "ID ; critical"])
def test_who_wants_privacy_is_anonymous(privacy: str) -> None:
    call = request(f"Privacy: {privacy}", "P-Asserted-Identity: <sip:alice@example.com>", method="INVITE")
    assert caller_of(call, trusted=True) == (ANONYMOUS, "")
    assert caller_of(request("Privacy: none", method="INVITE"), trusted=True).uri == "sip:bob@example.com"


# names for peers ------------------------------------------------------------------------------------------------------


def test_a_phone_has_one_name_that_nobody_else_has() -> None:
    names = PhoneNames(Vault(bytes(32), bytes(32), None))  # type: ignore[arg-type]
    made = names.of("bob", "<urn:1>", "sip:a@h")
    assert made == names.of("bob", "<urn:1>", "sip:b@h")
    others = {names.of("bob", "<urn:2>", ""), names.of("eve", "<urn:1>", ""), names.of("bob", None, "<urn:1>")}
    assert len(others | {made}) == 4
    assert len(made) == 24
