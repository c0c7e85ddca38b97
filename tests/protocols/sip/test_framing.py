"""Messages cut out of a stream."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.framing import KEEPALIVE, StreamFramer, is_keepalive
from ringback.protocols.sip.message import parse_message
from tests.protocols.sip.odd_messages import INVITE

BODY = b"v=0\r\n\r\nContent-Length: 7\r\n\r\n"
ONE = INVITE.encode()
TWO = INVITE.replace("Content-Length: 0", f"l :\r\n  {len(BODY)}").encode() + BODY
LF = INVITE.replace("\r\n", "\n").encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 100_000])
def test_messages_and_pings_come_out_as_they_went_in(size: int) -> None:
    stream = b"\r\n\r\n" + ONE + TWO + b"\r\n" + LF + b"\r\n\r\n\r\n\r\n" + TWO
    framer = StreamFramer(2000)
    found = [one for at in range(0, len(stream), size) for one in framer.feed(stream[at : at + size])]
    assert found == [KEEPALIVE, ONE, TWO, LF, KEEPALIVE, KEEPALIVE, TWO]
    assert found[0] is KEEPALIVE
    assert framer.is_idle
    assert parse_message(found[2]).body == BODY


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (INVITE.replace("Content-Length: 0\r\n", ""), "Missing Content-Length"),
        (INVITE.replace("Content-Length: 0", "Content-Length: 0\r\nl: 1"), "Malformed Content-Length"),
        (INVITE.replace("Content-Length: 0", "Content-Length: -1"), "Malformed Content-Length"),
        (INVITE.replace("Content-Length: 0", "Content-Length:"), "Malformed Content-Length"),
        (INVITE.replace("Content-Length: 0", "Content-Length: 99999999999999"), "Malformed Content-Length"),
        (INVITE.replace("Content-Length: 0", "Content-Length: 3000"), "Message Too Large"),
        ("x" * 2001, "Message Too Large"),
    ],
)
def test_a_stream_that_cannot_be_cut_is_given_up(data: str, reason: str) -> None:
    framer = StreamFramer(2000)
    assert framer.feed(ONE + data.encode()) == [ONE], "what came before it is sound"
    assert framer.broken is not None
    assert framer.broken.reason == reason
    assert framer.feed(ONE) == []


def test_a_length_in_the_value_of_another_field_is_not_one() -> None:
    data = INVITE.replace("Contact:", "Subject: x\r\n content-length: 5\r\nX-Content-Length: 7\r\nContact:").encode()
    assert StreamFramer(2000).feed(data) == [data]


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"  \r\n"])
def test_a_datagram_may_only_keep_a_way_open(data: bytes) -> None:
    assert is_keepalive(data)
    assert not is_keepalive(data + ONE)
