"""Time and randomness, injected: nothing else in the product asks the machine for either."""

from __future__ import annotations

import os
import time
from typing import Protocol

_LAST_ID_TIME = 2**48 - 1


class Clock(Protocol):
    """Where the time comes from."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...


class Randomness(Protocol):
    """Where unpredictable bytes come from."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to: for tests and for replaying a story."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time it was last set to, in Unix milliseconds."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Moves the time; a negative value moves it back, as a badly kept machine may."""
        self._now_ms += round(seconds * 1000)


class SystemRandomness:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        return os.urandom(count)


def new_id(clock: Clock, randomness: Randomness) -> str:
    """A time-ordered UUID (RFC 9562 §5.7, version 7), 36 characters.

    Time-ordered, so that new rows land at the right edge of an index, on one database or on many, without a sequence.
    """
    value = bytearray(clock.now_ms().to_bytes(6, "big") + randomness.bytes(10))
    value[6] = value[6] & 0x0F | 0x70
    value[8] = value[8] & 0x3F | 0x80
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id_at(at_ms: int) -> str:
    """What sorts before every id of `new_id` from this Unix millisecond on, and after every earlier one."""
    text = min(max(at_ms, 0), _LAST_ID_TIME).to_bytes(6, "big").hex()
    return f"{text[:8]}-{text[8:]}"


def time_of_id(made: str) -> int:
    """The Unix millisecond in which `new_id` made this id."""
    return int(made[:8] + made[9:13], 16)
