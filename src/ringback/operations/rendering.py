"""Texts with `${parameter}`, taken apart once and filled in for every operation. Pure functions.

Source: Mobile Token API, "Operation Form Data" (which fields each type has, and which of them the server formats).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ringback.operations.data import PARAMETER
from ringback.operations.languages import format_amount
from ringback.operations.model import Texts

Parameters = Mapping[str, str]
Shown = dict[str, Any]
Renderer = Callable[[Parameters], Any]

_ALERT_TYPES = frozenset({"SUCCESS", "INFO", "WARNING", "ERROR"})
# By type: the fields without which an attribute says nothing.
_NEEDED = {
    "AMOUNT": ("amount", "currency"),
    "AMOUNT_CONVERSION": ("sourceAmount", "sourceCurrency", "targetAmount", "targetCurrency"),
    "KEY_VALUE": ("value",),
    "NOTE": ("note",),
    "HEADING": (),
    "ALERT": ("alertType",),
    "IMAGE": ("thumbnailUrl",),
    "PARTY_INFO": ("partyInfo",),
}
_PAIRS = {
    "AMOUNT": (("amount", "currency", "value"),),
    "AMOUNT_CONVERSION": (
        ("sourceAmount", "sourceCurrency", "sourceValue"),
        ("targetAmount", "targetCurrency", "targetValue"),
    ),
}


class Text:
    """A text taken apart: literal, name, literal, name, …, literal."""

    __slots__ = ("_literals", "names")

    def __init__(self, template: str) -> None:
        parts = PARAMETER.split(template)
        self._literals = parts[::2]
        self.names = tuple(parts[1::2])

    def __call__(self, parameters: Parameters) -> str:
        """Filled in; a parameter that is not given stays as it is written."""
        if not self.names:
            return self._literals[0]
        filled = [self._literals[0]]
        for name, literal in zip(self.names, self._literals[1:], strict=True):
            filled += (parameters.get(name, f"${{{name}}}"), literal)
        return "".join(filled)

    def is_complete(self, parameters: Parameters) -> bool:
        """Whether all that it needs is given."""
        return all(name in parameters for name in self.names)


class Attribute:
    """One attribute of a type, in one language."""

    __slots__ = ("_constant", "_language", "_plain", "_texts", "_type")

    def __init__(self, attribute: Shown, language: str) -> None:
        self._type = str(attribute.get("type"))
        self._language = language
        self._plain = {name: value for name, value in attribute.items() if not isinstance(value, str | dict)}
        self._texts: dict[str, Text | dict[str, Text]] = {}
        for name, value in attribute.items():
            if isinstance(value, str):
                self._texts[name] = Text(value)
            elif isinstance(value, dict):
                self._texts[name] = {key: Text(text) for key, text in value.items() if isinstance(text, str)}
        self._constant: Shown | None = None
        if not any(_names(text) for text in self._texts.values()):
            self._constant = self._fill({})

    def show(self, parameters: Parameters) -> Shown | None:
        """The attribute as phones read it; None when a parameter that it needs is not given."""
        return self._fill(parameters) if self._constant is None else self._constant

    def _fill(self, parameters: Parameters) -> Shown | None:
        shown = dict(self._plain)
        for name, text in self._texts.items():
            if isinstance(text, Text):
                if text.is_complete(parameters):
                    shown[name] = text(parameters)
            else:
                shown[name] = {key: one(parameters) for key, one in text.items() if one.is_complete(parameters)}
        if any(name not in shown for name in _NEEDED.get(self._type, ())) or "label" not in shown:
            return None
        if self._type == "PARTY_INFO":
            return _show_party(shown)
        if self._type == "ALERT":
            # Phones show no alert that has no message.
            shown.setdefault("message", "")
            if shown["alertType"] not in _ALERT_TYPES:
                shown["alertType"] = "INFO"
        if self._type == "AMOUNT_CONVERSION":
            shown["dynamic"] = shown.get("dynamic") in {True, "true"}
        for amount, currency, value in _PAIRS.get(self._type, ()):
            number, formatted = format_amount(shown[amount], self._language)
            shown[amount] = number
            shown[f"{amount}Formatted"] = formatted
            shown[f"{currency}Formatted"] = shown[currency]
            shown[f"{value}Formatted"] = f"{formatted} {shown[currency]}"
        return shown


class ReadyTexts:
    """The texts of an operation type in one language, ready to be filled in."""

    __slots__ = ("attributes", "language", "message", "result_texts", "title", "ui")

    def __init__(self, texts: Texts) -> None:
        attributes = msgspec.json.decode(texts.attributes, type=list[dict[str, Any]])
        self.language = texts.language
        self.title = Text(texts.title)
        self.message = Text(texts.message)
        self.attributes = tuple(Attribute(one, texts.language) for one in attributes)
        self.ui = None if texts.ui is None else _whole(texts.ui, texts.language)
        self.result_texts = None if texts.result_texts is None else _whole(texts.result_texts, texts.language)

    def show_attributes(self, parameters: Parameters) -> tuple[Shown, ...]:
        """The attributes whose parameters are given."""
        return tuple([shown for one in self.attributes if (shown := one.show(parameters)) is not None])


def _show_party(shown: Shown) -> Shown | None:
    """A party with all that phones insist on; without a logo only the name, in a form that every phone shows."""
    party = shown["partyInfo"]
    if "name" not in party:
        return None
    if "logoUrl" not in party:
        plain = {name: value for name, value in shown.items() if name != "partyInfo"}
        return plain | {"type": "KEY_VALUE", "value": party["name"]}
    party.setdefault("description", "")
    return shown


def _names(text: Text | dict[str, Text]) -> bool:
    return bool(text.names) if isinstance(text, Text) else any(one.names for one in text.values())


def _whole(json: str, language: str) -> Renderer:
    """A JSON value in which every text may have parameters; one without any is kept as bytes."""
    if "${" not in json and '"attributes"' not in json:
        raw = msgspec.Raw(json.encode())
        return lambda _: raw
    return _renderer(msgspec.json.decode(json), language)


def _renderer(value: Any, language: str) -> Renderer:
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, list):
        items = [_renderer(item, language) for item in value]
        return lambda parameters: [item(parameters) for item in items]
    if not isinstance(value, dict):
        return lambda _: value
    fields = {}
    for key, item in value.items():
        render = _attributes if key == "attributes" and isinstance(item, list) else _renderer
        fields[key] = render(item, language)
    return lambda parameters: {key: field(parameters) for key, field in fields.items()}


def _attributes(items: list[Any], language: str) -> Renderer:
    """The attributes of a review screen look like those of the operation."""
    ready = [Attribute(item, language) for item in items if isinstance(item, dict)]
    return lambda parameters: [shown for one in ready if (shown := one.show(parameters)) is not None]
