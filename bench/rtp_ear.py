"""Hears early media: `python -m bench.rtp_ear SECONDS` prints its port, and on a line of input listens so long.

How late a packet is: by the kernel's time of its arrival, against the best one of its stream that any other packet of
the window kept. A stream is an SSRC, a packet is due 20 ms after the one before it.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

import msgspec

PACKET_SECONDS = 0.02
_SO_TIMESTAMPNS = 35
_BUFFER_BYTES = 64 << 20
_SO_RCVBUFFORCE = 33
_RTP = struct.Struct("!HHII")
_TIMESPEC = struct.Struct("qq")


class Heard(msgspec.Struct, frozen=True):
    """What came in the window. `missing`: packets that the sequence numbers say were sent. Times in milliseconds."""

    streams: int
    packets: int
    missing: int
    worst_ms: float
    p999_ms: float


def main(seconds: float) -> None:
    """Waits for the line, listens, prints a Heard."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    ear.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    ear.bind(("127.0.0.1", 0))
    print(ear.getsockname()[1], flush=True)
    sys.stdin.readline()
    ear.setblocking(False)
    while _take(ear) is not None:
        pass  # what came before the window
    ear.settimeout(1)
    packets: list[tuple[int, int, float]] = []
    until = time.time() + seconds
    while True:
        taken = _take(ear)
        if taken is None or taken[2] > until:
            break
        packets.append(taken)
    print(msgspec.json.encode(_judged(packets)).decode(), flush=True)


def _take(ear: socket.socket) -> tuple[int, int, float] | None:
    """SSRC, sequence number and time of arrival of the next packet; None when there is none."""
    try:
        data, ancillary, _, _ = ear.recvmsg(12, 64)
    except OSError:
        return None
    _, sequence, _, source = _RTP.unpack(data)
    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
    return source, sequence, seconds + nanoseconds / 1e9


def _judged(packets: list[tuple[int, int, float]]) -> Heard:
    streams: dict[int, list[tuple[int, float]]] = {}
    for source, sequence, at in packets:
        arrivals = streams.setdefault(source, [])
        number = sequence if not arrivals else arrivals[-1][0] + ((sequence - arrivals[-1][0]) & 0xFFFF)
        arrivals.append((number, at - number * PACKET_SECONDS))
    late, missing = [], 0
    for arrivals in streams.values():
        best = min(offset for _, offset in arrivals)
        late += [(offset - best) * 1000 for _, offset in arrivals]
        missing += arrivals[-1][0] - arrivals[0][0] + 1 - len(arrivals)
    late.sort()
    return Heard(len(streams), len(late), missing, late[-1], late[int(len(late) * 0.999)])


if __name__ == "__main__":
    main(float(sys.argv[1]))
