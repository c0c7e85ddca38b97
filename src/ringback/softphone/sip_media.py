"""The sound of a call: one UDP socket that counts what it hears, and sends a tone or silence (RFC 3550, RFC 3551)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import struct
from collections import Counter
from collections.abc import Callable
from typing import Literal

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.g711 import encode_alaw, encode_ulaw
from ringback.protocols.sip.rtp import PCMA, SAMPLES, RtpPacket, parse_packet, write_packet

FRAME_SECONDS = 0.02
_TONE_HERTZ = 400
"""A whole number of its waves fits into a frame, so that one frame sounds on and on."""

Sound = Literal["tone", "silence"]


def _frame(sound: Sound, encode: Callable[[bytes], bytes]) -> bytes:
    loudness = 8000 if sound == "tone" else 0
    wave = (round(loudness * math.sin(2 * math.pi * _TONE_HERTZ * n / 8000)) for n in range(SAMPLES))
    return encode(struct.pack(f"<{SAMPLES}h", *wave))


class CallMedia(asyncio.DatagramProtocol):
    """One call's socket. `random`: for the numbers that must not be guessed."""

    def __init__(self, random: Callable[[int], bytes], sound: Sound = "tone") -> None:
        self._random = random
        self._sound = sound
        self._transport: asyncio.DatagramTransport | None = None
        self._next: asyncio.TimerHandle | None = None
        self._remote: tuple[str, int] | None = None
        self._frame = b""
        self._payload_type = PCMA
        self._sequence = 0
        self._timestamp = 0
        self._source = 0
        self._due = 0.0
        self._first = True
        self.address = ("", 0)
        self.received = 0
        self.sent = 0
        self.sources: Counter[int] = Counter()
        """How many packets came of each synchronisation source: the early media of one, the voice of another."""

    async def open(self, host: str) -> None:
        """On a free port of this address. Raises OSError."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, 0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = transport  # type: ignore[assignment]  # a datagram endpoint's transport is always this one
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - the loop's signature
        """Something came."""
        with contextlib.suppress(SipMalformed):
            self.sources[parse_packet(data).ssrc] += 1
            self.received += 1

    def start(self, remote: tuple[str, int], payload_type: int) -> None:
        """Sends to this address from now on: 50 packets a second."""
        if self._transport is None:
            return
        if self._next is not None:
            self._next.cancel()
        numbers = self._random(10)
        self._sequence, self._timestamp, self._source = struct.unpack("!HII", numbers)
        self._remote, self._payload_type, self._first = remote, payload_type, True
        self._frame = _frame(self._sound, encode_alaw if payload_type == PCMA else encode_ulaw)
        self._due = asyncio.get_running_loop().time()
        self._send()

    def close(self) -> None:
        """Nothing is heard or sent any more; what was counted stays."""
        if self._next is not None:
            self._next.cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _send(self) -> None:
        if self._transport is None or self._remote is None:
            return
        packet = RtpPacket(
            self._payload_type, self._sequence, self._timestamp, self._source, self._frame, marker=self._first
        )
        self._transport.sendto(write_packet(packet), self._remote)
        self._first = False
        self.sent += 1
        self._sequence += 1
        self._timestamp += SAMPLES
        self._due += FRAME_SECONDS
        self._next = asyncio.get_running_loop().call_at(self._due, self._send)
