"""The figures of calls. Several processes keep them together: see `observe.py`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from ringback.calls.model import Mode, Outcome

_UNTIL_AWAKE = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60)

_in_flight = Gauge(
    "ringback_calls_in_flight", "Calls that wait for a phone to wake.", ("mode",), multiprocess_mode="livesum"
)
_outcomes = Counter("ringback_calls_total", "Calls that ended, by how.", ("mode", "outcome"))
_wake_seconds = Histogram(
    "ringback_call_wake_seconds",
    "From the arrival of a call until it went through.",
    ("mode",),
    buckets=_UNTIL_AWAKE,
)
_push_to_register_seconds = Histogram(
    "ringback_call_push_to_register_seconds",
    "From the push of a call until the phone that it woke had registered.",
    ("mode",),
    buckets=_UNTIL_AWAKE,
)
not_recorded = Counter(
    "ringback_call_records_lost_total", "Calls whose record was given up, since the database was away for too long."
)


# prometheus_client looks for the series of some labels under a lock, each time.


@cache
def in_flight(mode: Mode) -> Gauge:
    """Of one mode."""
    return _in_flight.labels(mode)


@cache
def outcomes(mode: Mode, outcome: Outcome) -> Counter:
    """Of one mode and outcome."""
    return _outcomes.labels(mode, outcome)


@cache
def wake_seconds(mode: Mode) -> Histogram:
    """Of one mode."""
    return _wake_seconds.labels(mode)


@cache
def push_to_register_seconds(mode: Mode) -> Histogram:
    """Of one mode."""
    return _push_to_register_seconds.labels(mode)
