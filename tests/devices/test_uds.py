"""UDS devices: a person tells by password where its phones are reached."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from ringback.push import PushToken
from ringback.store import Tx
from tests.contract.uds_guide import ANDROID, IOS, filled
from tests.devices.uds import APNS_TOKEN, FIRST, KEY, PASSWORD, PKID, Person, token
from tests.protocols.test_uds_token import BAD_DOCUMENTS, BAD_FIELDS
from tests.served import Login, Served

SHOWN = {
    "pushNotifyToken": APNS_TOKEN,
    "pushChannelType": "APNS",
    "algorithm": "A256GCM",
    "application": "bank",
    "payloadVersion": "V2",
    "encrypted": "true",
}


@pytest.fixture
async def jan(served: Served) -> Person:
    return await Person.create(served, "jan")


async def kept(served: Served, user_id: str = "jan") -> list[PushToken]:
    async def read(tx: Tx) -> list[PushToken]:
        return await served.rooms.push.tokens.of_user(tx, user_id)

    return sorted(await served.installation.store.read(read), key=lambda one: one.device_pkid or "")


async def audited(served: Served, subject_id: str = PKID) -> list[dict[str, Any]]:
    answer = await served.call("GET", f"/api/v1/audit?subjectId={subject_id}")
    return list(reversed(answer.body["items"]))


def key_of(served: Served, push_token: PushToken) -> bytes | None:
    return served.rooms.push.tokens.encryption_key(push_token.id, push_token.encryption_key_sealed)


def shown(fields: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if name != "registeredAt"}


async def test_a_device_is_told_shown_and_deleted(jan: Person) -> None:
    assert (await jan.ask("GET")).status == 404
    put = await jan.put(FIRST)
    assert put.status == 200
    assert put.headers["Content-Type"] == "application/xml"
    assert shown(put.token) == SHOWN
    (push_token,) = await kept(jan.served)
    assert (push_token.kind, push_token.environment, push_token.app_id) == ("apns-voip", "production", "bank")
    assert (push_token.device_pkid, push_token.registration_id) == (PKID, None)
    assert key_of(jan.served, push_token) == KEY
    got = await jan.ask("GET")
    assert (got.status, got.token) == (200, put.token)
    assert base64.b64encode(KEY) not in got.content
    deleted = await jan.ask("DELETE")
    assert (deleted.status, deleted.content) == (204, b"")
    assert await kept(jan.served) == []
    assert (await jan.ask("GET")).refusal == (404, None)
    assert (await jan.ask("DELETE")).status == 204, "a phone may sign out twice"
    rows = await audited(jan.served)
    assert [(one["principalKind"], one["principalName"], one["action"], one["details"]) for one in rows] == [
        (
            "user",
            "jan",
            "push_token.register",
            {"kind": "apns-voip", "environment": "production", "encrypted": True},
        ),
        ("user", "jan", "push_token.remove", {"kind": "apns-voip"}),
    ]


async def test_what_is_shown_can_be_sent_back(jan: Person) -> None:
    put = await jan.put(FIRST)
    again = await jan.ask("PUT", body=put.content)
    assert (again.status, shown(again.token)) == (200, SHOWN)
    assert key_of(jan.served, (await kept(jan.served))[0]) == KEY


async def test_the_guides_for_apps_are_followed_to_the_letter(jan: Person) -> None:
    values = {"push_token": APNS_TOKEN, "key": FIRST["key"], "application": "bank"}
    for printed, kind in ((IOS, "apns-voip"), (ANDROID, "fcm")):
        body = filled(printed, **values)
        for content_type in (
            "application/xml",
            "text/xml",
            'application/xml; charset="utf-8"',
            "text/xml;charset=UTF-8",
        ):
            assert (await jan.ask("PUT", body=body, Content_Type=content_type)).status == 200
        assert [one.kind for one in await kept(jan.served)] == [kind]
    # The words in the places of the values are no values: each is named in turn.
    assert (await jan.ask("PUT", body=IOS.encode())).refusal == (400, "key")
    assert (await jan.ask("PUT", body=filled(IOS, key=FIRST["key"]))).refusal == (400, "pushNotifyToken")
    without_app = filled(IOS, key=FIRST["key"], push_token=APNS_TOKEN)
    assert (await jan.ask("PUT", body=without_app)).refusal == (400, "application")


async def test_channel_types_lead_to_kinds_and_environments(jan: Person) -> None:
    for channel, expected in (
        ("APNS:dev", ("apns-voip", "development")),
        ("APNS", ("apns-voip", "production")),
        ("FCM", ("fcm", None)),
    ):
        put = await jan.put({**FIRST, "pushChannelType": channel})
        assert (put.status, put.token["pushChannelType"]) == (200, channel)
        assert [(one.kind, one.environment) for one in await kept(jan.served)] == [expected]


async def test_absent_elements_stay_and_empty_ones_get_their_default(jan: Person) -> None:
    await jan.put(FIRST)
    assert shown((await jan.put({"pushChannelType": "APNS:dev"})).token) == {**SHOWN, "pushChannelType": "APNS:dev"}
    other = "ef" * 32
    assert (await jan.put({"pushNotifyToken": other.upper()})).token["pushNotifyToken"] == other
    assert key_of(jan.served, (await kept(jan.served))[0]) == KEY
    assert (await jan.put({"algorithm": "", "payloadVersion": ""})).status == 200
    assert (await jan.put({"key": ""})).token["encrypted"] == "false"
    assert (await kept(jan.served))[0].encryption_key_sealed is None
    new_key = base64.b64encode(KEY[::-1]).decode()
    assert (await jan.put({"key": new_key})).token["encrypted"] == "true"
    assert key_of(jan.served, (await kept(jan.served))[0]) == KEY[::-1]
    before = await kept(jan.served)
    for name in ("pushNotifyToken", "pushChannelType", "application"):
        assert (await jan.put({name: ""})).refusal == (400, name)
    assert (await jan.put({"pushChannelType": "FCM"})).refusal == (400, "pushNotifyToken"), "another provider's"
    assert await kept(jan.served) == before


async def test_the_first_time_needs_all_that_has_no_default(jan: Person) -> None:
    for name in ("pushNotifyToken", "pushChannelType", "application"):
        assert (await jan.put({key: text for key, text in FIRST.items() if key != name})).refusal == (400, name)
    assert await kept(jan.served) == []
    without_key = {name: FIRST[name] for name in ("pushNotifyToken", "pushChannelType", "application")}
    assert (await jan.put(without_key)).token["encrypted"] == "false"


async def test_bad_input_is_refused_by_name_and_nothing_is_stored(served_sqlite: Served) -> None:
    jan = await Person.create(served_sqlite, "jan")
    for name, text in BAD_FIELDS:
        assert (await jan.put({**FIRST, name: text})).refusal == (400, name), (name, text)
    assert (await jan.put({**FIRST, "application": "no-such-app"})).refusal == (400, "application")
    assert (await jan.put({**FIRST, "pushNotifyToken": "not hexadecimal"})).refusal == (400, "pushNotifyToken")
    assert (await jan.put({**FIRST, "pushNotifyToken": "zz" * 32})).refusal == (400, "pushNotifyToken")
    for name, body in BAD_DOCUMENTS.items():
        assert (await jan.ask("PUT", body=body)).refusal == (400, "body"), name
    for content_type in ("application/json", "text/plain", "application/xml; charset=iso-8859-1", "application/xmlx"):
        refused = await jan.ask("PUT", body=token(FIRST), Content_Type=content_type)
        assert refused.refusal == (400, "Content-Type"), content_type
    assert (await jan.ask("PUT", body=b"x" * 300_000)).status == 413
    for pkid in ("x" * 129, "a%20b", "a%09b", "%C5%BE"):
        for method in ("PUT", "GET", "DELETE"):
            refused = await jan.ask(method, pkid, token(FIRST) if method == "PUT" else None)
            assert refused.refusal == (400, "devicePkid"), (method, pkid)
    assert (await jan.ask("GET", "a%00b")).status == 400
    assert await kept(served_sqlite) == []


async def test_a_uuid_names_the_same_device_however_it_is_written(jan: Person) -> None:
    await jan.put(FIRST)
    for written in (PKID.upper(), f"%7B{PKID}%7D", f"%7B{PKID.upper()}%7D"):
        assert (await jan.ask("GET", written)).status == 200
        assert (await jan.put({}, written)).status == 200
    assert [one.device_pkid for one in await kept(jan.served)] == [PKID]
    for other in ("SEP000001000003", "sep000001000003", "x" * 128, "!"):
        assert (await jan.put({**FIRST, "pushChannelType": "FCM", "pushNotifyToken": other}, other)).status == 200
    assert len(await kept(jan.served)) == 5


async def test_only_the_user_itself_may_ask(jan: Person) -> None:
    await jan.put(FIRST)
    eva = await Person.create(jan.served, "eva")
    bodies = {"PUT": token(FIRST), "GET": None, "DELETE": None}
    for method, body in bodies.items():
        answers = [await eva.ask(method, body=body, user_id=name) for name in ("jan", "nobody", "JAN", "root")]
        assert {one.status for one in answers} == {403}
        assert len({one.content for one in answers}) == 1, "nothing tells who exists"
    for login in (
        Login("jan", "wrong"),
        Login("nobody", PASSWORD),
        jan.served.admin,
        jan.served.integration,
    ):
        refused = await Person(jan.served, login).ask("GET", user_id="jan")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="Ringback", charset="UTF-8"'
    async with jan.served.session.get(f"{jan.served.public}/cucm-uds/user/jan/device/x/devicetoken") as anonymous:
        assert anonymous.status == 401
    foreign = await jan.ask("DELETE", Sec_Fetch_Site="cross-site")
    assert foreign.status == 403, "a page of another site has only the browser's memory of the password"
    assert len(await kept(jan.served)) == 1
    assert (await jan.served.call("GET", "/api/v1/users", auth=jan.login)).status == 401


async def test_a_disabled_or_forgotten_user_is_nobody(jan: Person) -> None:
    await jan.put(FIRST)
    admin, one = jan.served.admin, "/api/v1/users/jan"
    await jan.served.call("PUT", one, {"disabled": True}, auth=admin)
    assert [push_token.suspended for push_token in await kept(jan.served)] == [True]
    assert (await jan.put({})).status == 401
    await jan.served.call("PUT", one, {"disabled": False}, auth=admin)
    assert (await jan.put({})).status == 200
    assert [push_token.suspended for push_token in await kept(jan.served)] == [False]
    await jan.served.call("DELETE", one, auth=admin)
    assert (await jan.put({})).status == 401
    assert await kept(jan.served) == []


async def test_a_push_token_moves_to_whoever_tells_it_last(jan: Person) -> None:
    eva = await Person.create(jan.served, "eva")
    await jan.put(FIRST)
    moved = await eva.put({name: FIRST[name] for name in ("pushNotifyToken", "pushChannelType", "application")}, "e1")
    assert moved.token["encrypted"] == "false", "the key of another phone is not taken over"
    assert (await jan.ask("GET")).status == 404
    await eva.put(FIRST, "e2")
    assert [one.device_pkid for one in await kept(jan.served, "eva")] == ["e2"]
    # In another app, and as another kind, it is another push token.
    await jan.served.new_tenant("shop")
    assert (await jan.put({**FIRST, "application": "shop"})).status == 200
    assert (await jan.put({**FIRST, "pushChannelType": "FCM"}, "second")).status == 200
    assert len(await kept(jan.served)) == 2
    assert len(await kept(jan.served, "eva")) == 1


async def test_a_device_may_change_its_app(jan: Person) -> None:
    await jan.served.new_tenant("shop")
    await jan.put(FIRST)
    assert (await jan.put({"application": "shop"})).token["application"] == "shop"
    assert [(one.app_id, key_of(jan.served, one)) for one in await kept(jan.served)] == [("shop", KEY)]


async def test_a_dead_push_token_is_gone_and_audited(jan: Person) -> None:
    await jan.put(FIRST)
    (push_token,) = await kept(jan.served)
    store, died = jan.served.installation.store, jan.served.rooms.push.tokens.died
    assert await store.write(died, push_token.id, push_token.push_token, None)
    assert (await jan.ask("GET")).refusal == (404, None)
    last = (await audited(jan.served))[-1]
    assert (last["principalKind"], last["action"], last["userId"]) == ("job", "push_token.died", "jan")
    assert last["details"] == {"kind": "apns-voip"}
    assert (await jan.put(FIRST)).status == 200


async def test_many_phones_tell_the_same_push_token_at_once(served: Served) -> None:
    people = [await Person.create(served, name) for name in ("jan", "eva", "ota", "iva")]
    for _ in range(5):
        answers = await asyncio.gather(*(person.put(FIRST) for person in people))
        assert {one.status for one in answers} == {200}
        owners = [name for name in ("jan", "eva", "ota", "iva") if await kept(served, name)]
        assert len(owners) == 1


async def test_telling_and_deleting_at_once_leave_one_or_none(jan: Person) -> None:
    for _ in range(10):
        first, second, third = await asyncio.gather(jan.put(FIRST), jan.ask("DELETE"), jan.put(FIRST))
        assert (first.status, second.status, third.status) == (200, 204, 200)
        found = await kept(jan.served)
        assert len(found) <= 1
        assert (await jan.ask("GET")).status == (200 if found else 404)


async def test_telling_and_disabling_at_once_leave_nobody_reachable(jan: Person) -> None:
    admin, one = jan.served.admin, "/api/v1/users/jan"
    for number in range(8):
        disable = jan.served.call("PUT", one, {"disabled": True}, auth=admin)
        put, disabled = await asyncio.gather(jan.put({**FIRST, "pushChannelType": "FCM"}, f"d{number}"), disable)
        assert (put.status in {200, 401}, disabled.status) == (True, 200)
        assert all(push_token.suspended for push_token in await kept(jan.served))
        await jan.served.call("PUT", one, {"disabled": False}, auth=admin)


async def test_a_user_has_only_so_many_devices(jan: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message to the user goes to all of them, in one unit of work."""
    monkeypatch.setattr("ringback.devices.uds.MOST_DEVICES", 2)
    puts = await asyncio.gather(*(jan.put({**FIRST, "pushNotifyToken": f"{n:064x}"}, f"d{n}") for n in range(4)))
    assert sorted(one.refusal if one.status != 200 else (200, None) for one in puts) == [
        (200, None),
        (200, None),
        (400, "devicePkid"),
        (400, "devicePkid"),
    ]
    devices = [one.device_pkid or "" for one in await kept(jan.served)]
    assert (await jan.put({"pushChannelType": "APNS:dev"}, devices[0])).status == 200, "it is one of them"
    assert (await jan.ask("DELETE", devices[1])).status == 204
    assert (await jan.put({**FIRST, "pushNotifyToken": "ee" * 32}, "new")).status == 200


async def test_the_language_of_the_phone_is_kept(jan: Person) -> None:
    await jan.put(FIRST, Accept_Language="de-AT, en;q=0.5")
    assert [one.language for one in await kept(jan.served)] == ["de"]


async def test_wrong_passwords_are_limited(served_sqlite: Served) -> None:
    jan = await Person.create(served_sqlite, "jan")
    eva = await Person.create(served_sqlite, "eva")
    assert (await jan.ask("GET")).status == 404
    guesses = [await Person(served_sqlite, Login("jan", f"guess {n}")).ask("GET", user_id="jan") for n in range(11)]
    assert [one.status for one in guesses] == [401] * 10 + [429]
    assert guesses[-1].headers["Retry-After"] == "60"
    assert (await eva.ask("GET")).status == 429, "the address is the same"
    assert (await jan.ask("GET")).status == 404, "what was proven before still is"
