"""How long to wait before the next attempt."""

from __future__ import annotations

from ringback.clock import Randomness
from ringback.outbox.model import OutboxLimits


def pause_ms(attempts: int, limits: OutboxLimits, randomness: Randomness) -> int:
    """The pause after `attempts` attempts, in milliseconds: doubled each time up to the longest, half of it random.

    The random half keeps deliveries that failed together from coming back together.
    """
    doubled = limits.first_pause_seconds * 2.0 ** min(attempts - 1, 30)
    whole = min(doubled, limits.longest_pause_seconds)
    share = int.from_bytes(randomness.bytes(4), "big") / 2**32
    return round(whole * (0.5 + share / 2) * 1000)
