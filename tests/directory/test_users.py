"""Users of the directory, as an administrator makes, changes and forgets them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.push import TokenOwner
from ringback.store import Query, Tx
from tests.served import Answer, Served

USERS = "/api/v1/users"
PASSWORD = "correct horse battery"
_hashes = Query("hashes", "Test.", "SELECT id, password_hash FROM users ORDER BY id")


async def admin(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, path, body, auth=served.admin)


async def create(served: Served, user_id: str = "jan", **more: Any) -> Answer:
    return await admin(served, "POST", USERS, {"userId": user_id, "password": PASSWORD, **more})


async def hashes(served: Served) -> dict[str, str | None]:
    async def read(tx: Tx) -> dict[str, str | None]:
        return dict(await tx.all(_hashes))

    return await served.installation.store.read(read)


async def actions(served: Served, user_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    answer = await admin(served, "GET", f"/api/v1/audit?subjectId={user_id}")
    assert answer.status == 200
    return [(one["principalName"], one["action"], one["details"]) for one in reversed(answer.body["items"])]


async def test_a_user_is_made_changed_and_forgotten(served: Served) -> None:
    made = await create(served, displayName="Jan Novák")
    assert made.status == 201
    now = made.body["createdAt"]
    assert abs(now - served.installation.clock.now_ms()) < 60_000
    shown = {"userId": "jan", "displayName": "Jan Novák", "disabled": False, "createdAt": now, "passwordAt": now}
    assert made.body == shown
    one = f"{USERS}/jan"
    assert (await admin(served, "GET", one)).body == shown
    renamed = await admin(served, "PUT", one, {"displayName": "J. N."})
    assert renamed.body == {**shown, "displayName": "J. N."}
    assert (await admin(served, "PUT", one, {})).body == renamed.body
    assert (await admin(served, "PUT", one, {"disabled": True})).body == {**renamed.body, "disabled": True}
    assert (await admin(served, "PUT", one, {"disabled": False, "displayName": None})).body["displayName"] is None
    assert (await admin(served, "DELETE", one)).body == {"status": "OK"}
    for method, path, body in (
        ("GET", one, None),
        ("PUT", one, {"disabled": True}),
        ("PUT", f"{one}/password", {}),
        ("DELETE", one, None),
    ):
        gone = await admin(served, method, path, body)
        assert (gone.status, gone.body["title"]) == (404, "DirectoryUserNotFound")
    # Sorted: rows of one millisecond have no order.
    assert sorted(action for _, action, _ in await actions(served, "jan")) == [
        "user.create", "user.delete", "user.disable", "user.enable", "user.rename", "user.rename",
    ]  # fmt: skip
    assert (await create(served)).status == 201, "the id may be given again"


async def test_passwords_are_kept_as_argon2id_and_shown_once(served: Served) -> None:
    made = await create(served)
    assert PASSWORD not in str(made.body)
    first = (await hashes(served))["jan"]
    assert first is not None
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    chosen = await admin(served, "PUT", f"{USERS}/jan/password", {"password": "another good one"})
    assert chosen.body == {"userId": "jan"}
    generated = await admin(served, "PUT", f"{USERS}/jan/password")
    assert len(generated.body["password"]) == 20
    assert len({first, (await hashes(served))["jan"]}) == 2
    told = str(await actions(served, "jan"))
    for secret in (PASSWORD, "another good one", generated.body["password"], "argon2id"):
        assert secret not in told
    without = await admin(served, "POST", USERS, {"userId": "eva"})
    assert (without.status, without.body["passwordAt"]) == (201, None)
    assert (await hashes(served))["eva"] is None


BAD = [
    ({"userId": ""}, "userId"),
    ({"userId": "a" * 256}, "userId"),
    ({"userId": "a:b"}, "userId"),
    ({"userId": "a/b"}, "userId"),
    ({"userId": "a\tb"}, "userId"),
    ({"userId": 7}, "userId"),
    ({}, "userId"),
    ({"userId": "jan", "displayName": ""}, "displayName"),
    ({"userId": "jan", "displayName": "x" * 256}, "displayName"),
    ({"userId": "jan", "displayName": "a\x7fb"}, "displayName"),
    ({"userId": "jan", "password": "7 chars"}, "password"),
    ({"userId": "jan", "password": "x" * 129}, "password"),
    ({"userId": "jan", "password": "line\nbreak!"}, "password"),
    ({"userId": "jan", "disabled": "no"}, "disabled"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_what_no_user_can_be_is_refused_by_its_name(
    served_sqlite: Served, body: dict[str, Any], field: str
) -> None:
    answer = await admin(served_sqlite, "POST", USERS, body)
    assert answer.status == 400
    assert [one["fieldName"] for one in answer.body["violations"]] == [field]
    assert await hashes(served_sqlite) == {}


async def test_bad_changes_change_nothing(served_sqlite: Served) -> None:
    await create(served_sqlite)
    before = await hashes(served_sqlite)
    for path, body, field in (
        ("/jan", {"displayName": ""}, "displayName"),
        ("/jan", {"disabled": None}, "disabled"),
        ("/jan/password", {"password": "short"}, "password"),
        ("/jan/password", {"password": "x" * 129}, "password"),
    ):
        answer = await admin(served_sqlite, "PUT", USERS + path, body)
        assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, field)
    assert await hashes(served_sqlite) == before


async def test_users_come_in_pages(served: Served) -> None:
    names = sorted(f"u{number:02}" for number in range(7))
    for name in names:
        assert (await admin(served, "POST", USERS, {"userId": name})).status == 201
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin(served, "GET", f"{USERS}?limit=3&cursor={cursor}")).body
        assert len(page["items"]) <= 3
        seen += [one["userId"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == names


async def test_of_many_that_make_one_user_one_does(served: Served) -> None:
    answers = await asyncio.gather(*(create(served) for _ in range(6)))
    assert sorted(one.status for one in answers) == [201, *[409] * 5]
    assert {one.body["title"] for one in answers if one.status == 409} == {"DirectoryUserExists"}


async def test_changes_at_once_are_all_kept(served: Served) -> None:
    await create(served)
    one = f"{USERS}/jan"
    changes = [admin(served, "PUT", one, {"displayName": f"N{number}"}) for number in range(6)]
    changes += [admin(served, "PUT", one, {"disabled": True}), admin(served, "PUT", f"{one}/password", {})]
    answers = await asyncio.gather(*changes)
    assert {answer.status for answer in answers} == {200}
    assert (await admin(served, "GET", one)).body["disabled"] is True


async def test_uds_devices_follow_their_user_and_phones_and_claims_do_not(served: Served) -> None:
    await create(served)
    await served.call("PUT", "/api/v1/apps/bank/users/jan/claims", {"claims": {"name": "Jan"}})
    push_tokens = served.rooms.push.tokens

    async def fill(tx: Tx) -> None:
        await push_tokens.register(tx, TokenOwner("bank", "jan", device_pkid="d1"), "fcm", "T1")
        await push_tokens.register(tx, TokenOwner("bank", "jan", registration_id="r1"), "fcm", "T2")
        await push_tokens.register(tx, TokenOwner("bank", "eva", device_pkid="d1"), "fcm", "T3")

    async def kept(tx: Tx) -> dict[str, bool]:
        return {one.push_token: one.suspended for user in ("jan", "eva") for one in await push_tokens.of_user(tx, user)}

    store = served.installation.store
    await store.write(fill)
    await admin(served, "PUT", f"{USERS}/jan", {"disabled": True})
    assert await store.read(kept) == {"T1": True, "T2": False, "T3": False}
    await admin(served, "PUT", f"{USERS}/jan", {"disabled": False})
    assert await store.read(kept) == {"T1": False, "T2": False, "T3": False}
    await admin(served, "DELETE", f"{USERS}/jan")
    assert await store.read(kept) == {"T2": False, "T3": False}
    assert (await served.call("GET", "/api/v1/apps/bank/users/jan/claims")).status == 200
