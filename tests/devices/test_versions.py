"""Protocol 3.0, 3.1, 3.2 and 3.3 as parameters of the same code: keys, envelopes, replays, proofs."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest

from ringback.devices import MacTokenCheck, SignatureCheck
from ringback.devices.schema import ChangeRegistration, CommitRegistration
from ringback.errors import EncryptionFailed, SignatureInvalid
from ringback.protocols.powerauth.versions import protocol_version
from tests.devices.conftest import BANK, Room
from tests.devices.phone import ALL_VERSIONS, PK, TestPhone

ADDRESS = "192.0.2.1"
OLD_VERSIONS = ("3.0", "3.1")
"""Without timestamps."""
EVERY_VERSION = pytest.mark.parametrize("version", ALL_VERSIONS)
TWO_HOURS = 7200


@EVERY_VERSION
async def test_a_whole_life(room: Room, version: str) -> None:
    created = await room.create()
    phone = room.phone(version=version)
    await room.activate(phone, created.activation_code)
    stored = await room.registration(created.registration_id)
    assert (stored.status, stored.protocol_version, stored.suite) == ("PENDING_COMMIT", version, "P256")
    assert not (await room.check(phone)).valid
    await room.store.write(room.devices.commit_registration, BANK, phone.id, CommitRegistration())
    for signature_type in ("possession", PK, "possession_biometry", "possession_knowledge_biometry", "knowledge"):
        assert (await room.check(phone, signature_type)).valid, signature_type
    await room.mac_token(phone, PK)
    header = phone.token_header()
    assert header.version.text == version
    outcome = await room.store.write(room.devices.check_mac_token, MacTokenCheck(header))
    assert (outcome.valid, outcome.signature_type) == (True, PK)
    removal = phone.sign("POST", "/pa/activation/remove", b"{}")
    assert (await room.store.write(room.devices.remove_activation, removal, b"{}")).valid
    assert await room.status(phone.id) == "REMOVED"


@EVERY_VERSION
async def test_an_answer_has_the_fields_of_its_version(room: Room, version: str) -> None:
    created = await room.create()
    phone = room.phone(version=version)
    body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    sent = {"ephemeralPublicKey", "encryptedData", "mac"}
    sent |= {"nonce"} if version >= "3.1" else set()
    sent |= {"timestamp"} if version >= "3.2" else set()
    sent |= {"temporaryKeyId"} if version >= "3.3" else set()
    assert set(msgspec.json.decode(body)) == sent
    answer = await room.devices.create_activation(room.store, phone.encryption_header, body, ADDRESS)
    expected = {"encryptedData", "mac"} | ({"nonce", "timestamp"} if version >= "3.2" else set())
    assert set(msgspec.to_builtins(answer)) == expected


@EVERY_VERSION
async def test_an_envelope_of_one_version_is_refused_under_the_name_of_another(room: Room, version: str) -> None:
    created = await room.create()
    phone = room.phone(version=version)
    for spoken in sorted(ALL_VERSIONS, key=lambda other: other == version):  # its own last, which uses up the code
        body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
        header = msgspec.structs.replace(phone.encryption_header, version=protocol_version(spoken))
        with contextlib.nullcontext() if spoken == version else pytest.raises(EncryptionFailed):
            await room.devices.create_activation(room.store, header, body, ADDRESS)
        expected = "PENDING_COMMIT" if spoken == version else "CREATED"
        assert await room.status(created.registration_id) == expected, spoken


@EVERY_VERSION
async def test_the_master_key_opens_nothing_of_an_activation_nor_the_other_way_round(room: Room, version: str) -> None:
    phone = await room.active_phone(version=version)
    created = await room.create("eva")
    assert phone.server_key is not None
    right = phone.master_key, phone.server_key
    keys = await room.temporary_key(phone), await room.temporary_key(phone, activation=True)
    phone.master_key, phone.server_key = phone.server_key, phone.master_key
    body, _ = phone.activation_request(keys[1], created.activation_code)
    with pytest.raises(EncryptionFailed):
        await room.devices.create_activation(room.store, phone.encryption_header, body, ADDRESS)
    body, _ = phone.mac_token_request(keys[0])
    with pytest.raises(EncryptionFailed):
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)
    phone.master_key, phone.server_key = right


@EVERY_VERSION
async def test_a_temporary_key_is_named_exactly_by_the_version_that_has_them(room: Room, version: str) -> None:
    phone = room.phone(version=version)
    created = await room.create()
    body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    fields = msgspec.json.decode(body)
    if "temporaryKeyId" in fields:
        del fields["temporaryKeyId"]
    else:
        other = await room.temporary_key(room.phone())
        assert other is not None
        fields["temporaryKeyId"] = other.key_id
    with pytest.raises(EncryptionFailed):
        await room.devices.create_activation(room.store, phone.encryption_header, msgspec.json.encode(fields), ADDRESS)


# replays


async def token_request(room: Room, phone: TestPhone) -> bytes:
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True))
    return body


async def create_token(room: Room, phone: TestPhone, body: bytes) -> None:
    """With a signature of its own, so that only the envelope can be a replay."""
    await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)


@EVERY_VERSION
async def test_an_envelope_counts_once(room: Room, version: str) -> None:
    phone = await room.active_phone(version=version)
    body = await token_request(room, phone)
    await create_token(room, phone, body)
    with pytest.raises(EncryptionFailed):
        await create_token(room, phone, body)
    await create_token(room, phone, await token_request(room, phone))


@pytest.mark.parametrize("version", OLD_VERSIONS)
@pytest.mark.parametrize(("seconds", "refused"), [(TWO_HOURS - 0.001, True), (TWO_HOURS, False)])
async def test_without_timestamps_an_envelope_is_remembered_for_two_hours(
    room: Room, version: str, seconds: float, refused: bool
) -> None:
    phone = await room.active_phone(version=version)
    body = await token_request(room, phone)
    await create_token(room, phone, body)
    room.clock.advance(seconds)
    await room.store.write(room.devices.purge, 1000)
    if refused:
        with pytest.raises(EncryptionFailed):
            await create_token(room, phone, body)
    else:
        await create_token(room, phone, body)


@pytest.mark.parametrize("version", ["3.2", "3.3"])
@pytest.mark.parametrize("early", [0, 60])
async def test_with_timestamps_an_envelope_is_remembered_until_it_is_too_old(
    room: Room, version: str, early: int
) -> None:
    phone = await room.active_phone(version=version)
    key = await room.temporary_key(phone, activation=True)
    body, _ = phone.mac_token_request(key, now_ms=room.clock.now_ms() + early * 1000)
    await create_token(room, phone, body)
    for seconds in (60 + early, 0.001):
        room.clock.advance(seconds)
        await room.store.write(room.devices.purge, 1000)
        with pytest.raises(EncryptionFailed):
            await create_token(room, phone, body)


async def test_another_nonce_makes_no_new_envelope_where_the_mac_does_not_cover_it(room: Room) -> None:
    phone = await room.active_phone(version="3.1")
    body = await token_request(room, phone)
    await create_token(room, phone, body)
    for _ in range(300):  # the first block is the only one, and its padding is right now and then
        other = msgspec.json.decode(await token_request(room, phone))
        changed = {**msgspec.json.decode(body), "nonce": other["nonce"]}
        with pytest.raises(EncryptionFailed):
            await create_token(room, phone, msgspec.json.encode(changed))


# an app that was updated


@pytest.mark.parametrize("made", ALL_VERSIONS)
async def test_a_registration_may_speak_another_version_than_it_was_made_in(room: Room, made: str) -> None:
    for spoken in ALL_VERSIONS:
        phone = await room.active_phone(f"user-{spoken}", version=made)
        phone.version = protocol_version(spoken)
        possible = spoken != "3.0" or made == "3.0"
        assert (await room.check(phone)).valid is possible, spoken
        if not possible:
            with pytest.raises(SignatureInvalid):
                await room.mac_token(phone)
            continue
        await room.mac_token(phone)
        assert (await room.store.write(room.devices.check_mac_token, MacTokenCheck(phone.token_header()))).valid, spoken
        assert (await room.registration(phone.id)).protocol_version == made


@pytest.mark.parametrize("spoken", ["3.2", "3.3"])
async def test_a_digest_with_the_version_is_bound_to_it(room: Room, spoken: str) -> None:
    phone = await room.active_phone()
    await room.mac_token(phone)
    header = phone.token_header(version=spoken)
    for other in {"3.0", "3.2", "3.3"} - {spoken}:
        changed = MacTokenCheck(msgspec.structs.replace(header, version=protocol_version(other)))
        assert not (await room.store.write(room.devices.check_mac_token, changed)).valid
    assert (await room.store.write(room.devices.check_mac_token, MacTokenCheck(header))).valid


# statuses


@EVERY_VERSION
async def test_a_removed_registration_opens_no_envelope(room: Room, version: str) -> None:
    phone = await room.active_phone(version=version)
    body = await token_request(room, phone)
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="REMOVE"))
    envelope: Any = msgspec.json.decode(body)
    with pytest.raises(EncryptionFailed):
        await room.store.read(
            room.devices._encryption.find_key,
            phone.version,
            phone.app_key,
            envelope.get("temporaryKeyId"),
            phone.id,
        )
    with pytest.raises(SignatureInvalid):
        await create_token(room, phone, body)


# decimal signatures


async def test_decimal_signatures_are_for_registrations_made_in_3_0_alone(room: Room) -> None:
    old, new = await room.active_phone("eva", version="3.0"), await room.active_phone()
    header = old.sign("POST", "/login", b"log")
    assert len(header.signature) == len("12345678-12345678")
    check = SignatureCheck("POST", "/login", header, b"log")
    assert (await room.store.write(room.devices.check_signature, check)).valid
    outcome = await room.check(new, version="3.0")
    assert (outcome.valid, outcome.remaining_attempts) == (False, 4)
    assert (await room.actions())[-1] == "signature_does_not_match"


@pytest.mark.parametrize(
    "signature", ["1234567-12345678", "12345678", "12345678-1234567x", "12345678-12345678-12345678"]
)
async def test_malformed_decimal_signatures_are_invalid_and_counted(room: Room, signature: str) -> None:
    phone = await room.active_phone(version="3.0")
    outcome = await room.check(phone, signature=signature)
    assert (outcome.valid, outcome.remaining_attempts) == (False, 4)


async def test_digits_of_possession_alone_cannot_be_guessed(room: Room) -> None:
    phone, other = await room.active_phone(version="3.0"), await room.active_phone("eva", version="3.0")
    for _ in range(10):
        assert not (await room.check(phone, "possession", wrong=True)).valid
    before = await room.registration(phone.id)
    right = await room.check(phone, "possession")
    assert (right.valid, right.remaining_attempts, right.status) == (False, 5, "ACTIVE")
    assert await room.registration(phone.id) == before
    assert (await room.check(other, "possession")).valid
    room.clock.advance(60)
    assert (await room.check(phone, "possession")).valid


async def test_the_limit_holds_back_nothing_that_cannot_be_guessed(room: Room) -> None:
    phone = await room.active_phone(version="3.0")
    for _ in range(10):
        assert not (await room.check(phone, "possession", wrong=True)).valid
    assert (await room.check(phone, PK)).valid
    assert (await room.check(phone, "possession", version="3.3")).valid
    newer = await room.active_phone("eva", version="3.1")
    for _ in range(19):
        kept = newer.counter
        assert not (await room.check(newer, "possession", wrong=True)).valid
        newer.counter = kept
    assert (await room.check(newer, "possession")).valid
