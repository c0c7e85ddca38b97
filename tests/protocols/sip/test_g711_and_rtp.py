"""Samples to bytes, and bytes in packets."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.g711 import encode_alaw, encode_ulaw
from ringback.protocols.sip.rtp import RtpPacket, parse_packet, write_packet


def decoded_alaw(code: int) -> int:
    """ITU-T G.711 Table 1a, the other way round: the middle of the interval, in 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = (2 * step + 1 << 3) if segment == 0 else (2 * step + 33 << 2 + segment)
    return magnitude if code & 0x80 else -magnitude


def decoded_ulaw(code: int) -> int:
    """Table 2a, the other way round."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 15) + 33 << (code >> 4 & 7)) - 33) << 2
    return -magnitude if code & 0x80 else magnitude


def samples(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


ALL = list(range(-32768, 32768))


def test_every_sample_becomes_the_nearest_code() -> None:
    for encode, decoded in ((encode_alaw, decoded_alaw), (encode_ulaw, decoded_ulaw)):
        levels = sorted({decoded(code) for code in range(256)})
        found = encode(samples(ALL))
        furthest = max(level - below for below, level in pairwise(levels))
        for value, code in zip(ALL, found, strict=True):
            if levels[0] <= value <= levels[-1]:
                away = abs(decoded(code) - value)
                step = max(16, 2 * abs(value) // 16)
                assert away <= step // 2 + 8, (value, code)
            else:
                assert abs(decoded(code) - value) <= furthest


def test_codes_are_those_of_the_tables() -> None:
    assert encode_alaw(samples([0, -1, 32767, -32768, 8, 1000, -1000])).hex() == "d555aa2ad5fa7a"
    assert encode_ulaw(samples([0, -1, 32767, -32768, 8, 1000, -1000])).hex() == "ff7f8000fece4e"
    for code in range(256):
        assert encode_alaw(samples([decoded_alaw(code)]))[0] == code
        assert encode_ulaw(samples([decoded_ulaw(code)]))[0] in {code, 0xFF if code == 0x7F else code}


def test_half_a_sample_is_refused() -> None:
    for encode in (encode_alaw, encode_ulaw):
        with pytest.raises(ValueError, match="multiple"):
            encode(b"\0\0\0")


@given(
    payload_type=st.integers(0, 127),
    numbers=st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
)
def test_what_is_written_is_read(
    payload_type: int, numbers: tuple[int, int, int], payload: bytes, marker: bool
) -> None:
    packet = RtpPacket(payload_type, *numbers, payload, marker)
    data = write_packet(packet)
    assert len(data) == 12 + len(payload)
    assert parse_packet(data) == packet


def test_numbers_wrap() -> None:
    assert parse_packet(write_packet(RtpPacket(8, 65536, 2**32 + 160, 7, b""))) == RtpPacket(8, 0, 160, 7, b"")


def test_what_stands_around_the_payload_is_left_out() -> None:
    head = bytes([0xB1, 0x80 | 8]) + struct.pack("!HII", 1, 2, 3)
    data = head + b"csrc" + b"\xbe\xde\0\1" + b"extn" + b"voice" + b"\0\0\3"
    assert parse_packet(data) == RtpPacket(8, 1, 2, 3, b"voice", marker=True)
    for end in range(12 + 4 + 8):
        with pytest.raises(SipMalformed):
            parse_packet(data[:end])


@given(data=st.binary(max_size=40))
def test_no_packet_does_any_harm(data: bytes) -> None:
    try:
        assert len(parse_packet(data).payload) <= len(data)
    except SipMalformed:
        return
