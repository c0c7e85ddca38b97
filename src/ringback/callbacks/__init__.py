"""Callbacks: back ends are told when a registration or an operation changes.

A callback is a URL of one app with the attributes that it wants to know. `Announcer.hear` listens to the events of the
rooms and writes, in the very unit of the change, one delivery for each callback: what is told is how things stood then.
`CallbackChannel` sends the deliveries of the outbox by the guarded way out, again and again as the callback's settings
say. `CallbacksService` manages them; `api.py` serves the paths of PowerAuth Cloud and, natively, what became of the
deliveries. Nobody imports this room.
"""

from __future__ import annotations

from ringback.callbacks.announcing import Announcer
from ringback.callbacks.channel import CallbackChannel
from ringback.callbacks.service import CallbacksService

__all__ = ["Announcer", "CallbackChannel", "CallbacksService"]
