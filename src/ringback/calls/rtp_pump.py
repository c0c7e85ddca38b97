"""One socket and one timer for the early media of all calls: a packet every 20 ms to each caller that waits.

The loop is shared with SIP and the database, so the streams are spread over the 20 ms, and a round that takes too long
is broken off and goes on after everybody else had a turn. What arrives on the socket is never read.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from ringback.protocols.sip.rtp import HEADER, MARKER, PACKET_MS, SAMPLES, VERSION_2

_SLOTS: Final = 10
_SLOT_SECONDS: Final = PACKET_MS / 1000 / _SLOTS
_LONGEST_TURN: Final = 0.0015
"""Seconds; one slot may exceed it a little."""
_TIMER_SECONDS: Final = 0.001
"""What timers of the loop count in. Asked for less, uvloop comes back at once, again and again."""
_GIVEN_UP_SECONDS: Final = 0.1
"""When the loop was held longer, the sound pauses instead of being sent in a burst."""
_SEND_BUFFER: Final = 1 << 20
_MOST_FAILURES: Final = 50
_FULL: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.EINTR})


class RtpStream:
    """What is sent to one caller. numbers: 10 random bytes, for the sequence, the timestamp and the source."""

    __slots__ = ("failures", "frames", "loop", "marked", "next", "remote", "sequence", "slot", "ssrc", "timestamp")

    def __init__(
        self, frames: tuple[bytes, ...], payload_type: int, remote: tuple[str, int], numbers: bytes, *, loop: bool
    ) -> None:
        self.frames = frames
        self.loop = loop
        self.remote = remote
        self.marked = payload_type | MARKER  # of the first packet only
        self.sequence, self.timestamp, self.ssrc = struct.unpack("!HII", numbers)
        self.next = 0
        self.failures = 0
        self.slot = -1


class RtpPump:
    """Sends. `sent`, `lost`: packets. `streams`: how many there are."""

    def __init__(self, sending: socket.socket, now: Callable[[], float] = time.monotonic) -> None:
        """sending: a bound UDP socket, closed by `close`. now: a steady clock, in seconds."""
        # Not the loop's time: uvloop reads it once a round, and in milliseconds.
        sending.setblocking(False)
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # the least there is: nobody reads it
        self._socket = sending
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._slots: list[dict[RtpStream, None]] = [{} for _ in range(_SLOTS)]
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0  # when turn 0 was due
        self._turn = 0  # the next one; it is the turn of slot `turn % _SLOTS`
        self._sent_turn = -1  # the last one; perhaps a little before its time
        self._latest = 0.0
        self.streams = 0
        self.sent = 0
        self.lost = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it sends from."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(self, stream: RtpStream) -> None:
        """The first packet goes within 20 ms."""
        slot = min(range(_SLOTS), key=lambda at: len(self._slots[at]))
        stream.slot = slot
        self._slots[slot][stream] = None
        self.streams += 1
        now = self._now()
        if self._timer is None:
            self._began, self._turn, self._sent_turn = now, slot, slot - 1
            self._began -= slot * _SLOT_SECONDS
            self._wait()
            return
        soon = max(int((now - self._began) / _SLOT_SECONDS), self._sent_turn) + 1
        soon += (slot - soon) % _SLOTS
        if soon < self._turn:  # the timer slept over this slot while it was empty
            self._turn = soon
            self._timer.cancel()
            self._wait()

    def stop(self, stream: RtpStream) -> None:
        """No further packet; nothing when it was over."""
        if stream.slot >= 0:
            del self._slots[stream.slot][stream]
            stream.slot = -1
            self.streams -= 1

    def take_latest(self) -> float:
        """How late the latest packet was, in seconds, since this was last asked."""
        latest, self._latest = self._latest, 0.0
        return latest

    def close(self) -> None:
        """Ends all streams."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for slot in self._slots:
            for stream in list(slot):
                self.stop(stream)
        self._socket.close()

    def _wait(self) -> None:
        delay = self._began + self._turn * _SLOT_SECONDS - self._now()
        self._timer = self._loop.call_later(max(_TIMER_SECONDS, delay), self._run)

    def _run(self) -> None:
        """All turns that are due, as far as the time of this round goes."""
        began = now = self._now()
        late = now - self._began - self._turn * _SLOT_SECONDS
        self._latest = max(self._latest, late)
        if late > _GIVEN_UP_SECONDS:
            self._began += late
        # A timer may come a little before its time.
        while self._began + self._turn * _SLOT_SECONDS <= now + _TIMER_SECONDS and now < began + _LONGEST_TURN:
            self._sent_turn = self._turn
            self._send(self._slots[self._turn % _SLOTS])
            if not self.streams:
                self._timer = None
                return
            self._turn += 1
            while not self._slots[self._turn % _SLOTS]:
                self._turn += 1
            now = self._now()
        self._wait()

    def _send(self, slot: dict[RtpStream, None]) -> None:
        """One packet of each stream. Every line here runs 75,000 times a second when 1,500 callers wait."""
        sendto, pack = self._socket.sendto, HEADER.pack
        over = []
        for stream in slot:
            frames, at = stream.frames, stream.next
            head = pack(VERSION_2, stream.marked, stream.sequence, stream.timestamp, stream.ssrc)
            try:
                sendto(head + frames[at], stream.remote)
            except OSError as error:
                self.lost += 1
                stream.failures += error.errno not in _FULL
                if stream.failures > _MOST_FAILURES:
                    over.append(stream)
            stream.marked &= 0x7F
            stream.sequence = (stream.sequence + 1) & 0xFFFF
            stream.timestamp = (stream.timestamp + SAMPLES) & 0xFFFFFFFF
            at += 1
            if at == len(frames):
                at = 0
                if not stream.loop:
                    over.append(stream)
            stream.next = at
        self.sent += len(slot)
        for stream in over:
            self.stop(stream)
