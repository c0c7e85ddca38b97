"""The header of RTP packets and the figures of G.711 in RTP. Source: RFC 3550 §5.1, RFC 3551 §4.5.14, §6."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from ringback.protocols.sip.errors import SipMalformed

PCMU: Final = 0
PCMA: Final = 8
PACKET_MS: Final = 20
SAMPLES: Final = 160
"""Samples, and bytes of payload, in a packet of 20 ms at 8 kHz."""
HEADER: Final = struct.Struct("!BBHII")
"""Version and flags; marker and payload type; sequence number; timestamp; synchronisation source."""
VERSION_2: Final = 0x80
MARKER: Final = 0x80


class RtpPacket(msgspec.Struct, frozen=True):
    """A packet. timestamp: in samples."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


def write_packet(packet: RtpPacket) -> bytes:
    """The bytes to send; sequence number and timestamp wrap."""
    marked = packet.payload_type | (MARKER if packet.marker else 0)
    head = HEADER.pack(
        VERSION_2, marked, packet.sequence & 0xFFFF, packet.timestamp & 0xFFFFFFFF, packet.ssrc & 0xFFFFFFFF
    )
    return head + packet.payload


def parse_packet(data: bytes) -> RtpPacket:
    """Reads a packet, with contributing sources, header extension and padding left out. Raises SipMalformed."""
    if len(data) < HEADER.size or data[0] >> 6 != 2:
        raise SipMalformed("Malformed RTP")
    flags, marked, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    start, end = HEADER.size + 4 * (flags & 0x0F), len(data)
    if flags & 0x10:
        if start + 4 > end:
            raise SipMalformed("Malformed RTP")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if flags & 0x20:
        end -= data[-1]
    if start > end or (flags & 0x20 and data[-1] == 0):
        raise SipMalformed("Malformed RTP")
    return RtpPacket(marked & 0x7F, sequence, timestamp, ssrc, data[start:end], marker=bool(marked & MARKER))
