"""Calls: a phone that sleeps is woken, and the call goes through.

`WakeUps` is the core, one for each process that rings: it reads whom a call can reach (`Reach`), and keeps a `LiveCall`
for each call that waits: its trace, its pushes, its end. The row of a call goes to the store beside it, without being
waited for. What lies above the core speaks SIP, or is told of calls over HTTP by a proxy that suspends them itself.
"""

from __future__ import annotations

from ringback.calls.model import Considered, NewCall, Outcome, Reach
from ringback.calls.reaching import Reaching
from ringback.calls.wakeups import LiveCall, WakeUps

__all__ = ["Considered", "LiveCall", "NewCall", "Outcome", "Reach", "Reaching", "WakeUps"]
