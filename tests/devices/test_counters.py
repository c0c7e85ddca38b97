"""The counter matrix: how far phone and server may be apart, in every protocol version."""

from __future__ import annotations

import base64
import os

import pytest

from ringback.devices.schema import StatusObject
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.status_blob import StatusBlob, counter_hash, parse_status_blob
from tests.devices.conftest import Room
from tests.devices.phone import ALL_VERSIONS, TestPhone

EVERY_VERSION = pytest.mark.parametrize("version", ALL_VERSIONS)
AHEAD = [(0, True), (1, True), (19, True), (20, False), (21, False), (100, False)]


async def blob(room: Room, phone: TestPhone) -> StatusBlob:
    challenge = os.urandom(16)
    request = StatusObject(activation_id=phone.id, challenge=base64.b64encode(challenge).decode())
    answer = await room.devices.look(room.store, room.devices.activation_status, request)
    assert isinstance(answer.nonce, str)
    nonce = decode_base64(answer.nonce, limit=16)
    encrypted = decode_base64(answer.encrypted_status_blob, limit=32)
    return parse_status_blob(phone.known_keys.transport, challenge, nonce, encrypted)


@EVERY_VERSION
async def test_the_phone_may_be_ahead_by_less_than_the_look_ahead(room: Room, version: str) -> None:
    for steps, valid in AHEAD:
        phone = await room.active_phone(f"user-{steps}", version=version)
        phone.ahead(steps)
        outcome = await room.check(phone)
        assert (outcome.valid, outcome.remaining_attempts) == ((True, 5) if valid else (False, 4)), steps
        stored = await room.registration(phone.id)
        assert (stored.ctr, stored.ctr_data == phone.counter) == ((steps + 1, True) if valid else (0, False)), steps
        told = await blob(room, phone)
        assert (told.status, told.current_version, told.upgrade_version) == (3, 3, 3), steps
        assert (told.counter_byte, told.failed_attempts, told.look_ahead) == (stored.ctr, 0 if valid else 1, 20), steps


@EVERY_VERSION
async def test_the_server_ahead_refuses_until_the_phone_catches_up(room: Room, version: str) -> None:
    for steps in (1, 2, 19, 20, 21, 100):
        phone = await room.active_phone(f"user-{steps}", version=version)
        before = phone.counter
        phone.ahead(steps)
        await room.set_server_counter(phone.id, phone.counter)
        ahead, phone.counter = phone.counter, before
        assert not (await room.check(phone)).valid, steps
        assert (await blob(room, phone)).counter_hash == counter_hash(phone.known_keys.transport, ahead), steps
        phone.counter = ahead
        assert (await room.check(phone)).valid, steps


@EVERY_VERSION
async def test_a_counter_that_was_skipped_is_never_valid_again(room: Room, version: str) -> None:
    phone = await room.active_phone(version=version)
    first = phone.counter
    phone.ahead(5)
    assert (await room.check(phone)).valid
    phone.counter = first
    for _ in range(3):
        assert not (await room.check(phone)).valid


async def test_a_counter_is_spent_whatever_the_version(room: Room) -> None:
    phone = await room.active_phone(version="3.0")
    first = phone.counter
    assert (await room.check(phone)).valid
    for version in ALL_VERSIONS:
        phone.counter = first
        assert not (await room.check(phone, version=version)).valid
