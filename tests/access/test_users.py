"""Administering system users over HTTP: what each call answers, and from when on it counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import LastAdministrator
from ringback.principal import Principal
from tests.served import Answer, Login, Served

USERS = "/powerauth-cloud/admin/users"
WHOAMI = "/powerauth-cloud/v2/registrations?userId=alice"


async def admin(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, USERS + path, body, auth=served.admin)


async def make_admin(served: Served, name: str) -> Login:

    created = await served.installation.store.write(
        served.rooms.access.create_user, Principal("cli", "test"), name, "admin"
    )
    return Login(name, created.password)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["responseObject"]["code"]


async def test_a_user_is_shown_as_it_was_made_but_without_its_password(served: Served) -> None:
    shown = (await admin(served, "GET", "/bank-back-end")).body
    assert shown == {"username": "bank-back-end", "enabled": True, "role": ["ROLE_USER"], "applications": ["bank"]}
    assert (await admin(served, "GET", "/root")).body["role"] == ["ROLE_ADMIN"]
    unknown = await admin(served, "GET", "/nobody")
    assert refused(unknown) == (400, "ERROR_REQUEST")


async def test_the_list_has_pages_by_name(served: Served) -> None:
    for name in ("u1", "u2", "u3"):
        await admin(served, "POST", "", {"username": name})
    whole = (await admin(served, "GET", "")).body["users"]
    assert [user["username"] for user in whole] == ["bank-back-end", "root", "u1", "u2", "u3"]
    assert [user["applications"] for user in whole] == [["bank"], [], [], [], []]
    page = (await admin(served, "GET", "?pageNumber=1&pageSize=2")).body["users"]
    assert [user["username"] for user in page] == ["u1", "u2"]
    assert (await admin(served, "GET", "?pageNumber=9&pageSize=2")).body == {"users": []}
    far = await admin(served, "GET", "?pageNumber=11&pageSize=1000")
    assert refused(far) == (400, "ERROR_REQUEST")
    assert far.body["responseObject"]["violations"][0]["fieldName"] == "pageNumber"


async def test_a_new_password_works_at_once_and_the_old_one_never_again(served: Served) -> None:
    assert (await served.call("GET", WHOAMI)).status == 200
    answer = await admin(served, "POST", "/bank-back-end/password")
    fresh = Login("bank-back-end", answer.body["password"])
    assert answer.body["applications"] == ["bank"]
    assert len(fresh.password) == 24
    assert fresh.password != served.integration.password
    assert (await served.call("GET", WHOAMI)).status == 401
    assert (await served.call("GET", WHOAMI, auth=fresh)).status == 200
    assert "password" not in (await admin(served, "GET", "/bank-back-end")).body


async def test_a_disabled_user_is_out_at_once_until_it_is_enabled(served: Served) -> None:
    assert (await served.call("GET", WHOAMI)).status == 200
    answer = await admin(served, "POST", "/bank-back-end/disable")
    assert (answer.body["enabled"], answer.body["applications"]) == (False, ["bank"])
    assert (await admin(served, "POST", "/bank-back-end/disable")).body == answer.body
    assert refused(await served.call("GET", WHOAMI)) == (401, "HTTP_401")
    assert (await admin(served, "POST", "/bank-back-end/enable")).body["enabled"] is True
    assert (await served.call("GET", WHOAMI)).status == 200


async def test_a_user_without_the_app_is_a_stranger_to_it(served: Served) -> None:
    created = await served.call("POST", "/powerauth-cloud/v2/registrations", {"userId": "alice", "appId": "bank"})
    one = f"/powerauth-cloud/v2/registrations/{created.body['registrationId']}"
    assert (await served.call("GET", one)).status == 200
    for _ in range(2):
        answer = await admin(served, "DELETE", "/bank-back-end/applications/bank")
        assert (answer.status, answer.body["applications"]) == (200, [])
    assert refused(await served.call("GET", one)) == (400, "ERROR_REGISTRATION_NOT_FOUND")
    assert (await served.call("GET", WHOAMI)).body == {"registrations": []}
    for path in ("/bank-back-end/applications/none", "/nobody/applications/bank"):
        assert refused(await admin(served, "DELETE", path)) == (400, "ERROR_REQUEST")


async def test_a_deleted_user_is_gone_and_its_name_is_free(served: Served) -> None:
    assert (await served.call("GET", WHOAMI)).status == 200
    assert (await admin(served, "DELETE", "/bank-back-end")).body == {"status": "OK"}
    assert (await served.call("GET", WHOAMI)).status == 401
    assert (await admin(served, "GET", "/bank-back-end")).status == 400
    assert (await admin(served, "DELETE", "/bank-back-end")).status == 400
    again = await admin(served, "POST", "", {"username": "bank-back-end"})
    assert (again.status, again.body["applications"]) == (200, [])
    assert (await served.call("GET", WHOAMI)).status == 401


@pytest.mark.parametrize(("method", "path"), [("POST", "/root/disable"), ("DELETE", "/root")])
async def test_an_administrator_does_not_lock_itself_out(served_sqlite: Served, method: str, path: str) -> None:
    await make_admin(served_sqlite, "second")
    answer = await admin(served_sqlite, method, path)
    assert refused(answer) == (400, "ERROR_REQUEST")
    assert "Ask another administrator" in answer.body["responseObject"]["message"]
    assert (await admin(served_sqlite, "GET", "/root")).body["enabled"] is True


async def test_one_administrator_is_left_when_two_disable_each_other_at_once(served: Served) -> None:
    for turn in range(5):
        second = await make_admin(served, f"second-{turn}")
        answers = await asyncio.gather(
            served.call("POST", f"{USERS}/root/disable", auth=second),
            served.call("POST", f"{USERS}/{second.login}/disable", auth=served.admin),
        )
        assert sorted(answer.status for answer in answers) in ([200, 400], [200, 401])
        if (await served.call("GET", USERS, auth=served.admin)).status != 200:
            assert (await served.call("POST", f"{USERS}/root/enable", auth=second)).status == 200
            assert (await admin(served, "POST", f"/{second.login}/disable")).status == 200


async def test_the_last_administrator_stays(served: Served) -> None:
    second = await make_admin(served, "second")
    assert (await admin(served, "POST", "/second/disable")).status == 200
    assert (await served.call("GET", USERS, auth=second)).status == 401

    access = served.rooms.access
    for unit in (access.disable_user, access.delete_user):
        with pytest.raises(LastAdministrator):
            await served.installation.store.write(unit, Principal("cli", "test"), "root")
    assert (await admin(served, "DELETE", "/second")).status == 200


async def test_every_change_is_in_the_audit_log(served: Served) -> None:
    for method, path in (
        ("POST", "/bank-back-end/disable"),
        ("POST", "/bank-back-end/disable"),
        ("POST", "/bank-back-end/enable"),
        ("POST", "/bank-back-end/password"),
        ("DELETE", "/bank-back-end/applications/bank"),
        ("DELETE", "/bank-back-end"),
    ):
        assert (await admin(served, method, path)).status == 200
    answer = await served.call("GET", "/api/v1/audit?subjectId=bank-back-end", auth=served.admin)
    entries = list(reversed(answer.body["items"]))
    assert [entry["action"].removeprefix("system_user.") for entry in entries] == [
        "create",
        "allow_app",
        "disable",
        "enable",
        "reset_password",
        "disallow_app",
        "delete",
    ]
    assert {entry["principalName"] for entry in entries} == {"root"}
    assert "assword" not in str([entry["details"] for entry in entries])
