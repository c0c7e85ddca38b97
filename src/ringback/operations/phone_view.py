"""An operation as the Mobile Token SDK wants to see it (Mobile Token API, "Operation"). Pure functions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from ringback.operations.data import parameters_in, render_text
from ringback.operations.model import DEFAULT_LANGUAGE, Operation, Texts
from ringback.operations.schema_mobile import AllowedSignatureType, FormData, MobileOperation

_AMOUNT_TYPES = ("AMOUNT", "AMOUNT_CONVERSION")


def format_time(at_ms: int) -> str:
    """`2018-07-02T14:43:13+0000`: the form that the SDKs parse; they know no fractions of a second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(at_ms // 1000))


def preferred_languages(accept_language: str | None) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110 §12.5.4), best first, without regions; English last."""
    weighted: list[tuple[float, int, str]] = []
    for position, part in enumerate((accept_language or "")[:500].split(",")):
        tag, _, parameters = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if language.isalpha() and weight > 0:
            weighted.append((-weight, position, language))
    return list(dict.fromkeys([*(language for _, _, language in sorted(weighted)), DEFAULT_LANGUAGE]))


def choose_texts(texts: Sequence[Texts], languages: Sequence[str]) -> Texts | None:
    """The texts in the first of the languages that there is, or None."""
    by_language = {one.language: one for one in texts}
    return next((by_language[language] for language in languages if language in by_language), None)


def show_operation(operation: Operation, texts: Texts) -> MobileOperation:
    """The operation with its texts filled in."""
    parameters = operation.parameter_map()
    return MobileOperation(
        id=operation.id,
        name=operation.operation_type,
        data=operation.data,
        status=operation.status,
        status_reason=operation.status_reason,
        operation_created=format_time(operation.created_at),
        operation_expires=format_time(operation.expires_at),
        allowed_signature_type=allowed_signature_type(operation.signature_type_list()),
        form_data=FormData(
            title=render_text(texts.title, parameters),
            message=render_text(texts.message, parameters),
            attributes=show_attributes(texts.attributes, parameters),
        ),
        ui=msgspec.UNSET if texts.ui is None else msgspec.Raw(texts.ui.encode()),
    )


def allowed_signature_type(signature_types: Sequence[str]) -> AllowedSignatureType:
    """`2FA` with the variants that a person may choose from, or `1FA` when possession alone is enough."""
    variants = tuple(name for name in signature_types if name.count("_") >= 1)
    return AllowedSignatureType("2FA", variants) if variants else AllowedSignatureType("1FA", ())


def show_attributes(attributes_json: str, parameters: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """The attributes of a template with the parameters filled in; one whose parameter is not given is left out."""
    templates = msgspec.json.decode(attributes_json, type=list[dict[str, Any]])
    return tuple(
        _amounts(filled) if filled.get("type") in _AMOUNT_TYPES else filled
        for attribute in templates
        if _has_all(attribute, parameters)
        for filled in [{key: _fill(value, parameters) for key, value in attribute.items()}]
    )


def _has_all(attribute: Mapping[str, Any], parameters: Mapping[str, str]) -> bool:
    return all(
        name in parameters for value in attribute.values() if isinstance(value, str) for name in parameters_in(value)
    )


def _fill(value: Any, parameters: Mapping[str, str]) -> Any:
    return render_text(value, parameters) if isinstance(value, str) else value


def _amounts(attribute: dict[str, Any]) -> dict[str, Any]:
    """Adds the formatted forms, which the SDK requires: `amount` → `amountFormatted`, and so on for a conversion."""
    shown = dict(attribute)
    for prefix in ("", "source", "target"):
        amount_key = f"{prefix}Amount" if prefix else "amount"
        currency_key = f"{prefix}Currency" if prefix else "currency"
        if amount_key not in shown or currency_key not in shown:
            continue
        number, formatted = _amount(str(shown[amount_key]))
        currency = str(shown[currency_key])
        shown[amount_key] = number
        shown[f"{amount_key}Formatted"] = formatted
        shown[f"{currency_key}Formatted"] = currency
        shown[f"{prefix}ValueFormatted" if prefix else "valueFormatted"] = f"{formatted} {currency}"
    return shown


def _amount(text: str) -> tuple[msgspec.Raw | None, str]:
    """The JSON number, digit for digit (a float would lose cents), and `1,000.00` for people."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None, text
    if not value.is_finite() or abs(value.adjusted()) > 30:  # noqa: PLR2004 - more digits than any amount of money
        return None, text
    return msgspec.Raw(format(value, "f").encode()), format(value, ",f")
