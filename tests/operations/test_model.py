"""The transition table, and data and texts built from parameters."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import InvalidRequest
from ringback.operations.data import build_data, escape_value
from ringback.operations.model import TRANSITIONS, Event, Status, next_status
from ringback.operations.rendering import Text

SAFE = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs",)) | st.just("\n"), max_size=30)


def test_only_pending_changes() -> None:
    assert {after for (before, _), after in TRANSITIONS.items() if before == "PENDING"} == set(get_args(Status)) - {
        "PENDING"
    }
    for status, event in product(get_args(Status), get_args(Event)):
        if status == "PENDING":
            assert next_status(status, event) != "PENDING"
        else:
            with pytest.raises(ValueError, match="knows no"):
                next_status(status, event)


def test_the_payment_of_the_sandbox() -> None:
    parameters = {"amount": "1000000000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}
    template = "A1*A${amount}${currency}*I${iban}"
    assert build_data(template, parameters) == "A1*A1000000000.00EUR*ICZ5508000000001234567899"
    assert build_data(template, {"amount": "1"}) == "A1*A1${currency}*I${iban}"


def test_values_are_escaped_and_never_substituted_again() -> None:
    assert build_data("N${note}", {"note": "a\\b*c\nd"}) == "Na\\\\b\\*c\\nd"
    assert build_data("${a}${b}", {"a": "${b}", "b": "x"}) == "${b}x"


@given(SAFE, SAFE)
def test_a_phone_takes_the_fields_apart_as_they_were_put_in(first: str, second: str) -> None:
    data = build_data("A1*N${first}*N${second}", {"first": first, "second": second})
    assert _split(data) == ["A1", "N" + first, "N" + second]
    assert "\n" not in data


NAMES = st.text(st.characters(exclude_characters="{}", exclude_categories=("Cs",)), max_size=10)


@given(st.dictionaries(NAMES, SAFE, max_size=4), st.lists(NAMES, max_size=6))
def test_what_is_not_given_stays_literal_and_nothing_is_filled_in_twice(
    given: dict[str, str], asked: list[str]
) -> None:
    template = "A0" + "".join(f"*T${{{name}}}" for name in asked)
    parts = [f"*T{escape_value(given[name]) if name in given else '${' + name + '}'}" for name in asked]
    assert build_data(template, given) == "A0" + "".join(parts)


@given(st.lists(SAFE, max_size=5))
def test_every_number_of_fields_comes_back(values: list[str]) -> None:
    parameters = {str(n): value for n, value in enumerate(values)}
    data = build_data("A0" + "".join(f"*N${{{n}}}" for n in range(len(values))), parameters)
    assert _split(data) == ["A0", *(f"N{value}" for value in values)]
    assert not any(ord(character) < 0x20 for character in data)


@given(SAFE, SAFE)
def test_different_values_make_different_data(first: str, second: str) -> None:
    assert (escape_value(first) == escape_value(second)) == (first == second)


@pytest.mark.parametrize("character", [chr(code) for code in range(0x20) if code != 0x0A])
def test_control_characters_are_refused_by_name(character: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        build_data("A2", {"note": f"a{character}"})
    assert refused.value.violations[0].field_name == "parameters.note"


def test_texts_are_not_escaped() -> None:
    assert Text("Pay ${amount}* to ${who}")({"amount": "1*"}) == "Pay 1** to ${who}"


def _split(data: str) -> list[str]:
    """Mobile Token API, operation data: fields end at `*`, unless a backslash is before it."""
    fields, field, characters = [], "", iter(data)
    for character in characters:
        if character == "\\":
            following = next(characters)
            field += "\n" if following == "n" else following
        elif character == "*":
            fields.append(field)
            field = ""
        else:
            field += character
    return [*fields, field]
