"""JWE compact, `dir`, A256GCM: what goes in comes out, for us and for joserfc, and nothing else does."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import OctKey

from ringback.protocols.base64url import from_base64url, to_base64url
from ringback.protocols.jwe import (
    JweKeyInvalid,
    JweRefused,
    decrypt,
    encrypt,
    longest_payload,
)

KEY = bytes(range(32))
IV = bytes(range(12))
PAYLOAD = b'{"type":"incomingcall","pushid":"0b7f3f0e"}'
ALGORITHMS = ["dir", "A256GCM"]


def _made(header: dict[str, object]) -> str:
    """A token of joserfc, whose header says what ours never does."""
    return joserfc_jwe.encrypt_compact(header, PAYLOAD, OctKey.import_key(KEY), algorithms=[*ALGORITHMS, "DEF"])


@given(
    payload=st.binary(max_size=6_000), key=st.binary(min_size=32, max_size=32), iv=st.binary(min_size=12, max_size=12)
)
def test_what_goes_in_comes_out(payload: bytes, key: bytes, iv: bytes) -> None:
    text = encrypt(payload, key, iv)
    assert decrypt(text, key) == payload
    assert longest_payload(len(text) - 1) < len(payload) <= longest_payload(len(text))


@given(length=st.integers(0, 10_000))
def test_the_room_is_neither_too_small_nor_too_large(length: int) -> None:
    most = longest_payload(length)
    if most >= 0:
        assert len(encrypt(bytes(most), KEY, IV)) <= length
    assert length < len(encrypt(bytes(max(most + 1, 0)), KEY, IV))


def test_it_has_five_parts_and_the_second_is_empty() -> None:
    header, encrypted_key, iv, _, tag = encrypt(PAYLOAD, KEY, IV).split(".")
    assert json.loads(from_base64url(header.encode())) == {"alg": "dir", "enc": "A256GCM"}
    assert not encrypted_key
    assert from_base64url(iv.encode()) == IV
    assert len(from_base64url(tag.encode())) == 16


def test_joserfc_reads_ours_and_we_read_joserfcs() -> None:
    ours = joserfc_jwe.decrypt_compact(encrypt(PAYLOAD, KEY, IV), OctKey.import_key(KEY), algorithms=ALGORITHMS)
    assert ours.plaintext == PAYLOAD
    assert decrypt(_made({"alg": "dir", "enc": "A256GCM"}), KEY) == PAYLOAD


def test_members_of_the_header_that_ask_for_nothing_are_ignored() -> None:
    assert decrypt(_made({"enc": "A256GCM", "alg": "dir", "kid": "phone", "cty": "json"}), KEY) == PAYLOAD


def test_compressed_content_is_refused() -> None:
    with pytest.raises(JweRefused):
        decrypt(_made({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), KEY)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_another_key_length_is_refused_by_name(length: int) -> None:
    for attempt in (lambda: encrypt(PAYLOAD, bytes(length), IV), lambda: decrypt("a.b.c.d.e", bytes(length))):
        with pytest.raises(JweKeyInvalid, match="exactly 32 bytes"):
            attempt()


@pytest.mark.parametrize("length", [0, 11, 13, 16])
def test_another_iv_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        encrypt(PAYLOAD, KEY, bytes(length))


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(JweRefused):
        decrypt(encrypt(PAYLOAD, KEY, IV), os.urandom(32))


def test_every_changed_character_is_noticed() -> None:
    text = encrypt(PAYLOAD, KEY, IV)
    for at, letter in enumerate(text):
        changed = text[:at] + ("A" if letter != "A" else "B") + text[at + 1 :]
        with pytest.raises(JweRefused):
            decrypt(changed, KEY)


@pytest.mark.parametrize("length", [4, 12, 15])
def test_a_shortened_tag_is_refused(length: int) -> None:
    head, _, tag = encrypt(PAYLOAD, KEY, IV).rpartition(".")
    with pytest.raises(JweRefused):
        decrypt(f"{head}.{to_base64url(from_base64url(tag.encode())[:length]).decode()}", KEY)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"dir","enc":"A128GCM"}',
        b'{"alg":"A256KW","enc":"A256GCM"}',
        b'{"alg":"dir"}',
        b'{"alg":"dir","enc":"A256GCM","crit":["x"],"x":1}',
        b"[]",
        b"dir",
        b"",
    ],
)
def test_another_header_is_refused(header: bytes) -> None:
    rest = encrypt(PAYLOAD, KEY, IV).partition(".")[2]
    with pytest.raises(JweRefused):
        decrypt(f"{to_base64url(header).decode()}.{rest}", KEY)


@given(text=st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_.-]{0,200}", fullmatch=True)))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(JweRefused):
        decrypt(text, KEY)


@given(data=st.binary(max_size=100))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = to_base64url(data)
    assert from_base64url(text) == data
    assert b"=" not in text


@pytest.mark.parametrize("text", [b"QQ==", b"QR", b"Q", b"a+b/", b"QUJD\n", b"QU JD", "ä".encode()])
def test_other_spellings_of_base64url_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError is the answer
        from_base64url(text)
