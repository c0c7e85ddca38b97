"""Ten minutes of calls in the product's own process: what was taken for a call is given back after it.

`./run bench soak`; not among those that run without being named.
"""

from __future__ import annotations

import asyncio
import os

from bench.call_server import CALLER, DOMAIN, PASSWORD, Task
from bench.calls import call_server
from bench.figure import Figure
from ringback.softphone.sip_load import SipLoad

MINUTES = int(os.environ.get("SOAK_MINUTES", "10"))
WARM_UP_SHARE = 0.4
"""Until then the page caches of SQLite fill, up to what they may have."""
CALLS_PER_SECOND = 100
CALLEES = 2_000
WAKE_AFTER_SECONDS = 0.3
MOST_GROWTH_MB = 8


async def ten_minutes_of_calls() -> list[Figure]:
    """Memory at the end, over memory when everything was warm."""
    rounds = MINUTES * 60 * CALLS_PER_SECOND // CALLEES
    names = [f"u{number}" for number in range(CALLEES)]
    loop = asyncio.get_running_loop()
    warm, lost, calls = 0.0, 0, 0
    # Each call wakes its phone, although that has registered 20 s before.
    task = Task(folder="", subscribers=CALLEES, wake_seconds=30, mobile_push_enable="always")
    async with call_server(task) as server:
        for number in range(rounds):
            if number == round(rounds * WARM_UP_SHARE):
                warm = (await server.state()).megabytes
            place = ("127.0.0.1", server.port)
            async with SipLoad(place, DOMAIN, password=lambda _: PASSWORD, caller=CALLER, follows=False) as load:
                for order, name in enumerate(names):
                    loop.call_later(order / CALLS_PER_SECOND + WAKE_AFTER_SECONDS, load.wake, name)
                result = await load.call(names, per_second=CALLS_PER_SECOND)
            calls += result.calls
            lost += result.calls - result.finals.get(302, 0)
        after = await server.state()
    return [
        Figure(
            name="soak", figure=after.megabytes - warm, unit="MB", target=MOST_GROWTH_MB, better="lower",
            detail=f"growth from {warm:.0f} MB in the last {1 - WARM_UP_SHARE:.0%} of {MINUTES} minutes; {calls} calls,"
            f" {lost} not given back, {after.waiting} still waiting",
        )
    ]  # fmt: skip
