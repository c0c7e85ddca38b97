"""What uvicorn complains of: any stranger can make it do so with each request, and must not fill the disk with that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

QUIET_SECONDS = 60.0


class OnceAMinute(logging.Filter):
    """Lets a complaint pass once a minute, with how often it was kept back before; errors always."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._said: dict[str, tuple[float, int]] = {}
        """When it was said, and how often since. uvicorn has few, and none has anything of the request in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said."""
        if record.levelno >= logging.ERROR:
            return True
        now, text = self._now(), str(record.msg)
        said_at, kept_back = self._said.get(text, (now - QUIET_SECONDS, 0))
        if now - said_at < QUIET_SECONDS:
            self._said[text] = (said_at, kept_back + 1)
            return False
        self._said[text] = (now, 0)
        if kept_back:
            record.msg = f"{text} (and {kept_back} times more since this was said last)"
        return True


_once_a_minute = OnceAMinute()


def keep_quiet() -> None:
    """From now on, in this process."""
    logging.getLogger("uvicorn.error").addFilter(_once_a_minute)
