"""Languages of phones: which of several texts to show. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

DEFAULT_LANGUAGE = "en"


def preferred_languages(accept_language: str | None) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110 §12.5.4), best first, without regions; English last."""
    weighted: list[tuple[float, int, str]] = []
    for position, part in enumerate((accept_language or "")[:500].split(",")):
        tag, _, parameters = part.partition(";")
        language = without_region(tag.strip())
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if language.isalpha() and weight > 0:
            weighted.append((-weight, position, language))
    return list(dict.fromkeys([*(language for _, _, language in sorted(weighted)), DEFAULT_LANGUAGE]))


def without_region(tag: str) -> str:
    """`cs-CZ` and `cs_CZ` mean the texts of `cs`."""
    return tag.lower().replace("_", "-").partition("-")[0]


def choose(by_language: Mapping[str, T], languages: Sequence[str]) -> T | None:
    """What there is in the first of the languages, else in English, else in the first one; None for an empty map."""
    for language in (*languages, DEFAULT_LANGUAGE, *by_language):
        if language in by_language:
            return by_language[language]
    return None
