"""Durations as people and Java write them: ISO 8601 such as `P30D` or `PT1.5S`, or a number of milliseconds."""

from __future__ import annotations

import re

from ringback.errors import invalid_field

_ISO = re.compile(
    r"P(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII | re.IGNORECASE,
)
_UNITS_MS = {"weeks": 604_800_000, "days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000}


def duration_ms(field: str, value: str | int, *, least: int, most: int) -> int:
    """The duration in milliseconds. Months and years, which have no fixed length, are refused.

    Raises InvalidRequest naming the field.
    """
    milliseconds = value if isinstance(value, int) else _parse(field, value)
    if not least <= milliseconds <= most:
        raise invalid_field(field, f"Between {format_duration(least)} and {format_duration(most)}.", value)
    return milliseconds


def format_duration(milliseconds: int) -> str:
    """ISO 8601, in days, hours, minutes and seconds."""
    days, rest = divmod(milliseconds, _UNITS_MS["days"])
    hours, rest = divmod(rest, _UNITS_MS["hours"])
    minutes, rest = divmod(rest, _UNITS_MS["minutes"])
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".")
    time = "".join(
        f"{amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if amount not in {0, "0"}
    )
    if not days and not time:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


def _parse(field: str, text: str) -> int:
    match = _ISO.fullmatch(text)
    parts = {} if match is None else {unit: amount for unit, amount in match.groupdict().items() if amount is not None}
    if not parts:
        raise invalid_field(field, "An ISO 8601 duration such as P30D or PT2S, or milliseconds.", text)
    return round(sum(float(amount) * _UNITS_MS[unit] for unit, amount in parts.items()))
