"""Who wants to be woken by which channel, within this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

Callback = Callable[[], None]


class Channels:
    """The subscriptions of one process."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}

    def subscribe(self, channel: str, callback: Callback) -> Callback:
        """Adds a callback; the same one may be added twice. Returns what takes it away again."""
        self._callbacks.setdefault(channel, []).append(callback)
        ended = False

        def unsubscribe() -> None:
            nonlocal ended
            if not ended:
                ended = True
                callbacks = self._callbacks[channel]
                callbacks.remove(callback)
                if not callbacks:
                    del self._callbacks[channel]

        return unsubscribe

    def wake(self, channels: Iterable[str]) -> None:
        """Calls the subscribers. One that fails is logged and stops neither the others nor the store."""
        for channel in channels:
            for callback in tuple(self._callbacks.get(channel, ())):
                try:
                    callback()
                except Exception:
                    logger.exception("a subscriber of channel %s failed", channel)

    def wake_all(self) -> None:
        """Calls everybody: for after a time in which wake-ups may have been missed."""
        self.wake(tuple(self._callbacks))
