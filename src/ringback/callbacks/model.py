"""A callback as it is stored, and the figures of its deliveries."""

from __future__ import annotations

from typing import Literal

import msgspec

CHANNEL = "callback"
CallbackType = Literal["OPERATION_STATUS_CHANGE", "REGISTRATION_STATUS_CHANGE", "CALL_STATUS_CHANGE"]

SECOND_MS = 1_000
DAY_MS = 86_400_000

MOST_CALLBACKS = 100
"""Callbacks that one app may have: each one is a row for each change."""

# PowerAuth server tries once, and then the back end never hears of it. Sixteen attempts whose pauses double from two
# seconds to an hour bridge five hours; whoever wants one attempt sets maxAttempts to 1.
DEFAULT_MAX_ATTEMPTS = 16
DEFAULT_INITIAL_BACKOFF_MS = 2 * SECOND_MS
LONGEST_BACKOFF_MS = 3_600 * SECOND_MS
# PowerAuth server, powerauth.service.callbacks.defaultRetentionPeriod.
DEFAULT_RETENTION_MS = 30 * DAY_MS


class Callback(msgspec.Struct, frozen=True):
    """A row of `callbacks`. `attributes`: JSON list of names; `authentication_sealed`: see `authentication.py`."""

    id: str
    app_id: str
    name: str
    type: CallbackType
    callback_url: str
    attributes: str
    authentication_sealed: bytes | None
    long_type_names: bool
    max_attempts: int
    initial_backoff_ms: int
    retention_ms: int
    enabled: bool
    created_at: int
    version: int

    def attribute_list(self) -> list[str]:
        """The names of what the callback tells beyond type and id."""
        return msgspec.json.decode(self.attributes, type=list[str])


class Subscription(msgspec.Struct, frozen=True):
    """What of an enabled callback matters when something changes."""

    id: str
    app_id: str
    type: CallbackType
    attributes: tuple[str, ...]
    long_type_names: bool
    retention_ms: int


def backoff_ms(initial_ms: int, attempts: int) -> int:
    """The pause after so many attempts, in milliseconds: doubled each time, an hour at most."""
    doubled: int = initial_ms * 2 ** min(attempts - 1, 30)
    return min(doubled, max(LONGEST_BACKOFF_MS, initial_ms))
