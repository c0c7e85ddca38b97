"""Callbacks over HTTP: made, changed, looked at, forgotten, and by whom."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ringback.callbacks.model import MOST_CALLBACKS
from ringback.errors import InvalidRequest
from tests.callbacks.receiver import Receiver, status
from tests.callbacks.rooms import BANK, Room, all_details, content_of, sealed_authentications
from tests.served import Answer, Login, Served

PATH = "/powerauth-cloud/v2/admin/applications/bank/callbacks"
URL = "https://hooks.example.com/ringback?key=1"
CONTENT = {"name": "hook", "type": "OPERATION_STATUS_CHANGE", "callbackUrl": URL}
BASIC = {"httpBasic": {"enabled": True, "username": "ring", "password": "very-secret"}}


async def create(served: Served, auth: Login | None = None, path: str = PATH, **fields: Any) -> Answer:
    return await served.call("POST", path, {**CONTENT, **fields}, auth=auth)


def refused_field(answer: Answer) -> str:
    assert answer.status == 400, answer
    assert answer.body["status"] == "ERROR"
    assert answer.body["responseObject"]["code"] == "ERROR_REQUEST"
    field: str = answer.body["responseObject"]["violations"][0]["fieldName"]
    return field


async def test_made_as_the_load_tests_of_powerauth_cloud_do(served: Served) -> None:
    """By the integration user, with name, type and callbackUrl alone; the rest is what the documentation says."""
    created = await create(served)
    assert created.status == 200
    shown = created.body
    assert shown.pop("id")
    assert shown.pop("timestampCreated") > 0
    assert shown == {
        "applicationId": "bank",
        "name": "hook",
        "type": "OPERATION_STATUS_CHANGE",
        "callbackUrl": URL,
        "attributes": [],
        "authentication": {},
        "retentionPeriod": "P30D",
        "initialBackoff": "PT2S",
        "maxAttempts": 16,
        "longTypeNames": False,
        "enabled": True,
    }


async def test_everything_that_can_be_said_is_kept_and_shown(served: Served) -> None:
    fields = {
        "type": "REGISTRATION_STATUS_CHANGE",
        "attributes": ["userId", "activationStatus", "userId"],
        "authentication": {**BASIC, "certificate": {"enabled": False}, "oauth2": {"enabled": False, "scope": "x"}},
        "retentionPeriod": "PT2H",
        "initialBackoff": 1500,
        "maxAttempts": 1,
        "longTypeNames": True,
        "enabled": False,
        "somethingNew": 1,
    }
    created = (await create(served, **fields)).body
    expected = {
        "type": "REGISTRATION_STATUS_CHANGE",
        "attributes": ["userId", "activationStatus"],
        "authentication": {"httpBasic": {"enabled": True, "username": "ring", "passwordSet": True}},
        "retentionPeriod": "PT2H",
        "initialBackoff": "PT1.5S",
        "maxAttempts": 1,
        "longTypeNames": True,
        "enabled": False,
    }
    assert {name: created[name] for name in expected} == expected
    assert (await served.call("GET", f"{PATH}/{created['id']}")).body == created
    assert (await served.call("GET", PATH)).body == {"callbacks": [created]}

    plain = (await create(served)).body
    changed = (await served.call("PUT", f"{PATH}/{plain['id']}", {**CONTENT, **fields})).body
    assert {name: changed[name] for name in expected} == expected
    assert (changed["id"], changed["timestampCreated"]) == (plain["id"], plain["timestampCreated"])


async def test_the_name_of_the_type_in_powerauth_server_is_understood(served_sqlite: Served) -> None:
    created = await create(served_sqlite, type="ACTIVATION_STATUS_CHANGE", attributes=["activationStatus"])
    assert created.body["type"] == "REGISTRATION_STATUS_CHANGE"


async def test_changed_as_a_whole(served: Served) -> None:
    before = (await create(served, attributes=["status"], maxAttempts=3, longTypeNames=True)).body
    changed = await served.call("PUT", f"{PATH}/{before['id']}", {**CONTENT, "name": "other", "enabled": False})
    assert changed.status == 200
    expected = {**before, "name": "other", "enabled": False, "attributes": [], "maxAttempts": 16}
    assert changed.body == {**expected, "longTypeNames": False}
    assert (await served.call("GET", f"{PATH}/{before['id']}")).body == changed.body


async def test_deleted_for_good(served: Served) -> None:
    path = f"{PATH}/{(await create(served)).body['id']}"
    assert (await served.call("DELETE", path)).body == {"status": "OK"}
    for answer in (
        await served.call("GET", path),
        await served.call("DELETE", path),
        await served.call("PUT", path, CONTENT),
    ):
        assert (answer.status, answer.body["responseObject"]["message"]) == (400, "There is no such callback.")
    assert (await served.call("GET", PATH)).body == {"callbacks": []}


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"callbackUrl": "http://hooks.example.com/"}, "callbackUrl"),
    ({"callbackUrl": "https://127.0.0.1/"}, "callbackUrl"),
    ({"callbackUrl": "https://[::ffff:10.0.0.1]/"}, "callbackUrl"),
    ({"callbackUrl": "https://user:pass@hooks.example.com/"}, "callbackUrl"),
    ({"callbackUrl": "https://hooks.example.com:8443/"}, "callbackUrl"),
    ({"callbackUrl": "ftp://hooks.example.com/"}, "callbackUrl"),
    ({"callbackUrl": "hook"}, "callbackUrl"),
    ({"callbackUrl": ""}, "callbackUrl"),
    ({"type": "MESSAGE_STATUS_CHANGE"}, "type"),
    ({"name": ""}, "name"),
    ({"attributes": ["status", "activationStatus"]}, "attributes"),
    ({"attributes": ["status"] * 51}, "attributes"),
    ({"maxAttempts": 0}, "maxAttempts"),
    ({"maxAttempts": 101}, "maxAttempts"),
    ({"initialBackoff": "2 s"}, "initialBackoff"),
    ({"initialBackoff": 99}, "initialBackoff"),
    ({"initialBackoff": "PT2H"}, "initialBackoff"),
    ({"retentionPeriod": "P1M"}, "retentionPeriod"),
    ({"retentionPeriod": "PT59S"}, "retentionPeriod"),
    ({"retentionPeriod": "P367D"}, "retentionPeriod"),
    ({"authentication": {"certificate": {"enabled": True}}}, "authentication.certificate"),
    ({"authentication": {"oauth2": {"enabled": True}}}, "authentication.oauth2"),
    ({"authentication": {"httpBasic": {"enabled": True}}}, "authentication.httpBasic.username"),
    (
        {"authentication": {"httpBasic": {"enabled": True, "username": "a"}}},
        "authentication.httpBasic.password",
    ),
    (
        {"authentication": {"httpBasic": {"enabled": True, "username": "a:b", "password": "c"}}},
        "authentication.httpBasic.username",
    ),
    (
        {"authentication": {"httpBasic": {"enabled": True, "username": "a", "password": "b\r\nX: 1"}}},
        "authentication.httpBasic.password",
    ),
]


async def test_refusals_name_the_field(served_sqlite: Served) -> None:
    for fields, field in REFUSALS:
        refused = await create(served_sqlite, **fields)
        assert (refused_field(refused), fields) == (field, fields)
        assert "very-secret" not in json.dumps(refused.body)
    assert (await served_sqlite.call("GET", PATH)).body == {"callbacks": []}


async def test_an_app_has_so_many_callbacks_and_no_more(served_sqlite: Served) -> None:
    for _ in range(MOST_CALLBACKS):
        assert (await create(served_sqlite)).status == 200
    assert refused_field(await create(served_sqlite)) == "appId"


async def test_admins_manage_every_apps_callbacks(served: Served) -> None:
    created = await create(served, served.admin)
    assert created.status == 200
    path = f"{PATH}/{created.body['id']}"
    assert (await served.call("GET", path)).body == created.body
    assert (await served.call("PUT", path, CONTENT, auth=served.admin)).status == 200
    assert (await served.call("DELETE", path, auth=served.admin)).status == 200
    unknown = await create(served, served.admin, PATH.replace("bank", "none"))
    assert (unknown.status, unknown.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")


async def test_another_apps_callback_does_not_exist(served: Served) -> None:
    _, shop = await served.new_tenant("shop")
    callback_id = (await create(served)).body["id"]
    unknown_id = callback_id[:-4] + "0000"
    own_path = PATH.replace("bank", "shop")
    for method, body in (("GET", None), ("PUT", CONTENT), ("DELETE", None)):
        for path in (own_path, PATH):
            known = await served.call(method, f"{path}/{callback_id}", body, auth=shop)
            unknown = await served.call(method, f"{path}/{unknown_id}", body, auth=shop)
            assert (known.status, known.body) == (unknown.status, unknown.body)
            assert known.status == 400
    deliveries = [
        await served.call("GET", f"/api/v1/callbacks/{one}/deliveries", auth=shop) for one in (callback_id, unknown_id)
    ]
    assert [one.status for one in deliveries] == [404, 404]
    assert deliveries[0].body == deliveries[1].body
    assert (await served.call("GET", f"{PATH}/{callback_id}")).status == 200


async def test_a_password_is_kept_sealed_and_stays_at_its_host(room: Room, receiver: Receiver) -> None:
    known = await room.create(receiver.url, authentication=BASIC)
    ((sealed,),) = await room.all(sealed_authentications)
    assert b"very-secret" not in sealed
    assert "very-secret" not in repr(known)
    assert "very-secret" not in str(await room.all(all_details))

    async def replace(url: str, **fields: Any) -> Any:
        content = content_of(url, **fields)
        return await room.store.write(room.service.replace, BANK, "bank", known.callback.id, content)

    kept = await replace(receiver.url + "/elsewhere")
    assert kept.authentication == known.authentication
    with pytest.raises(InvalidRequest, match="Say it again"):
        await replace("http://127.0.0.2:1/hook")
    for nonsense in ("hook", "https://a:99999/", "http://[::1"):
        with pytest.raises(InvalidRequest, match="callbackUrl"):
            await replace(nonsense)
    moved = await replace("http://127.0.0.2:1/hook", authentication=BASIC)
    assert moved.authentication == known.authentication
    none = await replace("http://127.0.0.2:1/hook", authentication={"httpBasic": {"enabled": False}})
    assert none.authentication is None
    assert (await replace("http://127.0.0.3:1/hook")).authentication is None


async def test_each_change_is_in_the_audit_log_without_the_url(room: Room, receiver: Receiver) -> None:
    known = await room.create(receiver.url)
    await room.store.write(room.service.replace, BANK, "bank", known.callback.id, content_of(receiver.url))
    await room.store.write(room.service.delete, BANK, "bank", known.callback.id)
    rows = await room.all(all_details)
    assert sorted(action for action, _, _ in rows) == ["callback.create", "callback.delete", "callback.replace"]
    assert {app_id for _, app_id, _ in rows} == {"bank"}
    assert receiver.url not in str(rows)


async def test_deliveries_are_shown_with_their_attempts_page_by_page(calling: Served, receiver: Receiver) -> None:
    receiver.answer = status(500)
    made = (await create(calling, callbackUrl=receiver.url, attributes=["status"], maxAttempts=1)).body
    path = f"/api/v1/callbacks/{made['id']}/deliveries"
    assert (await calling.call("GET", path)).body == {"items": [], "nextCursor": None}
    operation = {"template": "login", "userId": "alice", "silent": True}

    async def ask() -> str:
        operation_id: str = (await calling.call("POST", "/powerauth-cloud/v2/operations", operation)).body[
            "operationId"
        ]
        await asyncio.sleep(0.002)  # a later one has a later id, which within a millisecond is chance
        return operation_id

    ids = [await ask()]
    await receiver.wait_for(1)
    receiver.answer = None
    ids += [await ask(), await ask()]
    await receiver.wait_for(3)

    shown: list[Any] = []
    async with asyncio.timeout(60):
        while not shown or not all(one["timestampFinished"] for one in shown):
            shown = (await calling.call("GET", path)).body["items"]
    assert [one["payload"]["operationId"] for one in reversed(shown)] == ids
    assert [one["status"] for one in shown] == ["DELIVERED", "DELIVERED", "FAILED"]
    failed = shown[-1]
    assert failed["reason"] == "attempts used up: HTTP 500"
    assert failed["payload"] == {"type": "OPERATION", "operationId": ids[0], "status": "PENDING"}
    assert [(one["attempt"], one["outcome"], one["detail"]) for one in failed["attempts"]] == [
        (1, "FAILED", "HTTP 500")
    ]
    assert {one["id"] for one in shown} == {one.key for one in receiver.told}

    first = (await calling.call("GET", f"{path}?limit=2")).body
    second = (await calling.call("GET", f"{path}?limit=2&cursor={first['nextCursor']}")).body
    assert [*first["items"], *second["items"]] == shown
    assert second["nextCursor"] is None
    assert (await calling.call("GET", path, auth=calling.admin)).body["items"] == shown
    for refused in ("cursor=%00", "cursor=!", "limit=0", "limit=1000"):
        assert (await calling.call("GET", f"{path}?{refused}")).status == 400


async def test_attempts_are_counted_in_the_metrics(calling_sqlite: Served, receiver: Receiver) -> None:
    await create(calling_sqlite, callbackUrl=receiver.url)
    await calling_sqlite.call("POST", "/powerauth-cloud/v2/operations", {"template": "login", "silent": True})
    await receiver.wait_for(1)
    async with calling_sqlite.session.get(calling_sqlite.internal + "/metrics") as answer:
        assert 'ringback_callback_attempts_total{outcome="delivered"}' in await answer.text()
