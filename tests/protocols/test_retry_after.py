"""Retry-After as others write it."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from ringback.protocols.retry_after import retry_after_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999999", 86_400),
        (formatdate(1_800_000_060, usegmt=True), 60),
        (formatdate(1_700_000_000, usegmt=True), 0),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("-1", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_as_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(text, 1_800_000_000_000) == seconds
