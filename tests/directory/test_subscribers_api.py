"""Subscribers over the native API: made, changed, proved, forgotten."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ringback.principal import Principal
from ringback.store import Command, Query, Tx
from tests.served import Answer, Login, Served

DOMAIN = "/api/v1/domains/example.org"
SUBSCRIBERS = f"{DOMAIN}/subscribers"
JAN = f"{SUBSCRIBERS}/jan"
PASSWORD = "correct horse"
LOOK_UP = "/api/v1/sip/credentials"

_everything = Query(
    "everything",
    "Test.",
    "SELECT (SELECT COUNT(*) FROM subscribers), (SELECT COUNT(*) FROM sip_credentials),"
    " (SELECT COUNT(*) FROM bindings), (SELECT COUNT(*) FROM push_tokens)",
)
_bind = Command(
    "bind",
    "Test.",
    "INSERT INTO bindings (id, subscriber_id, contact, reg_id, call_id, cseq, source, registered_at, expires_at,"
    " version) VALUES ($1, $2, $3, 0, 'c', 1, 'udp:192.0.2.7:5060', $4, $5, 1)",
)
_push_token = Command(
    "push_token",
    "Test.",
    "INSERT INTO push_tokens (id, app_id, user_id, kind, push_token, suspended, registered_at, version, subscriber_id,"
    " sip_instance) VALUES ($1, 'bank', $2, 'apns-voip', $1, FALSE, 1, 1, $3, 'urn:uuid:1')",
)
_push_token_user = Query("push_token_user", "Test.", "SELECT user_id FROM push_tokens ORDER BY id")


async def admin(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, path, body, auth=served.admin)


@pytest.fixture
async def home(served: Served) -> Served:
    """With the domain example.org."""
    assert (await admin(served, "POST", "/api/v1/domains", {"domain": "example.org"})).status == 201
    return served


@pytest.fixture
async def small_home(served_sqlite: Served) -> Served:
    assert (await admin(served_sqlite, "POST", "/api/v1/domains", {"domain": "example.org"})).status == 201
    return served_sqlite


async def create(served: Served, username: str = "jan", **more: Any) -> Answer:
    body = {"username": username, "userId": f"user-{username}", "password": PASSWORD, **more}
    return await admin(served, "POST", SUBSCRIBERS, body)


async def proxy_of(served: Served) -> Login:
    """A SIP proxy's service credential."""
    unit = served.rooms.access.create_user
    made = await served.installation.store.write(unit, Principal("cli", "test"), "kamailio", "sip-proxy")
    return Login("kamailio", made.password)


def ha1(kind: str, password: str = PASSWORD, username: str = "jan", realm: str = "example.org") -> str:
    return hashlib.new(kind, f"{username}:{realm}:{password}".encode()).hexdigest()


async def audited(served: Served, subject: str = "jan@example.org") -> list[tuple[str, Any]]:
    answer = await admin(served, "GET", f"/api/v1/audit?subjectId={subject}")
    return sorted((one["action"], str(one["details"])) for one in answer.body["items"])


async def bind(served: Served, number: int = 1, seconds: int = 60) -> None:
    async def write(tx: Tx) -> None:
        subscriber = await served.rooms.sip_directory.subscribers.show(tx, "example.org", "jan")
        now = served.installation.clock.now_ms()
        await tx.run(
            _bind, f"b{number}", subscriber.id, f"sip:jan@192.0.2.{number}", now + number, now + seconds * 1000
        )
        await tx.run(_push_token, f"t{number}", subscriber.user_id, subscriber.id)

    await served.installation.store.write(write)


async def rows(served: Served) -> tuple[int, ...]:
    async def read(tx: Tx) -> tuple[int, ...]:
        return tuple((await tx.all(_everything))[0])

    return await served.installation.store.read(read)


async def test_a_subscriber_is_made_changed_and_forgotten(home: Served) -> None:
    made = await create(home, displayName="Jan Novák")
    assert made.status == 201
    shown = {
        "address": "jan@example.org", "username": "jan", "domain": "example.org", "userId": "user-jan",
        "displayName": "Jan Novák", "disabled": False, "createdAt": made.body["createdAt"],
    }  # fmt: skip
    assert made.body == shown
    [known] = (await admin(home, "GET", JAN)).body["credentials"]
    assert (known["realm"], known["algorithms"]) == ("example.org", ["SHA-256", "MD5"])
    assert known["changedAt"] >= made.body["createdAt"]
    assert (await admin(home, "PUT", JAN, {})).body == shown
    changed = {**shown, "userId": "eva", "displayName": None, "disabled": True}
    assert (await admin(home, "PUT", JAN, {"userId": "eva", "displayName": None, "disabled": True})).body == changed
    assert (await admin(home, "PUT", JAN, {"disabled": False})).body["disabled"] is False
    again = await create(home)
    assert (again.status, again.body["title"]) == (409, "SubscriberExists")
    assert (await create(home, "Jan")).status == 201, "capital letters are other letters"
    assert (await admin(home, "DELETE", JAN)).body == {"status": "OK"}
    for method, path, body in (
        ("GET", JAN, None), ("PUT", JAN, {}), ("PUT", f"{JAN}/password", {}), ("DELETE", f"{JAN}/password", None),
        ("PUT", f"{JAN}/password", {"ha1": {"md5": "0" * 32}}), ("GET", f"{JAN}/preferences", None),
        ("PUT", f"{JAN}/preferences", {}), ("PATCH", f"{JAN}/preferences", {}), ("GET", f"{JAN}/bindings", None),
        ("DELETE", f"{JAN}/bindings", None), ("DELETE", JAN, None),
        ("GET", "/api/v1/domains/none.example/subscribers/jan", None),
    ):  # fmt: skip
        gone = await admin(home, method, path, body)
        assert (gone.status, gone.body["title"]) == (404, "SubscriberNotFound"), (method, path)
    assert [action for action, _ in await audited(home)] == [
        "subscriber.create", "subscriber.delete", "subscriber.disable", "subscriber.enable", "subscriber.give",
        "subscriber.rename",
    ]  # fmt: skip


async def test_with_a_subscriber_goes_what_belongs_to_it_and_nothing_else(home: Served) -> None:
    assert (await create(home)).status == (await create(home, "eva")).status == 201
    await bind(home)
    assert await rows(home) == (2, 2, 1, 1)
    assert (await admin(home, "DELETE", JAN)).status == 200
    assert await rows(home) == (1, 1, 0, 0)


async def test_a_subscriber_outlives_the_login_of_its_user(home: Served) -> None:
    await admin(home, "POST", "/api/v1/users", {"userId": "user-jan"})
    await create(home)
    await bind(home)
    assert (await admin(home, "DELETE", "/api/v1/users/user-jan")).status == 200
    assert await rows(home) == (1, 1, 1, 1)


async def test_push_tokens_of_bindings_go_to_the_new_user(home: Served) -> None:
    await create(home)
    await bind(home)
    await admin(home, "PUT", JAN, {"userId": "eva"})

    async def read(tx: Tx) -> list[Any]:
        return await tx.all(_push_token_user)

    assert await home.installation.store.read(read) == [("eva",)]


async def test_where_a_subscriber_is_reached_is_shown_and_forgotten(home: Served) -> None:
    await create(home)
    await bind(home, 1)

    async def one_more(tx: Tx) -> None:
        subscriber = await home.rooms.sip_directory.subscribers.show(tx, "example.org", "jan")
        now = home.installation.clock.now_ms()
        await tx.run(_bind, "b2", subscriber.id, "sip:jan@192.0.2.2", now + 5, now + 60_000)
        await tx.run(_bind, "b3", subscriber.id, "sip:jan@192.0.2.3", now, now - 1)

    await home.installation.store.write(one_more)
    found = (await admin(home, "GET", f"{JAN}/bindings")).body["items"]
    assert [one["contact"] for one in found] == ["sip:jan@192.0.2.2", "sip:jan@192.0.2.1"], "one has expired"
    assert (found[0]["source"], found[0]["instance"], found[0]["userAgent"]) == ("udp:192.0.2.7:5060", None, None)
    assert (await admin(home, "DELETE", f"{JAN}/bindings")).body == {"deleted": 3}
    assert (await admin(home, "GET", f"{JAN}/bindings")).body == {"items": []}
    assert (await rows(home))[3] == 1, "calls still wake the phone"
    assert (await admin(home, "DELETE", f"{JAN}/bindings")).body == {"deleted": 0}


async def test_subscribers_come_in_pages(home: Served) -> None:
    names = sorted(f"u{number:02}" for number in range(7))
    for name in names:
        assert (await create(home, name)).status == 201
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin(home, "GET", f"{SUBSCRIBERS}?limit=3&cursor={cursor}")).body
        seen += [one["username"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == names


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"userId": "u"}, "username"),
        ({"username": "jan"}, "userId"),
        *(
            ({"username": name, "userId": "u"}, "username")
            for name in ("", "a b", "a@b", "a:b", "a/b", "a?b", "a#b", "a%41", "ä", "a\tb", "..", "-", "x" * 65, 7)
        ),
        ({"username": "jan", "userId": "a:b"}, "userId"),
        ({"username": "jan", "userId": "u", "displayName": ""}, "displayName"),
        ({"username": "jan", "userId": "u", "password": "7 chars"}, "password"),
        ({"username": "jan", "userId": "u", "password": "line\nbreak!"}, "password"),
        ({"username": "jan", "userId": "u", "disabled": "no"}, "disabled"),
    ],
)
async def test_what_no_subscriber_can_be_is_refused_by_its_name(
    small_home: Served, body: dict[str, Any], field: str
) -> None:
    answer = await admin(small_home, "POST", SUBSCRIBERS, body)
    assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, field)
    assert (await rows(small_home))[0] == 0


@pytest.mark.parametrize("username", ["+436641234567", "*67", "1000", "a.b_c-d", "(x)", "o'brien", "a!~*'()&=+$,b"])
async def test_names_as_numbers_and_as_sip_has_them(small_home: Served, username: str) -> None:
    answer = await create(small_home, username)
    if username.startswith("("):
        assert answer.status == 400, "it begins with a letter, a digit, +, * or _"
        return
    assert (answer.status, answer.body["username"]) == (201, username)


# what proves a subscriber ---------------------------------------------------------------------------------------------


async def test_a_proxy_hears_what_proves_a_subscriber(home: Served) -> None:
    await create(home)
    proxy = await proxy_of(home)
    answer = await home.call("GET", f"{LOOK_UP}/EXAMPLE.org/jan?realm=example.org", auth=proxy)
    assert answer.body == {
        "username": "jan", "domain": "example.org", "realm": "example.org", "userId": "user-jan",
        "md5": ha1("md5"), "sha256": ha1("sha256"),
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await home.call("GET", f"{LOOK_UP}/example.org/jan", auth=proxy)).body == answer.body


async def test_to_a_proxy_unknown_and_disabled_are_alike(home: Served) -> None:
    await create(home, disabled=True)
    await create(home, "eva", password=None)
    proxy = await proxy_of(home)
    answers = [
        await home.call("GET", f"{LOOK_UP}/{path}", auth=proxy)
        for path in (
            "example.org/jan", "example.org/eva", "example.org/nobody", "none.example/jan",
            "example.org/jan?realm=other", "example.org/%C3%A4", "example.org/jan?realm=%01",
        )
    ]  # fmt: skip
    assert {(answer.status, str(answer.body)) for answer in answers} == {(404, str(answers[0].body))}


async def test_a_proxy_may_ask_for_nothing_else_and_nobody_else_for_that(small_home: Served) -> None:
    await create(small_home)
    proxy = await proxy_of(small_home)
    for auth in (small_home.admin, small_home.integration):
        assert (await small_home.call("GET", f"{LOOK_UP}/example.org/jan", auth=auth)).status == 403
    for path in (JAN, "/api/v1/users", "/powerauth-cloud/v2/registrations?userId=x", "/api/v1/audit", "/api/v1/pushes"):
        assert (await small_home.call("GET", path, auth=proxy)).status == 403, path
    listed = await small_home.call("GET", "/powerauth-cloud/admin/users/kamailio", auth=small_home.admin)
    assert listed.body["role"] == ["ROLE_SIP_PROXY"]


async def test_a_new_password_leaves_nothing_of_the_old_one(home: Served) -> None:
    await create(home)
    proxy = await proxy_of(home)
    assert (await admin(home, "PUT", f"{JAN}/password", {"password": "for elsewhere", "realm": "other"})).status == 200
    chosen = await admin(home, "PUT", f"{JAN}/password", {"password": "another good one"})
    assert chosen.body == {"address": "jan@example.org"}
    for realm in ("example.org", "other"):
        found = (await home.call("GET", f"{LOOK_UP}/example.org/jan?realm={realm}", auth=proxy)).body
        assert found["md5"] == ha1("md5", "another good one", realm=realm)
        assert found["sha256"] == ha1("sha256", "another good one", realm=realm)
    made = await admin(home, "PUT", f"{JAN}/password")
    assert len(made.body["password"]) == 20
    found = (await home.call("GET", f"{LOOK_UP}/example.org/jan", auth=proxy)).body
    assert found["sha256"] == ha1("sha256", made.body["password"])
    told = str(await audited(home))
    for secret in (PASSWORD, "another good one", made.body["password"], found["md5"], found["sha256"]):
        assert secret not in told


async def test_hashes_of_another_system_take_the_place_of_both(home: Served) -> None:
    await create(home)
    proxy = await proxy_of(home)
    theirs = ha1("md5", "theirs")
    assert (await admin(home, "PUT", f"{JAN}/password", {"ha1": {"md5": theirs.upper()}})).status == 200
    found = (await home.call("GET", f"{LOOK_UP}/example.org/jan", auth=proxy)).body
    assert found["md5"] == theirs
    assert "sha256" not in found, "the old password is worth nothing any more"
    assert (await home.call("GET", f"{LOOK_UP}/example.org/jan?algorithm=MD5", auth=proxy)).status == 200
    assert (await home.call("GET", f"{LOOK_UP}/example.org/jan?algorithm=SHA-256", auth=proxy)).status == 404
    assert (await admin(home, "GET", JAN)).body["credentials"][0]["algorithms"] == ["MD5"]


async def test_passwords_are_forgotten_by_realm_or_all(home: Served) -> None:
    await create(home)
    await admin(home, "PUT", f"{JAN}/password", {"password": "for elsewhere", "realm": "other"})
    await admin(home, "PUT", f"{JAN}/password", {"password": "for elsewhere", "realm": "third"})
    assert (await admin(home, "DELETE", f"{JAN}/password?realm=other")).status == 200
    assert [one["realm"] for one in (await admin(home, "GET", JAN)).body["credentials"]] == ["example.org", "third"]
    assert (await admin(home, "DELETE", f"{JAN}/password?realm=other")).body["title"] == "SipCredentialNotFound"
    assert (await admin(home, "DELETE", f"{JAN}/password")).status == 200
    assert (await admin(home, "GET", JAN)).body["credentials"] == []
    assert (await admin(home, "DELETE", f"{JAN}/password")).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": PASSWORD, "realm": ""}, "realm"),
        ({"password": PASSWORD, "realm": 'a"b'}, "realm"),
        ({"password": PASSWORD, "realm": "a\\b"}, "realm"),
        ({"password": PASSWORD, "realm": "x" * 256}, "realm"),
        ({"ha1": {}}, "ha1"),
        ({"ha1": {"md5": "0" * 31}}, "ha1.md5"),
        ({"ha1": {"md5": "g" * 32}}, "ha1.md5"),
        ({"ha1": {"sha256": "0" * 32}}, "ha1.sha256"),
        ({"ha1": {"md5": "0" * 32}, "password": PASSWORD}, "ha1"),
    ],
)
async def test_bad_passwords_change_nothing(small_home: Served, body: dict[str, Any], field: str) -> None:
    await create(small_home)
    proxy = await proxy_of(small_home)
    answer = await admin(small_home, "PUT", f"{JAN}/password", body)
    assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, field)
    found = (await small_home.call("GET", f"{LOOK_UP}/example.org/jan", auth=proxy)).body
    assert found["md5"] == ha1("md5")
