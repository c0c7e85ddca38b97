"""QR texts of offline signatures, and the links that lead to operations."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.powerauth.base64_text import encode_base64
from ringback.protocols.powerauth.errors import InvalidOfflineQr, InvalidOperationLink
from ringback.protocols.powerauth.keys import generate_private_key, verify_der
from ringback.protocols.powerauth.offline_qr import (
    ACTIVATION_KEY,
    MASTER_KEY,
    OfflineOperation,
    build_offline_qr,
    escape_line,
    operation_lines,
    parse_offline_qr,
    parse_operation,
    unescape_line,
)
from ringback.protocols.powerauth.operation_link import OperationLink, build_jwt, build_link, parse_link

KEY = generate_private_key()
NONCE = bytes(range(16))
# The example of the page "Off-line Signature QR Code", whose lines and nonce are known; its key is not.
PAYMENT = OfflineOperation(
    id="5ff1b1ed-a3cc-45a3-8ab0-ed60950312b6",
    title="Payment",
    message="Please confirm this payment",
    data="A1*A100CZK*ICZ2730300000001165254011*D20180425",
    flags="B",
)
PRINTED = (
    "5ff1b1ed-a3cc-45a3-8ab0-ed60950312b6\nPayment\nPlease confirm this payment\n"
    "A1*A100CZK*ICZ2730300000001165254011*D20180425\nB\nAD8bOO0Df73kNaIGb3Vmpg==\n"
    "0MEYCIQDby1Uq+MaxiAAGzKmE/McHzNOUrvAP2qqGBvSgcdtyjgIhAMo1sgqNa1pPZTFBhhKvCKFLGDuHuTTYexdmHFjUUIJW"
)
TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs",)) | st.just("\n"), max_size=40)


def test_the_printed_example_is_read() -> None:
    qr = parse_offline_qr(PRINTED)
    assert parse_operation(qr.data) == PAYMENT
    assert (qr.key_kind, qr.totp, encode_base64(qr.nonce)) == ("0", None, "AD8bOO0Df73kNaIGb3Vmpg==")
    assert qr.signed.endswith(b"==\n0")


def test_the_lines_are_as_printed() -> None:
    made = build_offline_qr(operation_lines(PAYMENT), NONCE, MASTER_KEY, KEY)
    lines, signature = made.rsplit("\n0", 1)
    assert lines == PRINTED.split("\nAD8b", maxsplit=1)[0] + "\n" + encode_base64(NONCE)
    assert signature
    assert verify_der(KEY.public_key(), parse_offline_qr(made).signature, f"{lines}\n0".encode())


@pytest.mark.parametrize("totp", [None, "12345678"])
def test_there_and_back(totp: str | None) -> None:
    made = build_offline_qr(operation_lines(PAYMENT), NONCE, ACTIVATION_KEY, KEY, totp)
    qr = parse_offline_qr(made)
    assert (parse_operation(qr.data), qr.totp, qr.nonce, qr.key_kind) == (PAYMENT, totp, NONCE, "1")
    assert qr.is_genuine(KEY.public_key())
    assert not qr.is_genuine(generate_private_key().public_key())
    signed = f"{PAYMENT.id}&{PAYMENT.data}"
    assert parse_operation(qr.data).signed_data(qr.totp) == (signed if totp is None else f"{signed}&{totp}")


def test_a_changed_text_is_not_genuine() -> None:
    made = build_offline_qr(operation_lines(PAYMENT), NONCE, MASTER_KEY, KEY)
    assert not parse_offline_qr(made.replace("A100CZK", "A999CZK")).is_genuine(KEY.public_key())
    assert not parse_offline_qr(made.replace("\n0M", "\n1M")).is_genuine(KEY.public_key())


def test_lines_of_later_versions_are_skipped() -> None:
    made = build_offline_qr(operation_lines(PAYMENT) + "\nnew attribute", NONCE, MASTER_KEY, KEY)
    qr = parse_offline_qr(made)
    assert (parse_operation(qr.data), qr.totp) == (PAYMENT, None)
    assert qr.is_genuine(KEY.public_key())


def test_data_of_ones_own() -> None:
    qr = parse_offline_qr(build_offline_qr("anything at all", NONCE, ACTIVATION_KEY, KEY))
    assert qr.data == "anything at all"
    with pytest.raises(InvalidOfflineQr):
        parse_operation(qr.data)


@given(TEXTS)
def test_escaping_there_and_back(text: str) -> None:
    line = escape_line(text)
    assert "\n" not in line
    assert unescape_line(line) == text


def test_escaping_to_the_letter() -> None:
    assert escape_line("a\\b\nc\td") == "a\\\\b\\nc d"
    assert unescape_line("a\\\\n\\nb\\x\\") == "a\\n\nb\\x\\"


@given(TEXTS, TEXTS)
def test_title_and_message_stay_apart(title: str, message: str) -> None:
    operation = OfflineOperation("id", title, message, "A2", "BX")
    assert parse_operation(operation_lines(operation)) == operation


@pytest.mark.parametrize("field", ["id", "data", "flags"])
def test_lines_with_control_characters_are_refused(field: str) -> None:
    values: dict[str, Any] = {"id": "id", "title": "", "message": "", "data": "A2", "flags": "", field: "a\nb"}
    with pytest.raises(ValueError, match="control"):
        operation_lines(OfflineOperation(**values))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "0",
        "a\nb\nc",
        "a\nAD8bOO0Df73kNaIGb3Vmpg==\n2AAAA",
        "a\nAD8bOO0Df73kNaIGb3Vmpg==\n0",
        "a\nAD8b\n0AAAA",
    ],
)
def test_what_is_no_qr_text(text: str) -> None:
    with pytest.raises(InvalidOfflineQr):
        parse_offline_qr(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse, refusal in ((parse_offline_qr, InvalidOfflineQr), (parse_link, InvalidOperationLink)):
        with contextlib.suppress(refusal):
            parse(text)


LINK = OperationLink("5ff1b1ed-a3cc-45a3-8ab0-ed60950312b6", "12345678")


@pytest.mark.parametrize("base", ["https://bank.example/app", "https://bank.example/app?x=1", "bank-app://login"])
@pytest.mark.parametrize("otp", ["12345678", None])
def test_links_there_and_back(base: str, otp: str | None) -> None:
    link = OperationLink(LINK.operation_id, otp)
    made = build_link(base, link)
    assert made.startswith(base)
    assert parse_link(made) == link
    assert parse_link(build_jwt(link)) == link


def test_both_names_of_the_otp() -> None:
    assert parse_link(f"https://bank.example/?oid={LINK.operation_id}&totp=12345678") == LINK
    assert parse_link(f"https://bank.example/?oid={LINK.operation_id}&potp=12345678") == LINK
    # {"alg":"HS256"} . {"oid":…,"totp":"12345678"} . a signature
    payload = "eyJvaWQiOiI1ZmYxYjFlZC1hM2NjLTQ1YTMtOGFiMC1lZDYwOTUwMzEyYjYiLCJ0b3RwIjoiMTIzNDU2NzgifQ"
    assert parse_link(f"eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl") == LINK


@pytest.mark.parametrize(
    "text", ["", "https://bank.example/", "https://bank.example/?oid=", "a.b.c", "e30.e30.", "[", "x" * 5000]
)
def test_links_that_lead_nowhere(text: str) -> None:
    with pytest.raises(InvalidOperationLink):
        parse_link(text)
