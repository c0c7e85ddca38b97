"""What phones tell of their push tokens: kinds, environments, languages, subscriptions, and what becomes of them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json

import pytest

from ringback.devices.push_tokens import write_again
from ringback.errors import UniqueViolation
from ringback.push import PushToken
from ringback.store import Store, Tx
from tests.devices.phone import TestPhone
from tests.devices.test_api import REGISTRATIONS, active_phone, mac_token
from tests.devices.test_push_registration import by_signature, by_token, push
from tests.protocols.test_web_push import AUTH, ENDPOINT, P256DH
from tests.served import Answer, Served

APNS, VOIP = "0a1b2c3d" * 8, "9f8e7d6c" * 8


async def kept(served: Served, phone: TestPhone) -> list[PushToken]:
    async def read(tx: Tx) -> list[PushToken]:
        return [one for one in await served.rooms.push.tokens.of_user(tx, "jan") if one.registration_id == phone.id]

    return sorted(await served.installation.store.read(read), key=lambda one: one.kind)


def subscription(endpoint: str = ENDPOINT, p256dh: str = P256DH, auth: str = AUTH) -> str:
    keys = {"p256dh": p256dh, "auth": auth}
    return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys}, indent=1)


async def test_a_phone_has_a_push_token_of_each_kind(served: Served) -> None:
    phone = await active_phone(served)
    await mac_token(served, phone)
    for platform, more in (
        ("apns", {"environment": "development"}),
        ("apns-voip", {"environment": "production"}),
        ("android", {}),
        ("webpush", {}),
        ("local", {}),
    ):
        told = {"webpush": subscription(), "apns": APNS, "apns-voip": VOIP}.get(platform, f"token-of-{platform}")
        answer = await by_token(served, phone, push(told, **{"platform": platform, **more}))
        assert answer.body == {"status": "OK"}, platform
    found = {one.kind: (one.push_token, one.environment, one.suspended) for one in await kept(served, phone)}
    canonical = json.dumps(
        {"endpoint": ENDPOINT, "keys": {"p256dh": P256DH, "auth": AUTH}}, separators=(",", ":")
    )  # fmt: skip
    assert found == {
        "apns": (APNS, "development", False),
        "apns-voip": (VOIP, "production", False),
        "fcm": ("token-of-android", None, False),
        "local": (phone.id, None, False),
        "webpush": (canonical, None, False),
    }


async def test_one_subscription_is_one_push_token_however_it_is_written(served_sqlite: Served) -> None:
    first, second = await active_phone(served_sqlite), await active_phone(served_sqlite)
    assert (await by_signature(served_sqlite, first, push(subscription(), platform="webpush"))).status == 200
    padded = subscription(p256dh=P256DH + "=", auth=AUTH + "==")
    assert (await by_signature(served_sqlite, second, push(padded, platform="webpush"))).status == 200
    assert await kept(served_sqlite, first) == []
    assert len(await kept(served_sqlite, second)) == 1


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ("no JSON", "requestObject.token"),
        ("[]", "requestObject.token"),
        ('{"endpoint": "https://push.example.net/x"}', "requestObject.token.keys"),
        (subscription("http://push.example.net/x"), "requestObject.token.endpoint"),
        (subscription("https://127.0.0.1/x"), "requestObject.token.endpoint"),
        (subscription("https://10.1.2.3/x"), "requestObject.token.endpoint"),
        (subscription("https://[::1]/x"), "requestObject.token.endpoint"),
        (subscription("https://0x7f.1/x"), "requestObject.token.endpoint"),
        (subscription("https://169.254.169.254/latest"), "requestObject.token.endpoint"),
        (subscription("https://push.example.net:22/x"), "requestObject.token.endpoint"),
        (subscription("https://me@push.example.net/x"), "requestObject.token.endpoint"),
        (subscription(p256dh=P256DH[:-4]), "requestObject.token.keys.p256dh"),
        (subscription(auth="AAAA"), "requestObject.token.keys.auth"),
    ],
)
async def test_a_bad_subscription_is_refused_by_the_name_of_its_member(
    served_sqlite: Served, told: str, field: str
) -> None:
    phone = await active_phone(served_sqlite)
    answer = await by_signature(served_sqlite, phone, push(told, platform="webpush"))
    assert (answer.status, answer.body["responseObject"]["code"]) == (400, "INVALID_REQUEST")
    assert [one["fieldName"] for one in answer.body["responseObject"]["violations"]] == [field]
    assert await kept(served_sqlite, phone) == []


async def test_one_push_token_of_apns_is_one_however_it_is_written(served_sqlite: Served) -> None:
    first, second = await active_phone(served_sqlite), await active_phone(served_sqlite)
    for platform in ("apns", "apns-voip", "ios"):
        assert (await by_signature(served_sqlite, first, push(APNS, platform=platform))).status == 200
        assert (await by_signature(served_sqlite, second, push(APNS.upper(), platform=platform))).status == 200
        assert await kept(served_sqlite, first) == []
        assert {one.push_token for one in await kept(served_sqlite, second)} == {APNS}


async def test_the_push_token_that_the_documentation_shows(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    documented = push("10de0b9c-791f-4e9f-93c4-e2203951c307", platform="ios")
    assert (await by_signature(served_sqlite, phone, documented)).body == {"status": "OK"}
    assert [one.push_token for one in await kept(served_sqlite, phone)] == ["10de0b9c791f4e9f93c4e2203951c307"]


async def test_a_made_up_push_token_of_apns_is_left_to_apns(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    for told in ("T1", "test-token-of-Alice", "g" * 64):
        assert (await by_signature(served_sqlite, phone, push(told, platform="ios"))).body == {"status": "OK"}
        assert [one.push_token for one in await kept(served_sqlite, phone)] == [told]


@pytest.mark.parametrize(
    ("platforms", "bad"),
    [
        (
            ("apns", "apns-voip", "ios"),
            ("", f"<{APNS}>", "ab" * 257, f"{APNS}\n", f"{APNS}/../x", f"{APNS}?x", f"{APNS}%20"),
        ),
        (
            ("fcm", "android", "hms"),
            ("a b", " ab", "ab\n", "a\tb", "a\x7fb", "\N{LATIN SMALL LETTER E WITH ACUTE}", "x" * 4097),
        ),
    ],
)
async def test_what_cannot_be_a_push_token_is_refused(
    served_sqlite: Served, platforms: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    phone = await active_phone(served_sqlite)
    for platform, told in itertools.product(platforms, bad):
        answer = await by_signature(served_sqlite, phone, push(told, platform=platform))
        assert (answer.status, answer.body["responseObject"]["code"]) == (400, "INVALID_REQUEST"), (platform, told)
        assert [one["fieldName"] for one in answer.body["responseObject"]["violations"]] == ["requestObject.token"]
    assert await kept(served_sqlite, phone) == []


async def test_the_key_of_a_push_token(served: Served) -> None:
    phone = await active_phone(served)
    good = base64.b64encode(bytes(32)).decode()

    async def tell(key: object, platform: str = "fcm") -> Answer:
        return await by_signature(served, phone, push("T", platform=platform, encryptionKey=key))

    async def has_key() -> list[bool]:
        return [one.encryption_key_sealed is not None for one in await kept(served, phone)]

    for key, encrypted in (
        (None, False),
        (good, True),
        (None, True),
        ("", False),
        (f" {good[:20]}\r\n{good[20:]}", True),
    ):
        assert (await tell(key)).body == {"status": "OK"}
        assert await has_key() == [encrypted]
    short = base64.b64encode(bytes(31)).decode()
    for wrong in (short, base64.b64encode(bytes(33)).decode(), bytes(32).hex(), "%", " ", good[:-1], 7, "A" * 256):
        answer = await tell(wrong)
        assert (answer.status, answer.body["responseObject"]["code"]) == (400, "INVALID_REQUEST"), wrong
        named = [one["fieldName"] for one in answer.body["responseObject"]["violations"]]
        assert named == ["requestObject.encryptionKey"]
        assert await has_key() == [True]
    by_hand = await tell(good, "local")
    assert by_hand.body["responseObject"]["violations"][0]["fieldName"] == "requestObject.encryptionKey"
    assert (await tell("", "local")).status == 200


async def test_an_unknown_platform_is_refused(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    for platform in ("APNS", "gcm", "", "apns:dev"):
        answer = await by_signature(served_sqlite, phone, push("x", platform=platform))
        assert answer.body["responseObject"]["violations"][0]["fieldName"] == "requestObject.platform"
    assert await kept(served_sqlite, phone) == []


async def test_the_language_that_the_phone_asks_for_is_kept(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    await mac_token(served_sqlite, phone)
    for header, language in (({"Accept-Language": "cs-CZ, en;q=0.5"}, "cs"), ({}, None)):
        assert (await by_token(served_sqlite, phone, push("T"), **header)).status == 200
        assert [one.language for one in await kept(served_sqlite, phone)] == [language]


async def test_blocked_phones_are_not_reached_and_removed_ones_forgotten(served: Served) -> None:
    phone = await active_phone(served)
    await by_signature(served, phone, push("T"))
    for change, suspended in (("BLOCK", [True]), ("UNBLOCK", [False]), ("BLOCK", [True]), ("REMOVE", [])):
        assert (await served.call("PUT", f"{REGISTRATIONS}/{phone.id}", {"change": change})).status == 200
        assert [one.suspended for one in await kept(served, phone)] == suspended


async def test_many_phones_tell_the_same_push_token_at_once(served: Served) -> None:
    phones = [await active_phone(served) for _ in range(4)]
    for phone in phones:
        await mac_token(served, phone)
    for _ in range(4):
        answers = await asyncio.gather(*(by_token(served, phone, push("SAME")) for phone in phones))
        assert [one.status for one in answers] == [200] * 4
        assert len([phone for phone in phones if await kept(served, phone)]) == 1


async def test_a_phone_that_comes_too_late_again_and_again_is_told_so(store: Store) -> None:
    attempts = 0

    async def too_late(_: Tx) -> None:
        nonlocal attempts
        attempts += 1
        raise UniqueViolation

    with pytest.raises(UniqueViolation):
        await write_again(store, too_late)
    assert attempts == 4


async def test_a_dead_push_token_is_audited_for_its_phone(served: Served) -> None:
    phone = await active_phone(served)
    await by_signature(served, phone, push("T"))
    (found,) = await kept(served, phone)
    assert await served.installation.store.write(served.rooms.push.tokens.died, found.id, "T", None)
    assert await kept(served, phone) == []
    entry = (await served.call("GET", f"/api/v1/audit?subjectId={phone.id}")).body["items"][0]
    assert (entry["action"], entry["appId"], entry["details"]) == ("push_token.died", "bank", {"kind": "fcm"})
