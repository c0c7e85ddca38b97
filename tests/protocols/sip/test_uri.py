"""URIs in their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import SipUri, parse_uri, same_address


@pytest.mark.parametrize(
    ("text", "expected", "aor"),
    [
        ("sip:alice@example.com", SipUri("sip", "alice", "example.com"), "alice@example.com"),
        ("SIP:Alice@Example.COM:5070", SipUri("sip", "Alice", "example.com", 5070), "Alice@example.com"),
        ("sips:example.com", SipUri("sips", "", "example.com"), "example.com"),
        ("sip:a%20b@[2001:DB8::1]:5061", SipUri("sip", "a%20b", "2001:db8::1", 5061), "a b@[2001:db8::1]"),
        (
            "sip:+1-212;ext=9@h;User=phone;lr;x=%41?Subject=a&b=c",
            SipUri("sip", "+1-212;ext=9", "h", None, {"user": "phone", "lr": None, "x": "%41"}, "Subject=a&b=c"),
            "+1-212;ext=9@h",
        ),
        ("sip:a:secret@h", SipUri("sip", "a", "h", password="secret"), "a@h"),
        ("tel:+43-1;phone-context=x", SipUri("tel", "+43-1", "", None, {"phone-context": "x"}), "+43-1"),
    ],
)
def test_a_uri_falls_into_its_parts(text: str, expected: SipUri, aor: str) -> None:
    found = parse_uri(text)
    assert found == expected
    assert found.aor == aor
    assert parse_uri(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "sip", "sip:", "sip:@h", "sip:a@", "sip:a@b@c", "sip:a@h:0", "sip:a@h:65536", "sip:a@h:x", "sip:a@[::1",
        "sip:a@[::1]x", "sip:a@h h", "sip:a b@h", "sip:a@h;x=1;X=2", "sip:a@h;=1", "sip:%00@h", "sip:%0d%0a@h",
        "sip:%ff@h", "sip:a\x00@h", "sip:<a>@h", 'sip:"a"@h', "sip:a@" + "h" * 300, "tel:", "sip:\udcff@h", "sip:a@hö",
        "sip:a\x9b1m@h", "sip:a%C2%9B1m@h", "sip:a\u202e@h", "sip:a%E2%80%AE@h", "sip:a@h;x=\x85", "sip:a@h?x=\u2028",
    ],
)  # fmt: skip
def test_what_is_no_uri_is_malformed(text: str) -> None:
    with pytest.raises(SipMalformed) as caught:
        parse_uri(text)
    assert caught.value.status == 400


def test_another_scheme_is_told_apart() -> None:
    with pytest.raises(SipMalformed) as caught:
        parse_uri("mailto:a@h")
    assert caught.value.status == 416


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@a.com;transport=TCP", "sip:alice@A.com;Transport=tcp", True),
        ("sip:c@b.com;a=1", "sip:c@b.com", True),
        ("sip:c@b.com;a=1", "sip:c@b.com;a=2", False),
        ("sip:c@b.com?to=x&subject=y", "sip:c@b.com?subject=y&to=x", True),
        ("sip:c@b.com?subject=y", "sip:c@b.com", False),
        ("sip:ALICE@a.com", "sip:alice@a.com", False),
        ("sip:b@b.com", "sip:b@b.com:5060", False),
        ("sip:b@b.com", "sips:b@b.com", False),
        ("sip:b@b.com;transport=udp", "sip:b@b.com", False),
        ("sip:b@b.com;user=phone", "sip:b@b.com", False),
        ("sip:b@b.com;maddr=1.2.3.4", "sip:b@b.com", False),
        ("sip:b:x@b.com", "sip:b@b.com", False),
    ],
)
def test_addresses_are_compared_as_the_specification_says(one: str, other: str, same: bool) -> None:
    assert same_address(parse_uri(one), parse_uri(other)) is same
    assert same_address(parse_uri(other), parse_uri(one)) is same


@given(
    text=st.text(max_size=60).map(lambda rest: "sip:" + rest)
    | st.text(alphabet='sip:tel@[]%0;=?.a1\0\t<>"', max_size=30)
)
def test_no_text_does_any_harm(text: str) -> None:
    try:
        found = parse_uri(text)
    except SipMalformed:
        return
    assert parse_uri(str(found)) == found
    found.aor.encode()
