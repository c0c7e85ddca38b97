"""Ports that nobody listens on at the moment, for programs that must be told theirs before they start."""

from __future__ import annotations

import contextlib
import random
import socket

# Below what the kernel hands out by itself, so that no connection of a test takes one between the look and the start.
_FIRST, _LAST = 12_000, 31_000


def free_port(host: str = "127.0.0.1") -> int:
    """One that is free for UDP and TCP."""
    while True:
        port = random.randrange(_FIRST, _LAST, 2)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                probe = probes.enter_context(socket.socket(socket.AF_INET, kind))
                probe.bind((host, port))
            return port
