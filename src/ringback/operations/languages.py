"""Languages of phones: which texts to show, and how people there write amounts. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from ringback.operations.model import DEFAULT_LANGUAGE

T = TypeVar("T")

_MOST_DIGITS = 30
_NARROW = "\N{NO-BREAK SPACE}"
_ENGLISH: dict[int, str] = {}
# Group and decimal separators (Unicode CLDR): a point and a comma, a space and a comma; all others write as in English.
_POINT_COMMA = {ord(","): ".", ord("."): ","}
_SPACE_COMMA = {ord(","): _NARROW, ord("."): ","}
_SPACED = "az be bg cs et fi fr hu hy ka kk lt lv nb nn no pl pt ru sk sq sv uk uz"
_POINTED = "bs ca da de el es eu gl hr id is it mk nl ro sl sr tr vi"
_SEPARATORS = {
    **dict.fromkeys(_SPACED.split(), _SPACE_COMMA),
    **dict.fromkeys(_POINTED.split(), _POINT_COMMA),
}


def preferred_languages(accept_language: str | None) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110 §12.5.4), best first, without regions; English last."""
    weighted: list[tuple[float, int, str]] = []
    for position, part in enumerate((accept_language or "")[:500].split(",")):
        tag, _, parameters = part.partition(";")
        language = tag.strip().lower().replace("_", "-").partition("-")[0]
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if language.isalpha() and weight > 0:
            weighted.append((-weight, position, language))
    return list(dict.fromkeys([*(language for _, _, language in sorted(weighted)), DEFAULT_LANGUAGE]))


def choose(by_language: Mapping[str, T], languages: Sequence[str]) -> T | None:
    """What there is in the first of the languages, else in English, else in the first one; None for an empty map."""
    for language in (*languages, DEFAULT_LANGUAGE, *by_language):
        if language in by_language:
            return by_language[language]
    return None


def format_amount(text: str, language: str) -> tuple[msgspec.Raw | None, str]:
    """The JSON number, digit for digit (a float would lose cents), and `1,000.00` as people of the language write it.

    What is no number is shown as it is, and its number is None.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None, text
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        return None, text
    shown = format(value, ",f").translate(_SEPARATORS.get(language, _ENGLISH))
    return msgspec.Raw(format(value, "f").encode()), shown
