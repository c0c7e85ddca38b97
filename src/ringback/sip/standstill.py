"""Notices that the process stood still: stopped, swapped out, its loop blocked.

What came by UDP meanwhile lay in the sockets, and is read when the process goes on as if it had just come. Whoever
called has given up after 64*T1 (RFC 3261 §17.1.1.2, timer B), a proxy after less, and does not say so to a server that
never answered. Who still waits sends it again, after at most as long as it has waited already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.sip.wheel import Wheel

_LOOKS: Final = 8
"""So often in the time that counts."""


class Standstill:
    """`noticed` is told when nothing was done for longer than `seconds`."""

    def __init__(self, wheel: Wheel, now: float, seconds: float, noticed: Callable[[], None]) -> None:
        self._seconds = seconds
        self._noticed = noticed
        self._seen_at = now
        self.tick = 0
        self.due = now + seconds / _LOOKS
        wheel.place(self)

    def look(self, now: float) -> bool:
        """Something is done now. True when it is the first thing after a standstill."""
        is_first = now - self._seen_at > self._seconds
        self._seen_at = now
        if is_first:
            self._noticed()
        return is_first

    def on_time(self, now: float) -> None:
        """Nothing need come for a long time."""
        self.due = now + self._seconds / _LOOKS
        self.look(now)
