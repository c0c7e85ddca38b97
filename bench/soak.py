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
CALLS_PER_SECOND = 100
CALLEES = 2_000
WAKE_AFTER_SECONDS = 0.3
MOST_GROWTH_MB = 8


async def ten_minutes_of_calls() -> list[Figure]:
    """Memory at the end, over memory when everything was warm; both without SQLite's, whose caches have a limit."""
    rounds = MINUTES * 60 * CALLS_PER_SECOND // CALLEES
    names = [f"u{number}" for number in range(CALLEES)]
    loop = asyncio.get_running_loop()
    lost, calls = 0, 0
    # Each call wakes its phone, although that has registered 20 s before.
    task = Task(folder="", subscribers=CALLEES, wake_seconds=30, mobile_push_enable="always")
    async with call_server(task) as server:
        warm = await server.state()
        for number in range(rounds):
            if number == round(rounds * WARM_UP_SHARE):
                warm = await server.state()
            place = ("127.0.0.1", server.port)
            async with SipLoad(place, DOMAIN, password=lambda _: PASSWORD, caller=CALLER, follows=False) as load:
                for order, name in enumerate(names):
                    loop.call_later(order / CALLS_PER_SECOND + WAKE_AFTER_SECONDS, load.wake, name)
                result = await load.call(names, per_second=CALLS_PER_SECOND)
            calls += result.calls
            lost += result.calls - result.finals.get(302, 0)
        after = await server.state()
    whole, sqlite = after.megabytes - warm.megabytes, after.sqlite_megabytes - warm.sqlite_megabytes
    return [
        Figure(
            name="soak", figure=whole - sqlite, unit="MB", target=MOST_GROWTH_MB, better="lower",
            detail=f"growth in the last {1 - WARM_UP_SHARE:.0%} of {MINUTES} min; SQLite's own {sqlite:.1f} MB are not"
            f" in it (caches, now {after.sqlite_megabytes:.0f} MB of at most 96); {after.megabytes:.0f} MB in all;"
            f" {calls} calls, {lost} not given back, {after.waiting} still waiting",
        )
    ]  # fmt: skip
