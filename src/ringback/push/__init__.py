"""Pushes: one notification to one push token.

`Pushes.queue` writes a push and its delivery in the caller's unit of work. The outbox hands the delivery to
`PushChannel`, which gives it to the provider of the push token's kind, and the push ends DELIVERED, or FAILED with a
reason that a person can read. `LocalProvider` is the provider for phones that keep a connection open to this server
instead of going through Apple, Google or Huawei: it writes what it was given into a mailbox per registration
(`LocalMailbox`), from which the stream reads, in order.
"""

from __future__ import annotations

from ringback.push.channel import Provider, PushChannel
from ringback.push.local import LocalMailbox, LocalProvider, wake_channel
from ringback.push.model import LocalPush, NewPush, Push
from ringback.push.service import CHANNEL, Pushes

__all__ = [
    "CHANNEL",
    "LocalMailbox",
    "LocalProvider",
    "LocalPush",
    "NewPush",
    "Provider",
    "Push",
    "PushChannel",
    "Pushes",
    "wake_channel",
]
