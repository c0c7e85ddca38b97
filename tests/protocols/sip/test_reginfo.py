"""Registration information: what Kamailio and the specification write, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.reginfo import LARGEST, RegInfo, RegisteredContact, parse_reginfo

KAMAILIO = b"""<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
  <registration aor="sip:bob@example.com" id="0x7f1" state="active">
    <contact id="0x7f2" state="active" event="registered" expires="59" duration-registered="1" callid="abc" cseq="2">
      <uri>sip:bob@192.0.2.9:5080;transport=tcp</uri>
      <unknown-param name="+sip.instance">"&lt;urn:uuid:1&gt;"</unknown-param>
      <unknown-param name="reg-id">1</unknown-param>
    </contact>
    <contact id="0x7f3" state="terminated" event="expired" expires="0"><uri> sip:bob@192.0.2.10 </uri></contact>
  </registration>
</reginfo>
"""
START = '<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="1" state="full">'


def test_what_a_proxy_says_is_read() -> None:
    info = parse_reginfo(KAMAILIO)
    assert info == RegInfo(
        "sip:bob@example.com",
        0,
        "full",
        (
            RegisteredContact(
                "0x7f2", "sip:bob@192.0.2.9:5080;transport=tcp", "active", "registered", 59, "<urn:uuid:1>", "abc", 2,
                "sip:bob@example.com",
            ),
            RegisteredContact("0x7f3", "sip:bob@192.0.2.10", "terminated", "expired", 0, aor="sip:bob@example.com"),
        ),
    )  # fmt: skip
    assert info.is_active


def test_a_prefix_other_registrations_and_other_elements_do_no_harm() -> None:
    info = parse_reginfo(
        b'<r:reginfo xmlns:r="urn:ietf:params:xml:ns:reginfo" xmlns:x="urn:x" '
        b'version="7" state="partial" x:state="full">'
        b'<r:registration aor="sip:a@b" id="1" state="init"/>'
        b'<x:registration><x:contact state="active"/></x:registration>'
        b'<r:registration aor="sip:c@b" id="2" state="active"><r:contact id="3" state="active" event="created">'
        b"<r:uri>sip:c@d</r:uri><x:uri>sip:evil</x:uri><r:display-name>C</r:display-name></r:contact></r:registration>"
        b"</r:reginfo>"
    )
    assert (info.aor, info.version, info.state) == ("sip:a@b", 7, "partial")
    assert [(one.aor, one.uri) for one in info.contacts] == [("sip:c@b", "sip:c@d")]


def test_contacts_of_a_registration_that_ended_cannot_be_called() -> None:
    ended = KAMAILIO.replace(b'id="0x7f1" state="active"', b'id="0x7f1" state="terminated"')
    info = parse_reginfo(ended)
    assert [one.state for one in info.contacts] == ["terminated", "terminated"]
    assert not info.is_active


BOMB = (
    '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    f'{START}<registration aor="&c;" id="1" state="active"/></reginfo>'
)
FILE = (
    '<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    f'{START}<registration aor="sip:a@b" id="1" state="active"><contact id="2" state="active"><uri>&f;</uri></contact>'
    "</registration></reginfo>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        START.encode(),
        KAMAILIO + b"<more/>",
        BOMB.encode(),
        FILE.encode(),
        b'<!DOCTYPE reginfo SYSTEM "http://example.com/x.dtd">' + KAMAILIO[22:],
        KAMAILIO.replace(b"sip:bob@192.0.2.10", b"&undefined;"),
        KAMAILIO.replace(b'version="0"', b'version="-1"'),
        KAMAILIO.replace(b'version="0"', b""),
        KAMAILIO.replace(b'state="full"', b'state="some"'),
        KAMAILIO.replace(b'id="0x7f1" state="active"', b'id="0x7f1"'),
        KAMAILIO.replace(b'id="0x7f3" state="terminated"', b'id="0x7f3" state="maybe"'),
        KAMAILIO.replace(b"<uri> sip:bob@192.0.2.10 </uri>", b""),
        KAMAILIO.replace(b"ns:reginfo", b"ns:other"),
        KAMAILIO.replace(b"?>", b' encoding="no-such-thing"?>'),
        KAMAILIO.replace(b"abc", b"\xff"),
        KAMAILIO.replace(b"abc", b"\0"),
        KAMAILIO + b" " * LARGEST,
        (START + "<x>" * 100 + "</x>" * 100 + "</reginfo>").encode(),
    ],
)
def test_what_is_broken_or_dangerous_is_malformed(body: bytes) -> None:
    with pytest.raises(SipMalformed):
        parse_reginfo(body)


@given(
    at=st.integers(0, len(KAMAILIO)),
    count=st.integers(0, 9),
    new=st.binary(max_size=4) | st.sampled_from([b"<", b"&", b'"', b"<!DOCTYPE x>"]),
)
def test_no_document_does_any_harm(at: int, count: int, new: bytes) -> None:
    try:
        info = parse_reginfo(KAMAILIO[:at] + new + KAMAILIO[at + count :])
    except SipMalformed:
        return
    assert info.state in {"full", "partial"}
    assert all(contact.state in {"init", "active", "terminated"} for contact in info.contacts)
