"""Domains and preferences over the native API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.served import Answer, Served

DOMAINS = "/api/v1/domains"
ONE = f"{DOMAINS}/example.org"
SUBSCRIBERS = f"{ONE}/subscribers"
NOTHING = {"mobile_push_enable": "never", "mobile_push_expiry": None, "prompt": None, "prompt_loop": True}
BUILT_IN = dict.fromkeys(NOTHING, "built in")


async def admin(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, path, body, auth=served.admin)


async def create(served: Served, name: str = "example.org", **more: Any) -> Answer:
    return await admin(served, "POST", DOMAINS, {"domain": name, **more})


async def actions(served: Served, subject: str) -> list[str]:
    answer = await admin(served, "GET", f"/api/v1/audit?subjectId={subject}")
    return sorted(one["action"] for one in answer.body["items"])


async def test_a_domain_is_made_changed_and_forgotten(served: Served) -> None:
    made = await create(served, "Example.ORG", appIds=["bank"])
    assert made.status == 201
    shown = {"domain": "example.org", "appIds": ["bank"], "createdAt": made.body["createdAt"]}
    assert made.body == shown
    for name in ("example.org", "EXAMPLE.org"):
        assert (await admin(served, "GET", f"{DOMAINS}/{name}")).body == shown
    assert (await admin(served, "PUT", ONE, {})).body == shown
    assert (await admin(served, "PUT", ONE, {"appIds": []})).body == {**shown, "appIds": []}
    assert (await admin(served, "PUT", ONE, {"appIds": ["bank", "bank"]})).body == shown
    again = await create(served)
    assert (again.status, again.body["title"]) == (409, "DomainExists")
    assert (await admin(served, "DELETE", ONE)).body == {"status": "OK"}
    for method, path, body in (
        ("GET", ONE, None), ("PUT", ONE, {}), ("PUT", ONE, {"appIds": []}), ("DELETE", ONE, None),
        ("GET", SUBSCRIBERS, None), ("POST", SUBSCRIBERS, {"username": "jan", "userId": "jan"}),
        ("GET", f"{ONE}/preferences", None), ("PUT", f"{ONE}/preferences", {}), ("PATCH", f"{ONE}/preferences", {}),
    ):  # fmt: skip
        gone = await admin(served, method, path, body)
        assert (gone.status, gone.body["title"]) == (404, "DomainNotFound"), (method, path)
    assert await actions(served, "example.org") == [
        "domain.create", "domain.delete", "domain.set_apps", "domain.set_apps",
    ]  # fmt: skip


async def test_of_two_that_make_the_same_domain_one_is_told_so(served: Served) -> None:
    answers = await asyncio.gather(*(create(served) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]


async def test_a_domain_with_subscribers_stays(served: Served) -> None:
    await create(served)
    assert (await admin(served, "POST", SUBSCRIBERS, {"username": "jan", "userId": "u"})).status == 201
    refused = await admin(served, "DELETE", ONE)
    assert (refused.status, refused.body["title"]) == (409, "DomainInUse")
    assert (await admin(served, "DELETE", f"{SUBSCRIBERS}/jan")).status == 200
    assert (await admin(served, "DELETE", ONE)).status == 200


async def test_a_subscriber_never_comes_into_a_domain_that_goes(served: Served) -> None:
    for _ in range(5):
        assert (await create(served)).status == 201
        gone, added = await asyncio.gather(
            admin(served, "DELETE", ONE), admin(served, "POST", SUBSCRIBERS, {"username": "jan", "userId": "u"})
        )
        assert (gone.status, added.status) in {(200, 404), (409, 201)}
        if added.status == 201:
            assert (await admin(served, "DELETE", f"{SUBSCRIBERS}/jan")).status == 200
            assert (await admin(served, "DELETE", ONE)).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "domain"),
        *(
            ({"domain": name}, "domain")
            for name in ("", "-a.org", "a-.org", "a..org", ".org", "a.org.", "a b", "ä.org", "a:5060", "[::1]",
                         "a_b.org", "x" * 64, ".".join(["abcdefg"] * 32), 7, None)
        ),
        ({"domain": "a.org", "appIds": ["a"] * 101}, "appIds"),
        ({"domain": "a.org", "appIds": [""]}, "appIds[0]"),
        ({"domain": "a.org", "appIds": "bank"}, "appIds"),
    ],
)  # fmt: skip
async def test_what_no_domain_can_be_is_refused_by_its_name(
    served_sqlite: Served, body: dict[str, Any], field: str
) -> None:
    answer = await admin(served_sqlite, "POST", DOMAINS, body)
    assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, field)


async def test_only_apps_that_there_are(served_sqlite: Served) -> None:
    for answer in (
        await create(served_sqlite, appIds=["bank", "none"]),
        (
            await create(served_sqlite, "a.org"),
            await admin(served_sqlite, "PUT", f"{DOMAINS}/a.org", {"appIds": ["x"]}),
        )[1],
    ):
        assert (answer.status, answer.body["title"]) == (400, "AppNotFound")
    assert (await admin(served_sqlite, "GET", ONE)).status == 404
    assert (await create(served_sqlite, "127.0.0.1")).status == 201, "an address will do in a laboratory"


async def test_domains_come_in_pages(served: Served) -> None:
    names = sorted(f"d{number}.example" for number in range(7))
    for name in names:
        assert (await create(served, name)).status == 201
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin(served, "GET", f"{DOMAINS}?limit=3&cursor={cursor}")).body
        seen += [one["domain"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == names


# preferences ----------------------------------------------------------------------------------------------------------


async def test_the_lowest_level_that_says_something_decides(served: Served) -> None:
    await create(served)
    await admin(served, "POST", SUBSCRIBERS, {"username": "jan", "userId": "u"})
    above, below = f"{ONE}/preferences", f"{SUBSCRIBERS}/jan/preferences"
    assert (await admin(served, "GET", above)).body == {"own": {}, "effective": NOTHING, "decidedBy": BUILT_IN}
    assert (await admin(served, "GET", below)).body == {"own": {}, "effective": NOTHING, "decidedBy": BUILT_IN}
    said = {"mobile_push_enable": "reg_then_push", "mobile_push_expiry": 30, "prompt": "wait.wav", "prompt_loop": False}
    assert (await admin(served, "PUT", above, said)).body == {
        "own": said, "effective": said, "decidedBy": dict.fromkeys(said, "domain"),
    }  # fmt: skip
    assert (await admin(served, "GET", below)).body == {
        "own": {}, "effective": said, "decidedBy": dict.fromkeys(said, "domain"),
    }  # fmt: skip
    own = {"mobile_push_enable": "no_reg", "prompt_loop": True}
    held = {
        "own": own,
        "effective": {**said, **own},
        "decidedBy": {**dict.fromkeys(said, "domain"), **dict.fromkeys(own, "subscriber")},
    }
    assert (await admin(served, "PUT", below, own)).body == held
    assert (await admin(served, "PATCH", below, {"mobile_push_expiry": 10})).body["own"] == {
        **own,
        "mobile_push_expiry": 10,
    }
    assert (await admin(served, "PATCH", below, {"mobile_push_expiry": None})).body == held
    assert (await admin(served, "GET", below)).body == held
    assert (await admin(served, "PUT", below, {})).body["own"] == {}
    assert (await admin(served, "PATCH", above, {"prompt": None})).body["effective"]["prompt"] is None
    callee = await served.installation.store.read(served.rooms.sip_directory.subscribers.callee, "jan", "example.org")
    assert callee is not None
    assert (callee.mobile_push_enable, callee.mobile_push_expiry, callee.prompt, callee.prompt_loop) == (
        "reg_then_push", 30, None, False,
    )  # fmt: skip
    assert callee.decided_by == {**dict.fromkeys(said, "domain"), "prompt": "built in"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("kept", "told"), [("always", (True, "true", 1, "1")), ("never", (False, "false", 0, "0"))], ids=["yes", "no"]
)
async def test_the_old_boolean_is_understood(
    served_sqlite: Served, method: str, kept: str, told: tuple[bool | str | int, ...]
) -> None:
    await create(served_sqlite)
    for value in told:
        answer = await admin(served_sqlite, method, f"{ONE}/preferences", {"mobile_push_enable": value})
        assert answer.body["own"] == {"mobile_push_enable": kept}
        await admin(served_sqlite, "PUT", f"{ONE}/preferences", {})


@pytest.mark.parametrize("value", ["never", "always", "no_reg", "only_push", "reg_then_push", "push_then_reg"])
async def test_the_six_values_of_ngcp(served_sqlite: Served, value: str) -> None:
    await create(served_sqlite)
    answer = await admin(served_sqlite, "PATCH", f"{ONE}/preferences", {"mobile_push_enable": value})
    assert answer.body["effective"]["mobile_push_enable"] == value


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(
            ({"mobile_push_enable": value}, "mobile_push_enable")
            for value in ("", "Always", "yes", "True", "2", 2, -1, 0.5, ["always"])
        ),
        *(({"mobile_push_expiry": value}, "mobile_push_expiry") for value in (4, 601, -1, "30", 5.5, True)),
        *(
            ({"prompt": value}, "prompt")
            for value in ("", "../etc/passwd", "/etc/passwd", ".hidden", "a b", "x" * 129, 7)
        ),
        ({"prompt_loop": "yes"}, "prompt_loop"),
    ],
)
async def test_what_no_preference_can_be_is_refused_by_its_name(
    served_sqlite: Served, method: str, body: dict[str, Any], field: str
) -> None:
    await create(served_sqlite)
    answer = await admin(served_sqlite, method, f"{ONE}/preferences", body)
    assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, field)
    assert (await admin(served_sqlite, "GET", f"{ONE}/preferences")).body["own"] == {}
