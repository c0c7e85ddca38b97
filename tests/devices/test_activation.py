from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

import msgspec
import pytest

from ringback.attempts import AttemptLimiter
from ringback.clock import ManualClock
from ringback.devices.schema import ChangeRegistration, CommitRegistration, StatusObject
from ringback.errors import ActivationInvalid, EncryptionFailed, RecoveryInvalid, TemporaryKeyFailure
from ringback.protocols.powerauth.activation_code import generate_activation_code
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION_LAYER_2, SH1_APPLICATION
from ringback.protocols.powerauth.errors import StatusBlobRefused
from ringback.protocols.powerauth.headers import EncryptionHeader
from ringback.protocols.powerauth.status_blob import StatusBlob, counter_hash, parse_status_blob
from ringback.protocols.powerauth.versions import protocol_version
from tests.devices.conftest import BANK, Room
from tests.devices.phone import TestPhone

ADDRESS = "192.0.2.1"


async def send(room: Room, phone: TestPhone, body: bytes, address: str = ADDRESS) -> Any:
    return await room.devices.create_activation(room.store, phone.encryption_header, body, address)


async def status_of(room: Room, phone: TestPhone, challenge: bytes = b"c" * 16) -> StatusBlob:
    request = StatusObject(phone.id, base64.b64encode(challenge).decode())
    answer = await room.devices.look(room.store, room.devices.activation_status, request)
    assert answer.activation_id == phone.id
    nonce = base64.b64decode(answer.nonce)
    blob = base64.b64decode(answer.encrypted_status_blob)
    assert (len(nonce), len(blob)) == (16, 32)
    return parse_status_blob(phone.known_keys.transport, challenge, nonce, blob)


async def test_the_whole_story_of_a_phone(room: Room) -> None:
    created = await room.create()
    phone = room.phone()
    await room.activate(phone, created.activation_code)
    assert phone.id == created.registration_id
    assert (await status_of(room, phone)).status == 2
    await room.store.write(room.devices.commit_registration, BANK, phone.id, CommitRegistration())
    blob = await status_of(room, phone)
    assert blob == StatusBlob(3, 3, 3, 0, 0, 5, 20, counter_hash(phone.known_keys.transport, phone.counter))
    await room.check(phone, wrong=True)
    assert (await room.check(phone)).valid
    await room.check(phone, wrong=True)
    blob = await status_of(room, phone)
    assert (blob.status, blob.counter_byte, blob.failed_attempts) == (3, 2, 1)
    header = phone.sign("POST", "/pa/activation/remove", b"")
    assert (await room.store.write(room.devices.remove_activation, header, b"")).valid
    assert (await status_of(room, phone)).status == 5
    assert [event.status for event in room.published] == ["CREATED", "PENDING_COMMIT", "ACTIVE", "REMOVED"]
    assert {"registration.create", "registration.key_exchange", "registration.commit", "registration.remove"} <= set(
        await room.actions()
    )


async def test_a_registration_may_commit_at_the_key_exchange(room: Room) -> None:
    phone = await room.active_phone(commit_phase="ON_KEY_EXCHANGE")
    assert await room.status(phone.id) == "ACTIVE"
    assert (await room.check(phone)).valid


async def test_the_key_material_is_sealed(room: Room) -> None:
    phone = await room.active_phone()
    stored = await room.registration(phone.id)
    assert stored.master_secret_sealed is not None
    assert len(stored.master_secret_sealed) > 16
    assert stored.server_private_key_sealed is not None
    assert len(stored.server_private_key_sealed) > 32
    assert (stored.protocol_version, stored.suite, len(stored.server_public_key or b"")) == ("3.3", "P256", 65)


async def test_one_code_activates_one_phone(room: Room) -> None:
    created = await room.create()

    async def activate() -> str:
        phone = room.phone()
        await room.activate(phone, created.activation_code)
        return phone.id

    results = await asyncio.gather(*(activate() for _ in range(8)), return_exceptions=True)
    assert [isinstance(result, ActivationInvalid) for result in results].count(True) == 7
    assert created.registration_id in results


async def test_a_code_belongs_to_its_app(room: Room) -> None:
    created = await room.create()
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone("other"), created.activation_code)
    assert await room.status(created.registration_id) == "CREATED"


@pytest.mark.parametrize("kind", ["CUSTOM", "DIRECT", "RECOVERY", "code", ""])
async def test_other_kinds_of_activation_are_refused(room: Room, kind: str) -> None:
    created = await room.create()
    with pytest.raises(RecoveryInvalid if kind == "RECOVERY" else ActivationInvalid):
        await room.activate(room.phone(), created.activation_code, kind=kind)


@pytest.mark.parametrize("device_key", ["", "AAAA", "not Base64!", base64.b64encode(b"\2" + b"\xff" * 32).decode()])
async def test_a_malformed_device_key_uses_the_code_up(room: Room, device_key: str) -> None:
    created = await room.create()
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone(), created.activation_code, device_key=device_key)
    assert await room.status(created.registration_id) == "REMOVED"
    assert "registration.device_key_refused" in await room.actions()


@pytest.mark.parametrize("field", ["activationName", "platform", "deviceInfo", "extras", "externalId"])
@pytest.mark.parametrize("value", ["nul\0", "long" * 2000, 7])
async def test_bad_texts_of_a_phone_are_refused(room: Room, field: str, value: object) -> None:
    created = await room.create()
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone(), created.activation_code, **{field: value})
    assert await room.status(created.registration_id) == "CREATED"


async def test_a_replayed_request_is_refused(room: Room) -> None:
    created = await room.create()
    phone = room.phone()
    body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    await send(room, phone, body)
    with pytest.raises((ActivationInvalid, EncryptionFailed)):
        await send(room, phone, body)


@pytest.mark.parametrize(("seconds", "accepted"), [(60, True), (60.001, False), (-60, True), (-60.001, False)])
async def test_the_clock_of_a_request_may_be_off_by_the_window_both_ways(
    room: Room, seconds: float, accepted: bool
) -> None:
    created = await room.create()
    phone = room.phone()
    key = await room.temporary_key(phone)
    body, _ = phone.activation_request(key, created.activation_code)
    room.clock.advance(seconds)
    if accepted:
        await send(room, phone, body)
    else:
        with pytest.raises(EncryptionFailed):
            await send(room, phone, body)


@pytest.mark.parametrize(("seconds", "accepted"), [(299.999, True), (300, False)])
async def test_a_temporary_key_lives_five_minutes(room: Room, seconds: float, accepted: bool) -> None:
    phone = room.phone()
    key = await room.temporary_key(phone)
    room.clock.advance(seconds)
    created = await room.create()
    body, _ = phone.activation_request(key, created.activation_code)
    if accepted:
        await send(room, phone, body)
    else:
        with pytest.raises(EncryptionFailed):
            await send(room, phone, body)


async def test_a_temporary_key_belongs_to_its_app_key_and_scope(room: Room) -> None:
    created = await room.create()
    phone, foreign = room.phone(), room.phone("other")
    body, _ = phone.activation_request(await room.temporary_key(foreign), created.activation_code)
    with pytest.raises(EncryptionFailed):
        await send(room, phone, body)
    active = await room.active_phone("eva")
    body, _ = active.activation_request(await room.temporary_key(active, activation=True), created.activation_code)
    with pytest.raises(EncryptionFailed):
        await send(room, active, body)
    key = await room.temporary_key(active)
    body, session = active.mac_token_request(key)
    with pytest.raises(EncryptionFailed):
        await room.devices.create_mac_token(room.store, active.sign("POST", "/pa/token/create", body), body)
    assert session


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2"])
async def test_an_envelope_for_a_temporary_key_is_refused_under_another_version(room: Room, version: str) -> None:
    created = await room.create()
    phone = room.phone()
    body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    header = EncryptionHeader(protocol_version(version), phone.app_key)
    with pytest.raises(EncryptionFailed):
        await room.devices.create_activation(room.store, header, body, ADDRESS)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"{" * 5000, b'{"temporaryKeyId":"\\u0000"}'])
async def test_bad_bodies_are_refused(room: Room, body: bytes) -> None:
    with pytest.raises(EncryptionFailed):
        await send(room, room.phone(), body)


@pytest.mark.parametrize(
    "field", ["temporaryKeyId", "ephemeralPublicKey", "encryptedData", "mac", "nonce", "timestamp"]
)
async def test_every_field_of_the_envelope_is_needed_and_protected(room: Room, field: str) -> None:
    created = await room.create()
    phone = room.phone()
    body, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    whole = msgspec.json.decode(body)
    other, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    without = {name: value for name, value in whole.items() if name != field}
    room.clock.advance(0.001)
    later, _ = phone.activation_request(await room.temporary_key(phone), created.activation_code)
    assert other
    mixed = {**whole, field: msgspec.json.decode(later)[field]}
    for bad in (without, mixed):
        with pytest.raises(EncryptionFailed):
            await send(room, phone, msgspec.json.encode(bad))
    assert await room.status(created.registration_id) == "CREATED"


@pytest.mark.parametrize("layer", [1, 2])
async def test_layers_that_are_no_json_objects(room: Room, layer: int) -> None:
    phone = room.phone()
    key = await room.temporary_key(phone)
    inner, _ = phone.seal([], key, SH1_ACTIVATION_LAYER_2)
    code = generate_activation_code(os.urandom)
    whole: Any = {"type": "CODE", "identityAttributes": {"code": code}, "activationData": msgspec.to_builtins(inner)}
    outer, _ = phone.seal("text" if layer == 1 else whole, key, SH1_APPLICATION)
    with pytest.raises(ActivationInvalid):
        await send(room, phone, msgspec.json.encode(outer))


async def test_wrong_codes_are_limited_by_address(room: Room) -> None:
    phone = room.phone()
    key = await room.temporary_key(phone)
    for _ in range(60):
        body, _ = phone.activation_request(key, generate_activation_code(os.urandom))
        with pytest.raises(ActivationInvalid):
            await send(room, phone, body)
    created = await room.create()
    body, sessions = phone.activation_request(key, created.activation_code)
    with pytest.raises(ActivationInvalid):
        await send(room, phone, body)
    phone.finish_activation(await send(room, phone, body, "192.0.2.2"), sessions)
    assert await room.status(created.registration_id) == "PENDING_COMMIT"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "x:y", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(clock: ManualClock, first: str, second: str, same: bool) -> None:
    attempts = AttemptLimiter(clock=clock, per_minute=1)
    attempts.count_failure(first)
    assert (attempts.is_exhausted(first), attempts.is_exhausted(second)) == (True, same)


# keystore/create


async def test_temporary_keys_in_activation_scope_are_for_active_and_blocked_phones(room: Room) -> None:
    phone = await room.active_phone()
    assert (await room.temporary_key(phone, activation=True)).is_usable(room.clock.now_ms())
    for change, allowed in (("BLOCK", True), ("REMOVE", False)):
        command = ChangeRegistration(change=change)  # type: ignore[arg-type]
        await room.store.write(room.devices.change_registration, BANK, phone.id, command)
        if allowed:
            await room.temporary_key(phone, activation=True)
        else:
            with pytest.raises(TemporaryKeyFailure):
                await room.temporary_key(phone, activation=True)


async def test_temporary_keys_need_the_right_secret(room: Room) -> None:
    phone = room.phone()
    phone.app_secret = base64.b64encode(bytes(16)).decode()
    jwt, _ = phone.temporary_key_request(activation=False)
    with pytest.raises(TemporaryKeyFailure):
        await room.devices.create_temporary_key(room.store, jwt)


@pytest.mark.parametrize("jwt", ["", "a.b.c", "ž", "." * 100, "x" * 8000])
async def test_bad_jwts_are_refused(room: Room, jwt: str) -> None:
    with pytest.raises(TemporaryKeyFailure):
        await room.devices.create_temporary_key(room.store, jwt)


async def test_unknown_app_keys_and_registrations_get_no_temporary_key(room: Room) -> None:
    phone = await room.active_phone()
    for id_ in ("unknown", "nul\0"):
        phone.id = id_
        jwt, _ = phone.temporary_key_request(activation=True)
        with pytest.raises(TemporaryKeyFailure):
            await room.devices.create_temporary_key(room.store, jwt)
    phone.app_key = base64.b64encode(bytes(16)).decode()
    jwt, _ = phone.temporary_key_request(activation=False)
    with pytest.raises(TemporaryKeyFailure):
        await room.devices.create_temporary_key(room.store, jwt)


async def test_what_is_over_is_purged(room: Room) -> None:
    phone = await room.active_phone()
    await room.mac_token(phone)
    room.clock.advance(300)
    assert await room.store.write(room.devices.purge, 1) == 2
    assert await room.store.write(room.devices.purge, 100) >= 1
    assert await room.store.write(room.devices.purge, 100) == 0


# activation/status


async def test_status_of_nobody_is_random_bytes_of_the_same_size(room: Room) -> None:
    created = await room.create()
    removed = await room.create()
    await room.store.write(
        room.devices.change_registration, BANK, removed.registration_id, ChangeRegistration(change="REMOVE")
    )
    known = await room.active_phone("eva")
    for id_ in ("unknown", created.registration_id, removed.registration_id):
        ghost = room.phone()
        ghost.id, ghost.keys = id_, known.keys
        with pytest.raises(StatusBlobRefused):
            await status_of(room, ghost)


async def test_status_of_an_expired_registration_is_removed(room: Room) -> None:
    created = await room.create()
    phone = room.phone()
    await room.activate(phone, created.activation_code)
    room.clock.advance(120)
    assert (await status_of(room, phone)).status == 5
    assert await room.store.write(room.devices.expire_registrations, 10) == 1
    assert (await status_of(room, phone)).status == 5
    assert await room.status(phone.id) == "REMOVED"


@pytest.mark.parametrize("challenge", ["", "AAAA", "no Base64", base64.b64encode(bytes(17)).decode()])
async def test_a_bad_challenge_is_refused(room: Room, challenge: str) -> None:
    with pytest.raises(ActivationInvalid):
        await room.store.read(room.devices.activation_status, StatusObject("unknown", challenge))
