"""Room for protocol 4: other suites, larger counters and keys fit, and nothing of protocol 3 takes them for its own."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import msgspec
import pytest

import ringback
from ringback.devices import SignatureCheck
from ringback.devices.headers import read_encryption_header, read_signature_header, read_token_header
from ringback.devices.schema import StatusObject
from ringback.errors import EncryptionFailed, MacTokenInvalid, SignatureInvalid, TemporaryKeyFailure
from ringback.protocols.powerauth.base64_text import encode_base64
from ringback.protocols.powerauth.ecies import application_base
from ringback.protocols.powerauth.ecies_client import seal_request
from ringback.protocols.powerauth.ecies_server import open_request
from ringback.protocols.powerauth.errors import UnsupportedVersion
from ringback.protocols.powerauth.headers import (
    ENCRYPTION_HEADER,
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    build_encryption_header,
    build_signature_header,
    build_token_header,
    parse_signature_header,
)
from ringback.protocols.powerauth.keys import generate_private_key, public_key_to_bytes
from ringback.protocols.powerauth.sdk_configuration import (
    SdkConfiguration,
    build_sdk_configuration,
    parse_sdk_configuration,
)
from ringback.protocols.powerauth.temporary_key import MAX_JWT, TemporaryKeyResponseClaims, split_jwt
from ringback.protocols.powerauth.temporary_key_server import build_temporary_key_response
from ringback.protocols.powerauth.versions import P256, PROTOCOL_VERSIONS, accepts_signatures, protocol_version
from ringback.store import Command
from tests.devices.conftest import Room, run
from tests.devices.phone import ALL_VERSIONS, TestPhone

SUITES = ("EC_P384", "EC_P384_ML_L3", "EC_P384_ML_L5")
COUNTER = bytes(range(32))
LARGE_KEY = bytes(4096)
_move = Command("move", "Test.", "UPDATE registrations SET suite = $2, ctr_data = $3, ctr = $4 WHERE id = $1")
_enlarge = Command(
    "enlarge", "Test.", "UPDATE registrations SET device_public_key = $2, server_public_key = $2 WHERE id = $1"
)
_insert_key = Command(
    "insert_key",
    "Test.",
    "INSERT INTO app_master_keys (app_id, key_id, public_key, private_key_sealed) VALUES ($1, $2, $3, $4)",
)


async def moved(room: Room, suite: str) -> TestPhone:
    """A phone whose registration is of another suite, as a later release would store it."""
    phone = await room.active_phone()
    await room.mac_token(phone)
    await room.store.write(run, _move, phone.id, suite, COUNTER, 2**40)
    return phone


@pytest.mark.parametrize("suite", SUITES)
async def test_a_registration_of_another_suite_fits_in_the_database(room: Room, suite: str) -> None:
    phone = await moved(room, suite)
    await room.store.write(run, _enlarge, phone.id, LARGE_KEY)
    stored = await room.registration(phone.id)
    assert (stored.suite, stored.ctr_data, stored.ctr) == (suite, COUNTER, 2**40)
    assert (stored.device_public_key, stored.server_public_key) == (LARGE_KEY, LARGE_KEY)


@pytest.mark.parametrize("version", ALL_VERSIONS)
async def test_protocol_3_proves_nothing_for_another_suite(room: Room, version: str) -> None:
    phone = await moved(room, SUITES[1])
    before = await room.registration(phone.id)
    phone.version = protocol_version(version)
    outcome = await room.check(phone)
    assert (outcome.valid, outcome.status) == (False, "ACTIVE")
    request = StatusObject(activation_id=phone.id, challenge=base64.b64encode(os.urandom(16)).decode())
    told = await room.devices.look(room.store, room.devices.activation_status, request)
    assert len(base64.b64decode(told.encrypted_status_blob)) == 32
    phone.version = protocol_version("3.3")
    with pytest.raises(TemporaryKeyFailure):
        await room.temporary_key(phone, activation=True)
    phone.version = protocol_version(version)
    body, _ = phone.mac_token_request(await room.temporary_key(phone))
    with pytest.raises(SignatureInvalid):
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)
    assert await room.registration(phone.id) == before


async def test_several_master_keys_of_an_app_fit(room: Room) -> None:
    for key_id in (2, 3, 4):
        await room.store.write(run, _insert_key, "bank", key_id, LARGE_KEY, LARGE_KEY)
    # Protocol 3 goes on with key 1.
    phone = await room.active_phone(version="3.1")
    assert (await room.check(phone)).valid


def test_the_sdk_configuration_carries_four_keys_of_four_kilobytes() -> None:
    first = public_key_to_bytes(generate_private_key().public_key())
    keys = {1: first, 2: b"\x02" * 4096, 3: b"\x03" * 4096, 4: b"\x04" * 4096}
    configuration = SdkConfiguration(os.urandom(16), os.urandom(16), keys)
    text = build_sdk_configuration(configuration)
    assert parse_sdk_configuration(text) == configuration
    assert TestPhone(text, None).master_key is not None  # type: ignore[arg-type]  # no message needs the time


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024])
def test_answers_of_eight_kilobytes_pass(version: str, size: int) -> None:
    private_key, spoken = generate_private_key(), protocol_version(version)
    base, key_id = application_base("c2VjcmV0"), "key" if spoken.temporary_keys else None
    envelope, session = seal_request(
        b"{}", version=spoken, public_key=private_key.public_key(), shared_info1="/x", base=base,
        application_key="a2V5", random=os.urandom, now_ms=1, temporary_key_id=key_id,
    )  # fmt: skip
    _, opened = open_request(
        envelope, version=spoken, private_key=private_key, shared_info1="/x", base=base, application_key="a2V5"
    )
    content = os.urandom(size)
    assert session.open_response(opened.seal_response(content, os.urandom, 2)) == content


def test_a_temporary_key_answer_of_eight_kilobytes_passes() -> None:
    claims = TemporaryKeyResponseClaims(
        sub="s", application_key="a", challenge="c", public_key="k" * 8192, iat=1, exp=2, iat_ms=1, exp_ms=2
    )
    jwt = build_temporary_key_response(generate_private_key(), claims)
    assert 8192 < len(jwt) < MAX_JWT
    assert split_jwt(jwt, "ES256")[1] == msgspec.json.encode(claims)


async def test_a_header_of_protocol_4_is_refused(room: Room) -> None:
    phone = await room.active_phone()
    await room.mac_token(phone)
    signature = build_signature_header(phone.sign("POST", "/login", b"")).replace('"3.3"', '"4.0"')
    encryption = build_encryption_header(phone.encryption_header).replace('"3.3"', '"4.0"')
    token = build_token_header(phone.token_header()).replace('"3.3"', '"4.0"')
    with pytest.raises(UnsupportedVersion, match=r"not one of 3\.0, 3\.1, 3\.2 and 3\.3"):
        parse_signature_header(signature)
    for error, read, headers in (
        (SignatureInvalid, read_signature_header, {SIGNATURE_HEADER: signature}),
        (EncryptionFailed, read_encryption_header, {ENCRYPTION_HEADER: encryption}),
        (MacTokenInvalid, read_token_header, {TOKEN_HEADER: token}),
    ):
        with pytest.raises(error) as raised:
            read(headers)
        assert isinstance(raised.value.__cause__, UnsupportedVersion)
    check = SignatureCheck("POST", "/login", phone.sign("POST", "/login", b""), b"")
    assert (await room.store.write(room.devices.check_signature, check)).valid


def test_only_the_table_knows_the_names_of_versions() -> None:
    """Beside it the command of the software phone says which one it speaks unless told otherwise; demo: the story."""
    source = Path(ringback.__file__).parent
    naming = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if re.search(r"""["'][34]\.[0-3]["']""", path.read_text(encoding="utf-8"))
    }
    named = {name for name in naming if not name.startswith("demo/")}
    assert named == {"protocols/powerauth/versions.py", "cli/phone.py"}


def test_every_choice_between_versions_is_in_one_table() -> None:
    assert {version.text for version in PROTOCOL_VERSIONS.values()} == set(ALL_VERSIONS)
    assert all(int(text.partition(".")[0]) == P256.protocol for text in ALL_VERSIONS)
    assert [accepts_signatures(made, protocol_version("3.0")) for made in ("3.0", "3.1", "3.3", "9", None)] == [
        True, False, False, False, False
    ]  # fmt: skip
    assert all(accepts_signatures(None, protocol_version(text)) for text in ("3.1", "3.2", "3.3"))
    assert encode_base64(bytes(P256.counter_bytes)) == "AAAAAAAAAAAAAAAAAAAAAA=="
