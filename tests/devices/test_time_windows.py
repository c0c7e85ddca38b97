"""Both edges of every time window, to the millisecond, in every protocol version that has it."""

from __future__ import annotations

import contextlib

import pytest

from ringback.devices import MacTokenCheck
from ringback.errors import EncryptionFailed, TemporaryKeyFailure
from tests.devices.conftest import Room
from tests.devices.phone import ALL_VERSIONS

ADDRESS = "192.0.2.1"
EVERY_VERSION = pytest.mark.parametrize("version", ALL_VERSIONS)
WITH_TIMESTAMP = pytest.mark.parametrize("version", ["3.2", "3.3"])
MINUTE_MS, HALF_HOUR_MS, TWO_HOURS_MS = 60_000, 1_800_000, 7_200_000


TOKEN_TIMES = [
    (-TWO_HOURS_MS - 1, False),
    (-TWO_HOURS_MS, True),
    (-TWO_HOURS_MS + 1, True),
    (0, True),
    (HALF_HOUR_MS - 1, True),
    (HALF_HOUR_MS, True),
    (HALF_HOUR_MS + 1, False),
]


@EVERY_VERSION
async def test_the_time_of_a_mac_token_header(room: Room, version: str) -> None:
    phone = await room.active_phone(version=version)
    await room.mac_token(phone)
    for off_ms, valid in TOKEN_TIMES:
        header = phone.token_header(timestamp_ms=room.clock.now_ms() + off_ms)
        assert (await room.store.write(room.devices.check_mac_token, MacTokenCheck(header))).valid is valid, off_ms


@WITH_TIMESTAMP
@pytest.mark.parametrize(
    ("off_ms", "accepted"),
    [(-MINUTE_MS - 1, False), (-MINUTE_MS, True), (0, True), (MINUTE_MS, True), (MINUTE_MS + 1, False)],
)
async def test_the_time_of_an_envelope_in_both_scopes(room: Room, version: str, off_ms: int, accepted: bool) -> None:
    refusal = contextlib.nullcontext() if accepted else pytest.raises(EncryptionFailed)
    phone = await room.active_phone(version=version)
    at = room.clock.now_ms() + off_ms
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True), now_ms=at)
    with refusal:
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)
    created = await room.create("eva")
    other = room.phone(version=version)
    body, _ = other.activation_request(await room.temporary_key(other), created.activation_code)
    room.clock.advance(-off_ms / 1000)
    with refusal:
        await room.devices.create_activation(room.store, other.encryption_header, body, ADDRESS)
    assert await room.status(created.registration_id) == ("PENDING_COMMIT" if accepted else "CREATED")


@pytest.mark.parametrize("version", ["3.0", "3.1"])
@pytest.mark.parametrize("seconds", [61, 86_400])
async def test_an_envelope_without_time_never_grows_old(room: Room, version: str, seconds: int) -> None:
    phone = await room.active_phone(version=version)
    body, _ = phone.mac_token_request(None)
    room.clock.advance(seconds)
    await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)


@pytest.mark.parametrize(("after_ms", "accepted"), [(299_999, True), (300_000, False), (300_001, False)])
async def test_a_temporary_key_lives_five_minutes_in_activation_scope(
    room: Room, after_ms: int, accepted: bool
) -> None:
    phone = await room.active_phone()
    key = await room.temporary_key(phone, activation=True)
    room.clock.advance(after_ms / 1000)
    body, _ = phone.mac_token_request(key)
    with contextlib.nullcontext() if accepted else pytest.raises(EncryptionFailed):
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2"])
async def test_older_versions_may_ask_for_a_temporary_key_and_it_opens_nothing_of_theirs(
    room: Room, version: str
) -> None:
    phone = await room.active_phone(version=version)
    jwt, challenge = phone.temporary_key_request(activation=True)
    answer = await room.devices.create_temporary_key(room.store, jwt)
    key = phone.temporary_key(answer, challenge, activation=True)
    body, _ = phone.mac_token_request(key)
    with pytest.raises(EncryptionFailed):
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body), body)
    foreign = await room.active_phone("eva", version=version)
    foreign.id = phone.id
    with pytest.raises(TemporaryKeyFailure):
        await room.devices.create_temporary_key(room.store, foreign.temporary_key_request(activation=True)[0])
