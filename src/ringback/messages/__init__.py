"""Messages: what a user is told on all their phones.

`MessagesService.fan_out` writes a push, with its delivery, for each push token of a user, in the unit of work of
whatever there is to tell; operations and calls use it as well. `LocalStreams` is the other end of the `local` push
provider: the connection that a phone keeps open. What a back end sends itself, and the inbox, come here later.
"""

from __future__ import annotations

from ringback.messages.model import Notice
from ringback.messages.service import MessagesService, PushTargets
from ringback.messages.stream import LocalStreams, Registrations, StreamLimits

__all__ = ["LocalStreams", "MessagesService", "Notice", "PushTargets", "Registrations", "StreamLimits"]
