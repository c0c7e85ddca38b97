"""Flags and names that a back end writes on registrations, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ringback.softphone import MemoryState, Phone
from tests.served import Answer, Served

REGISTRATIONS = "/powerauth-cloud/v2/registrations"
STATUSES = ["CREATED", "PENDING_COMMIT", "ACTIVE", "BLOCKED", "REMOVED"]


async def in_status(served: Served, status: str) -> str:
    """The path of a registration in this status."""
    body = {"userId": "alice", "appId": "bank", "flags": ["vip"]}
    created = (await served.call("POST", REGISTRATIONS, body)).body
    path = f"{REGISTRATIONS}/{created['registrationId']}"
    if status == "CREATED":
        return path
    phone, code = Phone(MemoryState(), session=served.session), created["activationQrCodeData"]
    await phone.activate(served.public, served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
    if status != "PENDING_COMMIT":
        assert (await served.call("POST", f"{path}/commit")).status == 200
    if status in {"BLOCKED", "REMOVED"}:
        change = {"BLOCKED": "BLOCK", "REMOVED": "REMOVE"}[status]
        assert (await served.call("PUT", path, {"change": change})).status == 200
    return path


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["responseObject"]["code"]


async def test_flags_are_added_replaced_and_taken_away(served: Served) -> None:
    path = await in_status(served, "ACTIVE")

    async def flags(method: str, *given: str) -> list[str]:
        body = {"flags": list(given)} if method != "GET" else None
        answer = await served.call(method, f"{path}/flags", body)
        assert answer.status == 200
        assert answer.body["registrationId"] == path.rpartition("/")[2]
        return list(answer.body["flags"])

    assert await flags("GET") == ["vip"]
    assert await flags("POST", "b", "a", "vip", "a") == ["vip", "b", "a"]
    assert await flags("DELETE", "b", "unknown") == ["vip", "a"]
    assert await flags("PUT", "c", "c") == ["c"]
    assert await flags("PUT") == []
    assert await flags("POST", "d") == await flags("GET") == ["d"]
    assert (await served.call("GET", path)).body["flags"] == ["d"]
    found = await served.call("GET", f"/api/v1/audit?subjectId={path.rpartition('/')[2]}")
    changes = [entry["details"] for entry in found.body["items"] if entry["action"] == "registration.flags"]
    assert changes[-1] == {"from": ["vip"], "to": ["vip", "b", "a"]}
    assert len(changes) == 5


async def test_flags_have_limits(served_sqlite: Served) -> None:
    path = await in_status(served_sqlite, "ACTIVE")
    for given in ([""], ["x" * 256], ["x"] * 101, "x", [1]):
        answer = await served_sqlite.call("PUT", f"{path}/flags", {"flags": given})
        assert refused(answer) == (400, "ERROR_REQUEST"), given
    many = [f"f{number}" for number in range(100)]
    answer = await served_sqlite.call("POST", f"{path}/flags", {"flags": many})
    assert answer.body["responseObject"]["violations"][0]["fieldName"] == "flags"
    assert (await served_sqlite.call("PUT", f"{path}/flags", {"flags": many})).status == 200


async def test_flags_added_at_once_are_all_there(served: Served) -> None:
    path = await in_status(served, "ACTIVE")
    answers = await asyncio.gather(
        *(served.call("POST", f"{path}/flags", {"flags": [f"f{number}"]}) for number in range(20))
    )
    assert {answer.status for answer in answers} == {200}
    flags = (await served.call("GET", f"{path}/flags")).body["flags"]
    assert set(flags) == {"vip", *(f"f{number}" for number in range(20))}


@pytest.mark.parametrize("status", STATUSES)
async def test_which_status_admits_which_label(served_sqlite: Served, status: str) -> None:
    path = await in_status(served_sqlite, status)
    flags = await served_sqlite.call("POST", f"{path}/flags", {"flags": ["new"]})
    name = await served_sqlite.call("PUT", f"{path}/name", {"name": "Alice's new phone", "externalUserId": "anna"})
    if status == "REMOVED":
        assert refused(flags) == (400, "ERROR_REGISTRATION_CHANGE")
    else:
        assert flags.body["flags"] == ["vip", "new"]
    if status in {"CREATED", "REMOVED"}:
        assert refused(name) == (400, "ERROR_REGISTRATION_CHANGE")
    else:
        assert name.body == {"status": "OK"}
        assert (await served_sqlite.call("GET", path)).body["name"] == "Alice's new phone"


async def test_the_detail_counts_failures(served: Served) -> None:
    shown: dict[str, Any] = (await served.call("GET", await in_status(served, "ACTIVE"))).body
    assert (shown["failedAttempts"], shown["maxFailedAttempts"]) == (0, 5)


@pytest.mark.parametrize(
    ("setting", "deleted"), [("false", {"CREATED", "PENDING_COMMIT"}), ("true", set(STATUSES) - {"REMOVED"})]
)
async def test_delete_by_the_rule_and_by_the_setting(
    sqlite_url: str, tmp_path: Path, setting: str, deleted: set[str]
) -> None:
    async with Served.start(tmp_path, sqlite_url, delete_any_registration=setting) as served:
        for status in STATUSES:
            path = await in_status(served, status)
            answer = await served.call("DELETE", path, {"registrationId": "x", "externalUserId": "anna"})
            if status in deleted:
                assert answer.body == {"status": "OK"}
                assert (await served.call("GET", path)).body["registrationStatus"] == "REMOVED"
            else:
                assert refused(answer) == (400, "ERROR_REGISTRATION_CHANGE")
                assert (await served.call("GET", path)).body["registrationStatus"] == status
