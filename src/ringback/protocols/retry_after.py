"""The header field Retry-After. Source: RFC 9110 §10.2.3."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 86_400.0
"""However long somebody asks us to wait, a day is enough."""


def retry_after_seconds(text: str, now_ms: int) -> float | None:
    """The pause that the field asks for, as seconds or as a date, at most a day; None when it says neither.

    now_ms: Unix milliseconds, for a date.
    """
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(0.0, at.timestamp() - now_ms / 1000), LONGEST_SECONDS)
