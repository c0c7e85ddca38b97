from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.powerauth.activation_code import is_activation_code
from ringback.protocols.powerauth.errors import InvalidRecoveryCode
from ringback.protocols.powerauth.recovery_code import (
    build_recovery_qr,
    generate_puks,
    generate_recovery_code,
    is_puk,
    is_recovery_code,
    mask_recovery_code,
    parse_puk,
    parse_recovery_code,
)


@given(st.binary(min_size=10, max_size=10))
def test_a_recovery_code_is_spelled_like_an_activation_code(entropy: bytes) -> None:
    code = generate_recovery_code(lambda _: entropy)
    assert is_recovery_code(code)
    assert is_activation_code(code)
    assert parse_recovery_code(code) == parse_recovery_code(build_recovery_qr(code)) == code
    assert mask_recovery_code(code) == "XXXXX-XXXXX-XXXXX-" + code[-5:]


def test_the_example_of_the_specification() -> None:
    assert parse_recovery_code("R:45AWJ-BVACS-SBWHS-ABANA") == "45AWJ-BVACS-SBWHS-ABANA"


@given(st.text(max_size=40))
def test_other_texts_are_refused(text: str) -> None:
    if not is_recovery_code(text.removeprefix("R:")):
        with pytest.raises(InvalidRecoveryCode):
            parse_recovery_code(text)
    if not is_puk(text.replace("-", "").replace(" ", "")):
        with pytest.raises(InvalidRecoveryCode):
            parse_puk(text)


def test_a_code_with_a_signature_or_two_prefixes_is_refused() -> None:
    code = generate_recovery_code(os.urandom)
    for text in (code + "#AAAA", "R:R:" + code, "r:" + code, code + "\n", " " + code):
        with pytest.raises(InvalidRecoveryCode):
            parse_recovery_code(text)


def test_puks_are_ten_digits_and_different() -> None:
    puks = generate_puks(os.urandom, 100)
    assert len(set(puks)) == 100
    assert all(is_puk(puk) for puk in puks)
    # Padded with zeros, and the same number twice is drawn again.
    draws = iter([b"\0" * 15 + b"\7", b"\0" * 15 + b"\7", b"\0" * 15 + b"\x08"])
    assert generate_puks(lambda _: next(draws), 2) == ["0000000007", "0000000008"]


@pytest.mark.parametrize("text", ["0123456789", "01234-56789", "01234 56789", "0123-4567-89"])
def test_a_puk_may_be_typed_in_groups(text: str) -> None:
    assert parse_puk(text) == "0123456789"


@pytest.mark.parametrize("text", ["", "012345678", "01234567890", "٠١٢٣٤٥٦٧٨٩", "0123456789\n", "012345678x"])
def test_other_puks_are_refused(text: str) -> None:
    assert not is_puk(text)
    with pytest.raises(InvalidRecoveryCode):
        parse_puk(text)
