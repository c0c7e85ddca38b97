"""The garbage collector of a process that serves: what it looks at, and how often."""

from __future__ import annotations

import gc

COLLECT_AFTER = (5_000, 20, 20)
"""So many more objects than before; so many collections of the young ones, and of the older ones."""


def calm_collector() -> None:
    """Once everything is made. What was made at start lives as long as the process: it is not looked at again.

    Requests under way are a thousand or two, calls live for half a minute, and almost all of their objects go without
    the collector. So it looks less often than is usual in Python (700, 10, 10), where it looked at each of them twice.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
