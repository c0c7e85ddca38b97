"""pn-parameters of contacts."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.push_parameters import PushParameters, push_parameters_of, without_push_parameters
from ringback.protocols.sip.uri import parse_uri


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (
            "sip:a@h;PN-Provider=apns;pn-prid=00fc13adff78512;pn-param=ABCD1234.org.x.voip",
            PushParameters("apns", "00fc13adff78512", "ABCD1234.org.x.voip"),
        ),
        (
            "sip:a@h;pn-provider=webpush;pn-prid=https%3A%2F%2Fx;pn-purr=y",
            PushParameters("webpush", "https%3A%2F%2Fx", None, "y"),
        ),
        ("sip:a@h;pn-provider", PushParameters("")),
        ("sip:a@h;pn-provider=fcm;pn-prid", PushParameters("fcm", "")),
        ("sip:a@h;pn-prid=x", None),
        ("sip:a@h", None),
    ],
)
def test_they_are_read_as_written(contact: str, expected: PushParameters | None) -> None:
    assert push_parameters_of(contact) == expected
    assert push_parameters_of(parse_uri(contact)) == expected


def test_nobody_else_is_shown_them() -> None:
    uri = parse_uri("sip:a@h:5070;pn-provider=apns;ob;Pn-Prid=secret;pn-param=x;pn-purr=y;transport=tcp?h=v")
    assert str(without_push_parameters(uri)) == "sip:a@h:5070;ob;transport=tcp?h=v"
    plain = parse_uri("sip:a@h;ob")
    assert without_push_parameters(plain) is plain


def test_what_is_no_uri_is_malformed() -> None:
    with pytest.raises(SipMalformed):
        push_parameters_of("sip:a@h;pn-provider=x;pn-provider=y")
