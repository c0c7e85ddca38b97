from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from ringback.devices import MacTokenCheck, MacTokenOutcome
from ringback.devices.schema import ChangeRegistration, PushTokenObject
from ringback.errors import EncryptionFailed, SignatureInvalid, SignatureTypeInvalid
from tests.devices.conftest import BANK, OTHER, Room
from tests.devices.phone import TestPhone


async def check(room: Room, phone: TestPhone, **header: object) -> MacTokenOutcome:
    made = phone.token_header(**header)  # type: ignore[arg-type]
    return await room.store.write(room.devices.check_mac_token, MacTokenCheck(made))


@pytest.fixture
async def phone(room: Room) -> TestPhone:
    """An active phone with a MAC token made with possession."""
    phone = await room.active_phone()
    await room.mac_token(phone)
    return phone


async def test_a_mac_token_is_valid_and_remembers_its_factors(room: Room, phone: TestPhone) -> None:
    assert await check(room, phone) == MacTokenOutcome(
        valid=True,
        registration_id=phone.id,
        user_id="jan",
        app_id="bank",
        status="ACTIVE",
        signature_type="possession",
        proven=True,
    )
    await room.mac_token(phone, "possession_biometry")
    assert (await check(room, phone)).signature_type == "possession_biometry"


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2", "3.3"])
async def test_digests_of_every_version(room: Room, phone: TestPhone, version: str) -> None:
    assert (await check(room, phone, version=version)).valid


@pytest.mark.parametrize(
    ("seconds", "valid"), [(0, True), (-7200, True), (-7200.001, False), (1800, True), (1800.001, False)]
)
async def test_the_timestamp_may_be_two_hours_old_and_half_an_hour_early(
    room: Room, phone: TestPhone, seconds: float, valid: bool
) -> None:
    timestamp = room.clock.now_ms() + round(seconds * 1000)
    assert (await check(room, phone, timestamp_ms=timestamp)).valid is valid


async def test_a_header_is_valid_once_until_it_is_too_old(room: Room, phone: TestPhone) -> None:
    early = MacTokenCheck(phone.token_header(timestamp_ms=room.clock.now_ms() + 1_800_000))
    outcomes = await asyncio.gather(*(room.store.write(room.devices.check_mac_token, early) for _ in range(20)))
    assert [outcome.valid for outcome in outcomes].count(True) == 1
    room.clock.advance(1800 + 7200)
    await room.store.write(room.devices.purge, 1000)
    assert not (await room.store.write(room.devices.check_mac_token, early)).valid
    room.clock.advance(0.001)
    await room.store.write(room.devices.purge, 1000)
    assert not (await room.store.write(room.devices.check_mac_token, early)).valid


async def test_nonces_of_different_mac_tokens_do_not_meet(room: Room, phone: TestPhone) -> None:
    second = room.phone()
    second.__dict__.update(phone.__dict__)
    await room.mac_token(second)
    first = phone.token_header()
    assert second.mac_token is not None
    other = msgspec.structs.replace(second.token_header(), nonce=first.nonce)
    assert (await room.store.write(room.devices.check_mac_token, MacTokenCheck(first))).valid
    # Another MAC token with the same nonce is refused for its digest only, not as a replay.
    outcome = await room.store.write(room.devices.check_mac_token, MacTokenCheck(other))
    assert (outcome.valid, outcome.registration_id) == (False, phone.id)


@pytest.mark.parametrize("field", ["token_digest", "nonce", "timestamp", "token_id"])
async def test_every_field_counts(room: Room, phone: TestPhone, field: str) -> None:
    header = phone.token_header()
    changed = {
        "token_digest": bytes(32),
        "nonce": bytes(16),
        "timestamp": str(header.timestamp_ms + 1),
        "token_id": "unknown",
    }[field]
    bad = msgspec.structs.replace(header, **{field: changed})
    assert not (await room.store.write(room.devices.check_mac_token, MacTokenCheck(bad))).valid
    # The right header was not used up by the wrong one.
    assert (await room.store.write(room.devices.check_mac_token, MacTokenCheck(header))).valid


async def test_a_blocked_phone_proves_nothing(room: Room, phone: TestPhone) -> None:
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="BLOCK"))
    outcome = await check(room, phone)
    assert (outcome.valid, outcome.status) == (False, "BLOCKED")


async def test_a_mac_token_of_another_app_is_an_unknown_one(room: Room, phone: TestPhone) -> None:
    header = phone.token_header()
    unknown = MacTokenCheck(msgspec.structs.replace(header, token_id="unknown"))
    seen = await room.store.write(room.devices.verify_mac_token, OTHER, MacTokenCheck(header))
    assert seen == await room.store.write(room.devices.verify_mac_token, OTHER, unknown)
    assert (await room.store.write(room.devices.verify_mac_token, BANK, MacTokenCheck(header))).valid


async def test_a_mac_token_is_removed_by_its_own_phone_only(room: Room, phone: TestPhone) -> None:
    stranger = await room.active_phone("eva")
    assert phone.mac_token is not None
    token_id = phone.mac_token[0]
    for who, left in ((stranger, True), (phone, False)):
        header = who.sign("POST", "/pa/token/remove", b"{}", "possession")
        assert (await room.store.write(room.devices.remove_mac_token, header, b"{}", token_id)).valid
        assert (await check(room, phone)).valid is left


# token/create


async def test_a_wrong_signature_gets_no_mac_token_and_counts(room: Room) -> None:
    phone = await room.active_phone()
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True))
    header = phone.sign("POST", "/pa/token/create", body, wrong=True)
    with pytest.raises(SignatureInvalid):
        await room.devices.create_mac_token(room.store, header, body)
    assert (await room.registration(phone.id)).failed_attempts == 1


async def test_a_broken_envelope_gets_no_mac_token_but_moves_the_counter(room: Room) -> None:
    phone = await room.active_phone()
    for body in (b"{}", b"", b"\xff"):
        header = phone.sign("POST", "/pa/token/create", body)
        with pytest.raises(EncryptionFailed):
            await room.devices.create_mac_token(room.store, header, body)
    assert (await room.registration(phone.id)).ctr == 3


async def test_a_replayed_envelope_under_a_new_signature_is_refused(room: Room) -> None:
    phone = await room.active_phone()
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True))
    header = phone.sign("POST", "/pa/token/create", body)
    await room.devices.create_mac_token(room.store, header, body)
    with pytest.raises(SignatureInvalid):
        await room.devices.create_mac_token(room.store, header, body)
    again = phone.sign("POST", "/pa/token/create", body)
    with pytest.raises(EncryptionFailed):
        await room.devices.create_mac_token(room.store, again, body)


async def test_knowledge_alone_makes_no_mac_token(room: Room) -> None:
    phone = await room.active_phone()
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True))
    with pytest.raises(SignatureTypeInvalid):
        await room.devices.create_mac_token(room.store, phone.sign("POST", "/pa/token/create", body, "knowledge"), body)


async def test_a_foreign_application_key_makes_no_mac_token(room: Room) -> None:
    phone = await room.active_phone()
    body, _ = phone.mac_token_request(await room.temporary_key(phone, activation=True))
    key = base64.b64encode(bytes(16)).decode()
    header = phone.sign("POST", "/pa/token/create", body, application_key=key)
    with pytest.raises(SignatureInvalid):
        await room.devices.create_mac_token(room.store, header, body)


# push tokens


async def register(room: Room, phone: TestPhone, platform: str, push_token: str, **more: str) -> MacTokenOutcome:
    push = PushTokenObject(platform=platform, token=push_token, **more)  # type: ignore[arg-type]
    return await room.store.write(room.devices.register_push_token, MacTokenCheck(phone.token_header()), push)


async def targets(room: Room, user_id: str = "jan") -> list[tuple[str | None, str | None, str | None]]:
    found = await room.store.read(room.devices.push_targets, user_id)
    return [(one.registration_id, one.kind, one.push_token) for one in found if one.push_token_id is not None]


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("ios", "apns"), ("apns", "apns"), ("android", "fcm"), ("fcm", "fcm"), ("huawei", "hms"), ("hms", "hms")],
)
async def test_old_and_new_names_of_providers(room: Room, phone: TestPhone, platform: str, kind: str) -> None:
    assert (await register(room, phone, platform, "T1", environment="development")).valid
    assert await targets(room) == [(phone.id, kind, "T1")]


async def test_a_newer_push_token_takes_the_place(room: Room, phone: TestPhone) -> None:
    await register(room, phone, "ios", "T1")
    await register(room, phone, "apns", "T2")
    await register(room, phone, "fcm", "T3")
    assert await targets(room) == [(phone.id, "apns", "T2"), (phone.id, "fcm", "T3")]


async def test_a_push_token_moves_to_its_new_owner(room: Room, phone: TestPhone) -> None:
    second = await room.active_phone("eva")
    await room.mac_token(second)
    await register(room, phone, "ios", "T1")
    await register(room, second, "ios", "T1")
    assert (await targets(room), await targets(room, "eva")) == ([], [(second.id, "apns", "T1")])


async def test_the_local_provider_reaches_each_phone_by_its_registration(room: Room, phone: TestPhone) -> None:
    second = await room.active_phone("eva")
    await room.mac_token(second)
    for who in (phone, second):
        await register(room, who, "local", "local")
    assert await targets(room) == [(phone.id, "local", phone.id)]
    assert await targets(room, "eva") == [(second.id, "local", second.id)]


async def test_targets_are_all_that_may_explain_why_nobody_was_reached(room: Room, phone: TestPhone) -> None:
    room.clock.advance(1)  # ids rise with the time
    second = await room.active_phone("jan")

    async def told() -> list[tuple[str, str | None, str | None, str | None, bool | None]]:
        found = await room.store.read(room.devices.push_targets, "jan")
        return [(one.app_id, one.registration_id, one.status, one.kind, one.suspended) for one in found]

    await register(room, phone, "local", "-")
    assert await told() == [
        ("bank", phone.id, "ACTIVE", "local", False),
        ("bank", second.id, "ACTIVE", None, None),
    ]
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="BLOCK"))
    assert (await told())[0] == ("bank", phone.id, "BLOCKED", "local", True)
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="UNBLOCK"))
    assert (await told())[0] == ("bank", phone.id, "ACTIVE", "local", False)
    await room.store.write(room.devices.change_registration, BANK, phone.id, ChangeRegistration(change="REMOVE"))
    assert await told() == [("bank", second.id, "ACTIVE", None, None)]
    assert await room.store.read(room.devices.push_targets, "nobody") == []


async def test_without_a_valid_mac_token_nothing_is_registered(room: Room, phone: TestPhone) -> None:
    stale = MacTokenCheck(phone.token_header(timestamp_ms=0))
    push = PushTokenObject(platform="local", token="-")
    assert not (await room.store.write(room.devices.register_push_token, stale, push)).valid
    assert await targets(room) == []


async def test_a_phone_that_makes_many_mac_tokens_loses_the_oldest(
    room: Room, phone: TestPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.devices.mac_tokens.MOST_PER_PHONE", 3)
    other = await room.active_phone("eva")
    await room.mac_token(other)
    made = [phone.mac_token]
    for _ in range(4):
        room.clock.advance(0.001)
        await room.mac_token(phone)
        made.append(phone.mac_token)
    valid = []
    for phone.mac_token in made:
        valid.append((await check(room, phone)).valid)
    assert valid == [False, False, True, True, True]
    assert (await check(room, other)).valid
    assert (await room.actions()).count("mac_token.remove") == 2
