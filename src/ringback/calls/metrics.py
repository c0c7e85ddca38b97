"""The figures of calls. Several processes keep them together: see `observe.py`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_UNTIL_AWAKE = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60)

in_flight = Gauge(
    "ringback_calls_in_flight", "Calls that wait for a phone to wake.", ("mode",), multiprocess_mode="livesum"
)
outcomes = Counter("ringback_calls_total", "Calls that ended, by how.", ("mode", "outcome"))
wake_seconds = Histogram(
    "ringback_call_wake_seconds",
    "From the arrival of a call until it went through.",
    ("mode",),
    buckets=_UNTIL_AWAKE,
)
push_to_register_seconds = Histogram(
    "ringback_call_push_to_register_seconds",
    "From the push of a call until the phone that it woke had registered.",
    ("mode",),
    buckets=_UNTIL_AWAKE,
)
not_recorded = Counter(
    "ringback_call_records_lost_total", "Calls whose record was given up, since the database was away for too long."
)
