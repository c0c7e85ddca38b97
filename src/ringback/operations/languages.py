"""How people write amounts in the languages of phones. Pure functions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

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
