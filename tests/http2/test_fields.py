"""Which octets may stand in a path and in a value (RFC 9113 §8.2.1, §8.3.1)."""

from __future__ import annotations

import pytest

from ringback.http2 import Indexing, Request
from ringback.http2.fields import Fields
from ringback.http2.session_h2 import H2Session
from tests.http2.test_hpack import APPLE

CONTROLS = {*range(0x09), *range(0x0A, 0x20), 0x7F}


def fields(indexing: Indexing) -> Fields:
    return Fields(b"localhost", indexing, H2Session(None))  # type: ignore[arg-type] # nothing comes


def may_be_sent(made: Fields, request: Request) -> bool:
    try:
        made.of(request)
    except ValueError:
        return False
    return True


def test_a_path_has_neither_controls_nor_spaces() -> None:
    made = fields(Indexing())
    refused = {octet for octet in range(256) if not may_be_sent(made, Request(b"/a%cb" % octet, ()))}
    assert refused == CONTROLS | {0x09, 0x20}


@pytest.mark.parametrize("name", [b"x", b"authorization", b"apns-id"])
@pytest.mark.parametrize("rest", [b"", b"a" * 40])
def test_a_value_has_no_controls(name: bytes, rest: bytes) -> None:
    made = fields(APPLE)
    assert may_be_sent(made, Request(b"/", ((name, b"first"),)))
    refused = {octet for octet in range(256) if not may_be_sent(made, Request(b"/", ((name, b"%c" % octet + rest),)))}
    assert refused == CONTROLS


def test_values_that_come_once_are_not_remembered() -> None:
    made = fields(APPLE)
    for number in range(10_000):
        made.of(Request(b"/", ((b"apns-id", b"%036d" % number), (b"apns-expiration", b"%d" % number))))
    assert len(made._ready) <= 200
