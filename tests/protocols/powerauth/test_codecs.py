"""Every codec gives back what it was given, and no parser lets a foreign error out."""

from __future__ import annotations

import contextlib
import random as stdlib_random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.protocols.powerauth import (
    activation_code,
    base64_text,
    headers,
    keys,
    primitives,
    sdk_configuration,
    signature,
    status_blob,
    temporary_key_client,
    temporary_key_server,
    vault,
)
from ringback.protocols.powerauth.derived_keys import ActivationKeys
from ringback.protocols.powerauth.errors import (
    InvalidActivationCode,
    InvalidPrivateKey,
    InvalidPublicKey,
    MalformedHeader,
    MalformedSdkConfiguration,
    PowerAuthProtocolError,
    StatusBlobRefused,
    UnknownSignatureType,
    UnsupportedVersion,
    VaultKeyRefused,
)
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS, protocol_version

FEW = settings(max_examples=50)
KEY = keys.private_key_from_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key()

key16 = st.binary(min_size=16, max_size=16)
versions = st.sampled_from(list(PROTOCOL_VERSIONS.values()))
ids = st.from_regex(r"[0-9A-Za-z._-]{1,64}", fullmatch=True)
base64_keys = key16.map(base64_text.encode_base64)
byte = st.integers(0, 255)


@FEW
@given(
    st.builds(
        headers.SignatureHeader,
        version=versions,
        activation_id=ids,
        application_key=base64_keys,
        nonce=key16,
        signature_type=st.sampled_from(signature.SIGNATURE_TYPES),
        signature=st.binary(min_size=16, max_size=48).map(base64_text.encode_base64) | st.just("12345678-00000001"),
    )
)
def test_signature_header(header: headers.SignatureHeader) -> None:
    assert headers.parse_signature_header(headers.build_signature_header(header)) == header


@FEW
@given(
    st.builds(
        headers.TokenHeader,
        version=versions,
        token_id=ids,
        token_digest=st.binary(min_size=32, max_size=32),
        nonce=key16,
        timestamp=st.integers(0, 10**15).map(str),
    )
)
def test_token_header(header: headers.TokenHeader) -> None:
    assert headers.parse_token_header(headers.build_token_header(header)) == header


@FEW
@given(
    st.builds(
        headers.EncryptionHeader,
        version=versions,
        application_key=base64_keys,
        activation_id=st.none() | ids,
    )
)
def test_encryption_header(header: headers.EncryptionHeader) -> None:
    assert headers.parse_encryption_header(headers.build_encryption_header(header)) == header


@FEW
@given(st.randoms(use_true_random=False))
def test_fields_come_in_any_order_with_any_separator(order: stdlib_random.Random) -> None:
    fields = [
        'version="3.3"',
        f'application_key="{base64_text.encode_base64(bytes(16))}"',
        'activation_id="a"',
        'x="y z"',
    ]
    order.shuffle(fields)
    text = fields[0] + "".join(order.choice((", ", ",", " ")) + field for field in fields[1:])
    assert headers.parse_encryption_header("PowerAuth " + text).activation_id == "a"


APP = 'application_key="AAAAAAAAAAAAAAAAAAAAAA=="'


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "header"),
        (f'Bearer version="3.3" {APP}', "header"),
        (f'PowerAuth  version="3.3" {APP}', "header"),
        (f'powerauth version="3.3" {APP}', "header"),
        (f'PowerAuth version="3.3"{APP}', "header"),
        (f'PowerAuth version="3.3"; {APP}', "header"),
        (f'PowerAuth version="3.3" {APP},', "header"),
        (f'PowerAuth version="3.3" {APP[:-1]}', "header"),
        (f'PowerAuth version="3.3" {APP} version="3.2"', "version"),
        (f"PowerAuth {APP}", "version"),
        ('PowerAuth version="3.3"', "application_key"),
        ('PowerAuth version="3.3" application_key="AAAAAAAAAAAAAAAAAAAAAB=="', "application_key"),
        ('PowerAuth version="3.3" application_key="AAAAAAAAAAAAAAAAAAAA"', "application_key"),
        (f'PowerAuth version="3.3" {APP} activation_id=""', "activation_id"),
        (f'PowerAuth version="3.3" {APP} activation_id="{"a" * 65}"', "activation_id"),
        (f'PowerAuth version="3.3" {APP} activation_id="ä"', "header"),
        (f'PowerAuth version="3.3" {APP}' + "".join(f' {chr(97 + n)}="1"' for n in range(26)), "header"),
        (f'PowerAuth version="3.3" {APP} a="{"b" * 2048}"', "header"),
    ],
)
def test_a_malformed_header_names_its_field(text: str, field: str) -> None:
    with pytest.raises(MalformedHeader) as refusal:
        headers.parse_encryption_header(text)
    assert refusal.value.field == field


def test_the_header_of_the_message_signing_guide_is_read() -> None:
    header = headers.parse_signature_header(
        'PowerAuth pa_activation_id="a4452997-45c0-4667-bb24-c7d39337b9c0", '
        'pa_application_key="GlxZ1Qe70pGAG/ek0BvNXw==", pa_nonce="2I9gzcP5uJtX3RUr9Qp5Bg==", '
        'pa_signature_type="POSSESSION_KNOWLEDGE", pa_signature="LLUZvtWpXwXWZlPzwRFG7PBFQdQkp5h/K/dxWiUi2A8=", '
        'pa_version="3.1"'
    )
    assert (header.version.text, header.signature_type) == ("3.1", "possession_knowledge")


@pytest.mark.parametrize("text", ["", "2.1", "3", "3.4", "4.0", "3.3 ", "٣.٣"])
def test_other_versions_are_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedVersion):
        protocol_version(text)


@FEW
@given(st.binary(min_size=10, max_size=10))
def test_activation_code(entropy: bytes) -> None:
    code = activation_code.generate_activation_code(lambda _: entropy)
    assert activation_code.is_activation_code(code)
    text = activation_code.build_qr(code, activation_code.sign_activation_code(KEY, code))
    parsed, der = activation_code.parse_qr(text)
    assert parsed == code
    assert der is not None
    assert activation_code.verify_activation_code(PUBLIC, parsed, der)
    assert activation_code.parse_qr(code) == (code, None)


@pytest.mark.parametrize(
    "text", ["#", "AAAAA", "R:AAAAA-AAAAA-AAAAA-AAAAA", "AAAAA-AAAAA-AAAAA-AAAAA#", "aaaaa-aaaaa-aaaaa-aaaaa"]
)
def test_a_malformed_qr_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidActivationCode):
        activation_code.parse_qr(text)


def test_crc16_arc_check_value() -> None:
    assert activation_code.crc16_arc(b"123456789") == 0xBB3D


@FEW
@given(key16, key16, st.dictionaries(st.integers(2, 255), st.binary(min_size=1, max_size=300), max_size=4))
def test_sdk_configuration(app_key: bytes, app_secret: bytes, others: dict[int, bytes]) -> None:
    configuration = sdk_configuration.SdkConfiguration(
        app_key, app_secret, {1: keys.public_key_to_bytes(PUBLIC), **others}
    )
    text = sdk_configuration.build_sdk_configuration(configuration)
    assert sdk_configuration.parse_sdk_configuration(text) == configuration
    raw = base64_text.decode_base64(text, limit=16384)
    for cut in range(len(raw)):
        with pytest.raises(MalformedSdkConfiguration):
            sdk_configuration.parse_sdk_configuration(base64_text.encode_base64(raw[:cut]))
    with pytest.raises(MalformedSdkConfiguration):
        sdk_configuration.parse_sdk_configuration(base64_text.encode_base64(raw + b"\0"))


@FEW
@given(key16, key16, key16, st.builds(status_blob.StatusBlob, byte, byte, byte, byte, byte, byte, byte, key16))
def test_status_blob(transport: bytes, challenge: bytes, nonce: bytes, status: status_blob.StatusBlob) -> None:
    blob = status_blob.build_status_blob(transport, challenge, nonce, status)
    assert len(blob) == 32
    assert status_blob.parse_status_blob(transport, challenge, nonce, blob) == status
    with pytest.raises(StatusBlobRefused):
        status_blob.parse_status_blob(transport, challenge, primitives.next_counter(nonce), blob)
    with pytest.raises(StatusBlobRefused):
        status_blob.parse_status_blob(transport, challenge, nonce, blob[:-1])
    with pytest.raises(StatusBlobRefused):
        status_blob.parse_status_blob(transport, challenge[1:], nonce, blob)
    for halves in ((challenge, None), (None, nonce)):
        with pytest.raises(StatusBlobRefused):
            status_blob.build_status_blob(transport, *halves, status)


@FEW
@given(key16, st.builds(status_blob.StatusBlob, byte, byte, byte, byte, byte, byte, byte, key16), st.binary(max_size=6))
def test_status_blob_of_3_0(transport: bytes, status: status_blob.StatusBlob, reserved: bytes) -> None:
    """Neither challenge nor nonce: the IV is zero, and the reserved bytes make the difference."""
    if len(reserved) != 5:
        with pytest.raises(StatusBlobRefused):
            status_blob.build_status_blob(transport, None, None, status, reserved=reserved)
        return
    blob = status_blob.build_status_blob(transport, None, None, status, reserved=reserved)
    assert status_blob.parse_status_blob(transport, None, None, blob) == status
    assert primitives.aes_cbc_decrypt_raw(transport, bytes(16), blob)[7:12] == reserved


@FEW
@given(key16, key16)
def test_vault_key(transport: bytes, vault_key: bytes) -> None:
    encrypted = vault.encrypt_vault_key(transport, vault_key)
    assert vault.decrypt_vault_key(transport, encrypted) == vault_key
    with pytest.raises(VaultKeyRefused):
        vault.decrypt_vault_key(transport, encrypted[:16])


@FEW
@given(st.binary(max_size=200))
def test_padded_encryption(plain: bytes) -> None:
    encrypted = primitives.aes_cbc_encrypt(bytes(16), bytes(16), plain)
    assert primitives.aes_cbc_decrypt(bytes(16), bytes(16), encrypted) == plain


@FEW
@given(st.binary(max_size=100))
def test_base64(data: bytes) -> None:
    assert base64_text.decode_base64(base64_text.encode_base64(data), limit=100) == data
    assert base64_text.decode_base64url(base64_text.encode_base64url(data), limit=100) == data


def test_join_writes_an_absent_part_as_length_zero() -> None:
    assert primitives.join(b"ab", None, b"") == b"\0\0\0\2ab" + bytes(8)


@pytest.mark.parametrize("scalar", [bytes(32), b"\xff" * 32, b"\1" * 31, b"\1" + b"\1" * 32, b""])
def test_an_impossible_private_key_is_refused(scalar: bytes) -> None:
    with pytest.raises(InvalidPrivateKey):
        keys.private_key_from_bytes(scalar)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0" + bytes(64),
        b"\4" + bytes(64),
        b"\4" + bytes(63),
        b"\5" + bytes(32),
        b"\2" + b"\xff" * 32,
        keys.public_key_to_bytes(PUBLIC)[:-1] + b"\0",
        b"\6" + keys.public_key_to_bytes(PUBLIC)[1:],
    ],
)
def test_an_impossible_public_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPublicKey):
        keys.public_key_from_bytes(data)


def test_both_forms_of_a_public_key_are_the_same_key() -> None:
    compressed = keys.public_key_from_bytes(keys.public_key_to_bytes(PUBLIC, compressed=True))
    assert keys.public_key_to_bytes(compressed) == keys.public_key_to_bytes(PUBLIC)
    assert keys.private_key_to_bytes(keys.private_key_from_bytes(bytes(range(33)))) == bytes(range(1, 33))


def test_canonical_query() -> None:
    pairs = [("b", "2"), ("a", "z ~*"), ("a", "é"), ("\uffee", "1"), ("\U0001f600", "1")]
    assert signature.canonical_query(pairs) == b"a=z+%7E*&a=%C3%A9&b=2&%F0%9F%98%80=1&%EF%BF%AE=1"
    assert signature.canonical_query({"b": "2", "a": "1"}) == b"a=1&b=2"
    assert signature.canonical_query({}) == b""


@FEW
@given(versions, st.sampled_from(signature.SIGNATURE_TYPES), st.integers(0, 19), key16, st.binary(max_size=64))
def test_look_ahead(version: Any, kind: str, ahead: int, counter: bytes, data: bytes) -> None:
    factors = signature.factor_keys(ActivationKeys(*(bytes([n]) * 16 for n in range(5))), kind)
    theirs = counter
    for _ in range(ahead):
        theirs = primitives.next_counter(theirs)
    components = signature.compute_components(factors, theirs, data)
    text = signature.format_signature(components, version)
    match = signature.verify_signature(factors, counter, 20, data, text, version)
    assert match == signature.SignatureMatch(ahead, primitives.next_counter(theirs))
    assert signature.verify_signature(factors, counter, ahead, data, text, version) is None
    assert signature.verify_signature(factors, counter, 20, data + b"!", text, version) is None
    assert match is not None
    assert signature.verify_signature(factors, match.next_counter, 20, data, text, version) is None
    offline = signature.format_offline(components, 8).replace("-", "")
    typed = "-".join(offline[at : at + 4] for at in range(0, len(offline), 4))
    assert signature.verify_offline_signature(factors, counter, 20, data, typed) == match


@pytest.mark.parametrize(
    "kind", ["", "knowledge_possession", "possession_possession", "transport", "Possession", "vault"]
)
def test_an_unknown_signature_type_is_refused(kind: str) -> None:
    with pytest.raises(UnknownSignatureType):
        signature.factor_keys(ActivationKeys(*[bytes(16)] * 5), kind)


def test_no_key_is_shown() -> None:
    assert "\\x" not in repr(ActivationKeys(*[bytes(16)] * 5))


PARSERS: list[Callable[[str], Any]] = [
    headers.parse_signature_header,
    headers.parse_token_header,
    headers.parse_encryption_header,
    activation_code.is_activation_code,
    activation_code.parse_qr,
    sdk_configuration.parse_sdk_configuration,
    temporary_key_server.parse_temporary_key_request,
    protocol_version,
    lambda text: temporary_key_server.verify_temporary_key_request(text, bytes(16)),
    lambda text: temporary_key_client.verify_temporary_key_response(text, PUBLIC, application_key="", challenge=""),
    lambda text: base64_text.decode_base64(text, limit=1000),
    lambda text: base64_text.decode_base64url(text, limit=1000),
    lambda text: keys.public_key_from_bytes(text.encode("utf-8", "surrogatepass")),
    lambda text: vault.decrypt_vault_key(bytes(16), text.encode("utf-8", "surrogatepass")),
    lambda text: keys.verify_der(PUBLIC, text.encode("utf-8", "surrogatepass"), b""),
    *(
        lambda text, v=v: signature.verify_signature((bytes(16),), bytes(16), 1, b"", text, v)
        for v in PROTOCOL_VERSIONS.values()
    ),
    lambda text: signature.verify_offline_signature((bytes(16),), bytes(16), 1, b"", text),
]

near_misses = st.text() | st.text(alphabet='PowerAuth ="pa_version3.,-', max_size=60).map(
    lambda text: "PowerAuth " + text
)
jwt_like = st.lists(
    st.binary(max_size=30)
    | st.fixed_dictionaries({"alg": st.sampled_from(["HS256", "none"]), "typ": st.just("JWT")}).map(
        msgspec.json.encode
    ),
    min_size=3,
    max_size=3,
).map(lambda parts: ".".join(map(base64_text.encode_base64url, parts)))


@pytest.mark.parametrize("parse", PARSERS)
@FEW
@given(text=near_misses | jwt_like | st.binary(max_size=80).map(base64_text.encode_base64))
@example(text="A" * 100_000)
@example(text="\ud800" * 20)
@example(text="٣" * 8)
def test_only_our_errors_come_out(parse: Callable[[str], Any], text: str) -> None:
    with contextlib.suppress(PowerAuthProtocolError):
        parse(text)
