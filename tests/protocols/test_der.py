"""DER, as far as it is read here: elements, and what a PKCS #12 file asks for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.der import INTEGER, OCTET_STRING, SEQUENCE, DerMalformed, element, items, iteration_counts


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=5))
def test_elements_are_read_as_they_were_written(parts: list[tuple[int, bytes]]) -> None:
    assert items(b"".join(element(tag, content) for tag, content in parts)) == parts


@pytest.mark.parametrize(
    "data", [b"\x30", b"\x30\x01", b"\x30\x80\x00\x00", b"\x30\x82\x01", b"\x04\xff" + b"\xff" * 127]
)
def test_what_ends_too_early_or_is_ber_is_refused(data: bytes) -> None:
    with pytest.raises(DerMalformed):
        items(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = items(data)
    except DerMalformed:
        return
    assert sum(len(content) for _, content in found) <= len(data)
    with contextlib.suppress(DerMalformed):
        assert all(isinstance(count, int) for count in iteration_counts(data))


def test_counts_stand_after_salts_also_inside_octet_strings() -> None:
    parameters = element(SEQUENCE, element(OCTET_STRING, b"salt") + element(INTEGER, b"\x08\x00"))
    inside = element(OCTET_STRING, parameters)
    serial = element(SEQUENCE, element(INTEGER, b"\x7f\xff\xff\xff"))
    cipher = element(OCTET_STRING, b"\xffno DER")
    assert list(iteration_counts(element(SEQUENCE, parameters + inside + serial + cipher))) == [2048, 2048]


def test_what_lies_too_deep_is_not_looked_at() -> None:
    data = element(SEQUENCE, element(OCTET_STRING, b"salt") + element(INTEGER, b"\x08\x00"))
    for _ in range(200):
        data = element(SEQUENCE, data)
    assert list(iteration_counts(data)) == []
