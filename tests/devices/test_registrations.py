from __future__ import annotations

import asyncio
import base64

import pytest

from ringback.devices import MacTokenCheck
from ringback.devices.schema import ChangeRegistration, CommitRegistration, CreateRegistration, DeleteRegistration
from ringback.errors import (
    ActivationInvalid,
    AppNotFound,
    InvalidRequest,
    RegistrationChangeRefused,
    RegistrationNotAllowed,
    RegistrationNotFound,
)
from ringback.principal import Principal
from ringback.protocols.powerauth.activation_code import parse_qr, verify_activation_code
from ringback.protocols.powerauth.fingerprint import activation_fingerprint
from tests.devices.conftest import BANK, OTHER, Room, make_room
from tests.devices.phone import TestPhone


async def commit(room: Room, registration_id: str, principal: Principal = BANK) -> object:
    return await room.store.write(room.devices.commit_registration, principal, registration_id, CommitRegistration())


async def change(room: Room, registration_id: str, what: str, reason: str | None = None) -> object:
    command = ChangeRegistration(change=what, block_reason=reason, external_user_id="anna")  # type: ignore[arg-type]
    return await room.store.write(room.devices.change_registration, BANK, registration_id, command)


async def cancel(room: Room, registration_id: str) -> object:
    return await room.store.write(room.devices.cancel_registration, BANK, registration_id, DeleteRegistration("anna"))


async def in_status(room: Room, status: str) -> str:
    """A registration in this status."""
    created = await room.create()
    if status == "CREATED":
        return created.registration_id
    await room.activate(room.phone(), created.activation_code)
    if status == "PENDING_COMMIT":
        return created.registration_id
    await commit(room, created.registration_id)
    if status != "ACTIVE":
        await change(room, created.registration_id, {"BLOCKED": "BLOCK", "REMOVED": "REMOVE"}[status])
    return created.registration_id


async def test_a_new_registration_has_a_code_signed_by_the_app(room: Room) -> None:
    created = await room.create(flags=["vip"])
    code, signature = parse_qr(created.activation_qr_code_data)
    assert code == created.activation_code
    assert signature == base64.b64decode(created.activation_code_signature)
    assert signature is not None
    assert verify_activation_code(room.phone().master_key, code, signature)
    stored = await room.registration(created.registration_id)
    assert (stored.status, stored.flags, stored.expires_at - stored.created_at) == ("CREATED", ("vip",), 120_000)


async def test_the_detail_shows_code_then_fingerprint_then_neither(room: Room) -> None:
    created = await room.create()
    detail = await room.devices.look(room.store, room.devices.registration_detail, BANK, created.registration_id)
    assert (detail.user_id, detail.registration_status) == ("jan", "CREATED")
    assert detail.activation_code == created.activation_code
    assert detail.activation_qr_code_data is not None
    phone = room.phone()
    await room.activate(phone, created.activation_code)
    detail = await room.devices.look(room.store, room.devices.registration_detail, BANK, phone.id)
    assert phone.server_key is not None
    expected = activation_fingerprint(phone.device_key.public_key(), phone.id, phone.server_key)
    assert (detail.registration_status, detail.activation_fingerprint) == ("PENDING_COMMIT", expected)
    assert (detail.name, detail.platform, detail.device_info) == ("Jan's phone", "ios", "iPhone17,1")
    assert detail.activation_code is None
    await commit(room, phone.id)
    detail = await room.devices.look(room.store, room.devices.registration_detail, BANK, phone.id)
    assert (detail.registration_status, detail.activation_fingerprint) == ("ACTIVE", None)


async def test_the_list_leaves_out_removed_ones_and_other_apps(room: Room) -> None:
    first, second = (await room.create()).registration_id, (await room.create()).registration_id
    foreign = (await room.create(app_id="other")).registration_id
    await change(room, first, "REMOVE")

    async def listed(principal: Principal, *, removed: bool) -> set[str]:
        found = await room.devices.look(room.store, room.devices.list_registrations, principal, "jan", removed)
        return {item.registration_id for item in found}

    assert await listed(BANK, removed=False) == {second}
    assert await listed(BANK, removed=True) == {first, second}
    assert await listed(OTHER, removed=True) == {foreign}
    assert await listed(Principal("system_user", "nobody", "integration"), removed=True) == set()


@pytest.mark.parametrize("status", ["CREATED", "PENDING_COMMIT", "ACTIVE", "BLOCKED", "REMOVED"])
async def test_what_each_status_admits(room: Room, status: str) -> None:
    actions = {
        "commit": lambda id_: commit(room, id_),
        "delete": lambda id_: cancel(room, id_),
        "BLOCK": lambda id_: change(room, id_, "BLOCK", "stolen"),
        "UNBLOCK": lambda id_: change(room, id_, "UNBLOCK"),
        "REMOVE": lambda id_: change(room, id_, "REMOVE"),
    }
    expected = {
        "CREATED": {"delete": "REMOVED", "REMOVE": "REMOVED"},
        "PENDING_COMMIT": {"commit": "ACTIVE", "delete": "REMOVED", "REMOVE": "REMOVED"},
        "ACTIVE": {"BLOCK": "BLOCKED", "UNBLOCK": "ACTIVE", "REMOVE": "REMOVED"},
        "BLOCKED": {"BLOCK": "BLOCKED", "UNBLOCK": "ACTIVE", "REMOVE": "REMOVED"},
        "REMOVED": {},
    }[status]
    for name, act in actions.items():
        registration_id = await in_status(room, status)
        if name in expected:
            assert await act(registration_id) is None
            assert await room.status(registration_id) == expected[name]
        else:
            with pytest.raises(RegistrationChangeRefused):
                await act(registration_id)
            assert await room.status(registration_id) == status


async def test_block_and_unblock_keep_and_clear_the_reason(room: Room) -> None:
    phone = await room.active_phone()
    await change(room, phone.id, "BLOCK", "stolen")
    blocked = await room.registration(phone.id)
    assert (blocked.blocked_reason, blocked.external_user_id) == ("stolen", "anna")
    await change(room, phone.id, "BLOCK", "lost")
    assert await room.registration(phone.id) == blocked
    await change(room, phone.id, "UNBLOCK")
    assert (await room.registration(phone.id)).blocked_reason is None
    await change(room, phone.id, "BLOCK")
    assert (await room.registration(phone.id)).blocked_reason == "NOT_SPECIFIED"
    details = await room.details("registration.block")
    assert {"from": "ACTIVE", "to": "BLOCKED", "blockedReason": "stolen", "externalUserId": "anna"} in details


async def test_another_apps_registration_is_as_unknown_everywhere(room: Room) -> None:
    phone = await room.active_phone()
    before, actions = await room.registration(phone.id), await room.actions()
    commands = {
        room.devices.commit_registration: CommitRegistration(),
        room.devices.change_registration: ChangeRegistration(change="REMOVE"),
        room.devices.cancel_registration: DeleteRegistration(),
    }
    for registration_id in (phone.id, "unknown", "nul\0"):
        for unit, command in commands.items():
            with pytest.raises(RegistrationNotFound):
                await room.store.write(unit, OTHER, registration_id, command)
        with pytest.raises(RegistrationNotFound):
            await room.devices.look(room.store, room.devices.registration_detail, OTHER, registration_id)
    with pytest.raises(AppNotFound):
        await room.store.write(
            room.devices.create_registration, OTHER, CreateRegistration(user_id="jan", app_id="bank")
        )
    assert (await room.registration(phone.id), await room.actions()) == (before, actions)


@pytest.mark.parametrize("status", ["CREATED", "PENDING_COMMIT"])
@pytest.mark.parametrize("access", ["commit", "delete", "detail", "list"])
async def test_a_registration_expires_on_access_to_the_millisecond(room: Room, status: str, access: str) -> None:
    registration_id = await in_status(room, status)
    room.clock.advance(119.999)
    await room.devices.look(room.store, room.devices.registration_detail, BANK, registration_id)
    assert await room.status(registration_id) == status
    room.clock.advance(0.001)
    if access == "detail":
        detail = await room.devices.look(room.store, room.devices.registration_detail, BANK, registration_id)
        assert (detail.registration_status, detail.activation_code) == ("REMOVED", None)
    elif access == "list":
        assert await room.devices.look(room.store, room.devices.list_registrations, BANK, "jan", False) == []
    else:
        act = commit if access == "commit" else cancel
        assert await act(room, registration_id) is RegistrationChangeRefused
    assert await room.status(registration_id) == "REMOVED"
    assert (await room.actions()).count("registration.expire") == 1


async def test_an_expired_code_activates_nothing(room: Room) -> None:
    created = await room.create()
    room.clock.advance(119.999)
    key = await room.temporary_key(room.phone())
    assert key.key_id
    room.clock.advance(0.001)
    with pytest.raises(ActivationInvalid):
        await room.activate(room.phone(), created.activation_code)
    assert await room.status(created.registration_id) == "REMOVED"


async def test_the_job_expires_in_batches_and_leaves_the_others(room: Room) -> None:
    for _ in range(3):
        await room.create()
    phone = await room.active_phone()
    room.clock.advance(100)
    young = (await room.create()).registration_id
    room.clock.advance(20)
    counts = [await room.store.write(room.devices.expire_registrations, 2) for _ in range(3)]
    assert counts == [2, 1, 0]
    assert (await room.status(phone.id), await room.status(young)) == ("ACTIVE", "CREATED")
    assert [event.status for event in room.published].count("REMOVED") == 3


async def test_only_one_in_progress(room: Room) -> None:
    command = CreateRegistration(user_id="jan", app_id="bank")

    async def create(command: CreateRegistration = command) -> object:
        return await room.store.write(room.devices.create_only_registration, BANK, command)

    await create()
    with pytest.raises(RegistrationNotAllowed):
        await create()
    await create(CreateRegistration(user_id="eva", app_id="bank"))
    await room.create()
    room.clock.advance(120)
    await create()


async def test_only_one_of_many_at_once(room: Room) -> None:
    command = CreateRegistration(user_id="jan", app_id="bank")
    results = await asyncio.gather(
        *(room.store.write(room.devices.create_only_registration, BANK, command) for _ in range(10)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, RegistrationNotAllowed)]
    assert len(refused) == 9


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"otp_validation": "ON_KEY_EXCHANGE"}, "otp"),
        ({"otp_validation": "ON_COMMIT", "commit_phase": "ON_COMMIT"}, "commitPhase"),
        ({"timestamp_registration_expire": 1_800_000_000_000}, "timestampRegistrationExpire"),
    ],
)
async def test_what_is_not_possible_is_refused_by_name(room: Room, fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await room.create(**fields)
    assert [violation.field_name for violation in refused.value.violations] == [named]


async def test_a_time_of_expiry_of_its_own(room: Room) -> None:
    created = await room.create(timestamp_registration_expire=room.clock.now_ms() + 1)
    await room.devices.look(room.store, room.devices.registration_detail, BANK, created.registration_id)
    room.clock.advance(0.001)
    assert await room.store.write(room.devices.expire_registrations, 10) == 1


async def test_a_removed_phone_loses_its_mac_tokens(room: Room) -> None:
    phone: TestPhone = await room.active_phone()
    await room.mac_token(phone)
    await change(room, phone.id, "REMOVE")
    outcome = await room.store.write(room.devices.check_mac_token, MacTokenCheck(phone.token_header()))
    assert (outcome.valid, outcome.status) == (False, "REMOVED")


async def test_limits_come_from_outside(room: Room) -> None:
    strict = make_room(room.store, room.clock, max_failed_attempts=1, activation_validity_seconds=5)
    strict.devices._registrations._apps = room.devices._apps
    command = CreateRegistration(user_id="jan", app_id="bank")
    created = await room.store.write(strict.devices.create_registration, BANK, command)
    stored = await room.registration(created.registration_id)
    assert (stored.max_failed_attempts, stored.expires_at - stored.created_at) == (1, 5000)
