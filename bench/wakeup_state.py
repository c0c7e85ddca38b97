"""What the two servers of `bench.wakeup_kamailio` say of themselves when they are asked."""

from __future__ import annotations

import msgspec


class State(msgspec.Struct, frozen=True):
    """How it stands."""

    waiting: int
    cpu_seconds: float
