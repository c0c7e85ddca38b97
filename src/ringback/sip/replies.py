"""What requests other than INVITE were answered, for those that come again. Source: RFC 3261 §17.2.2, timer J.

By UDP each is kept for half a minute, and tens of thousands come in that time: nothing is kept but the answer.
"""

from __future__ import annotations

import math

from ringback.protocols.sip.matching import Key
from ringback.sip.wheel import NEVER_DUE, Wheel


class Replies:
    """Answers by the key of their request; those that end within `seconds_together` share one timer."""

    def __init__(self, wheel: Wheel, seconds_together: float) -> None:
        self._wheel = wheel
        self._seconds = seconds_together
        self._known: dict[Key, bytes] = {}
        self._ending: dict[int, _Ending] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Key) -> bytes | None:
        """The answer."""
        return self._known.get(key)

    def keep(self, key: Key, data: bytes, until: float) -> None:
        """Until then, in the loop's seconds, or a little longer."""
        number = math.ceil(until / self._seconds)
        ending = self._ending.get(number)
        if ending is None:
            ending = self._ending[number] = _Ending(self, number, number * self._seconds)
            self._wheel.place(ending)
        ending.keys.append(key)
        self._known[key] = data

    def forget(self, number: int) -> None:
        """Those of one timer."""
        for key in self._ending.pop(number).keys:
            self._known.pop(key, None)


class _Ending:
    """Answers that are forgotten together."""

    def __init__(self, replies: Replies, number: int, due: float) -> None:
        self._replies = replies
        self._number = number
        self.keys: list[Key] = []
        self.due = due
        self.tick = 0

    def on_time(self, now: float) -> None:
        del now
        self.due = NEVER_DUE
        self._replies.forget(self._number)
