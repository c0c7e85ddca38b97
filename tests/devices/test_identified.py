"""Activations whose user somebody outside names (DIRECT, CUSTOM), in the room; the outside is played by the test."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ringback.clock import ManualClock
from ringback.devices.needs import Identified
from ringback.devices.schema import ActivationLayer1Response, ActivationLayer2Response, CommitRegistration
from ringback.errors import ActivationInvalid, EncryptionFailed
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.store import Store, Tx
from tests.devices.conftest import BANK, Room, furnish, make_room
from tests.devices.phone import ALL_VERSIONS, TestPhone


class Outside:
    """Knows whoever sends the code `good`, and answers with what the test says."""

    def __init__(self) -> None:
        self.answer = Identified("jan")
        self.asked: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []

    async def identify(
        self, app_id: str, kind: str, attributes: dict[str, str], custom_attributes: dict[str, Any]
    ) -> Identified:
        self.asked.append((app_id, kind, attributes, custom_attributes))
        if attributes.get("code") != "good":
            raise ActivationInvalid
        return self.answer


class Directory:
    """Claims of users."""

    async def user_info(self, _: Tx, app_id: str, user_id: str) -> dict[str, Any] | None:
        return {"sub": user_id, "app": app_id} if user_id == "jan" else None


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def room(store: Store, clock: ManualClock, outside: Outside) -> Room:
    return await furnish(make_room(store, clock, identities=outside, user_info=Directory()))


async def activate(
    room: Room, kind: str, phone: TestPhone | None = None, code: str = "good", **more: Any
) -> tuple[TestPhone, dict[str, Any]]:
    """The phone, and the opened outer layer of the answer."""
    phone = phone or room.phone()
    body, sessions = phone.activation_request(await room.temporary_key(phone), code, kind=kind, **more)
    answer = await room.devices.create_activation(room.store, phone.encryption_header, body, "192.0.2.1")
    phone.finish_activation(answer, sessions)
    layer1: dict[str, Any] = msgspec.json.decode(sessions[0].open_response(answer))
    return phone, layer1


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("kind", ["DIRECT", "CUSTOM"])
async def test_a_user_who_is_known_outside_gets_an_active_registration(
    room: Room, outside: Outside, kind: str, version: str
) -> None:
    outside.answer = Identified("jan", custom_attributes={"level": 3}, flags=("VIP",))
    phone, layer1 = await activate(room, kind, room.phone(version=version))
    assert outside.asked == [("bank", kind, {"code": "good"}, {})]
    assert layer1["customAttributes"] == {"level": 3}
    assert layer1["userInfo"].items() >= {"sub": "jan", "app": "bank"}.items()
    stored = await room.registration(phone.id)
    assert (stored.status, stored.user_id, stored.flags) == ("ACTIVE", "jan", ("VIP",))
    assert (stored.activation_type, stored.protocol_version) == (kind, version)
    assert (await room.check(phone)).valid
    assert [event.status for event in room.published] == ["CREATED", "ACTIVE"]
    assert {"registration.create", "registration.key_exchange_commits"} <= set(await room.actions())


async def test_a_registration_may_wait_for_its_commit(room: Room, outside: Outside) -> None:
    outside.answer = Identified("eva", commit=False)
    phone, layer1 = await activate(room, "CUSTOM")
    assert layer1["customAttributes"] == {}
    assert "userInfo" not in layer1
    assert await room.status(phone.id) == "PENDING_COMMIT"
    await room.store.write(room.devices.commit_registration, BANK, phone.id, CommitRegistration())
    assert (await room.check(phone)).valid


async def test_a_registration_that_nobody_commits_expires(room: Room, outside: Outside) -> None:
    outside.answer = Identified("jan", commit=False)
    phone, _ = await activate(room, "DIRECT")
    room.clock.advance(120)
    assert await room.store.write(room.devices.expire_registrations, 10) == 1
    assert await room.status(phone.id) == "REMOVED"


async def test_whoever_is_not_known_outside_is_refused(room: Room) -> None:
    for kind in ("DIRECT", "CUSTOM"):
        with pytest.raises(ActivationInvalid):
            await activate(room, kind, code="bad")
    assert room.published == []


@pytest.mark.parametrize("user_id", ["", "j" * 256, "j\0n"])
async def test_a_user_id_that_cannot_be_one_is_refused(room: Room, outside: Outside, user_id: str) -> None:
    outside.answer = Identified(user_id)
    with pytest.raises(ActivationInvalid):
        await activate(room, "CUSTOM")


@pytest.mark.parametrize("more", [{"device_key": "AAAA"}, {"activationOtp": "1234567"}])
async def test_nobody_outside_is_asked_about_a_request_that_is_no_good(
    room: Room, outside: Outside, more: dict[str, str]
) -> None:
    with pytest.raises(ActivationInvalid):
        await activate(room, "DIRECT", **more)
    assert outside.asked == []


async def test_a_replayed_request_asks_nobody_and_makes_nothing(room: Room, outside: Outside) -> None:
    phone = room.phone()
    body, _ = phone.activation_request(await room.temporary_key(phone), "good", kind="CUSTOM")

    async def send() -> EciesResponse:
        return await room.devices.create_activation(room.store, phone.encryption_header, body, "192.0.2.1")

    await send()
    with pytest.raises(EncryptionFailed):
        await send()
    assert len(outside.asked) == 1
    assert len(room.published) == 2


async def test_the_same_request_many_times_at_once_makes_one_registration(room: Room) -> None:
    phone = room.phone()
    body, _ = phone.activation_request(await room.temporary_key(phone), "good", kind="CUSTOM")
    results = await asyncio.gather(
        *(room.devices.create_activation(room.store, phone.encryption_header, body, "192.0.2.1") for _ in range(8)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(EncryptionFailed) == 7
    made = await room.devices.look(room.store, room.devices.list_registrations, BANK, "jan")
    assert len(made) == 1


async def test_without_anybody_to_ask_every_identity_is_refused(store: Store, clock: ManualClock) -> None:
    room = await furnish(make_room(store, clock))
    for kind in ("DIRECT", "CUSTOM"):
        with pytest.raises(ActivationInvalid):
            await activate(room, kind)


def test_answers_leave_out_what_there_is_not() -> None:
    sealed = EciesResponse("", "")
    assert msgspec.json.decode(msgspec.json.encode(ActivationLayer1Response(sealed))).keys() == {
        "activationData",
        "customAttributes",
    }
    assert b"activationRecovery" not in msgspec.json.encode(ActivationLayer2Response("", "", ""))
