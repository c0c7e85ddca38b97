"""Campaigns: one message to many users, each told once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import pytest

from ringback.messages.campaigns import AT_A_TIME, CAMPAIGNS_AT_A_TIME, MOST_WAITING
from ringback.messages.model_campaigns import TRANSITIONS
from ringback.push import TokenOwner
from ringback.store import Query, Tx
from tests.served import Answer, Login, Served

PATH = "/api/v1/campaigns"
TEXTS = {"en": {"title": "Closed on Monday", "message": "We are back on Tuesday."}, "cs": {"title": "Zavřeno"}}
_told = Query("test_told", "Whom a campaign's pushes went to.", "SELECT user_id FROM pushes WHERE campaign_id = $1")


async def create(served: Served, auth: Login | None = None, **fields: Any) -> Answer:
    return await served.call("POST", PATH, {"appId": "bank", "name": "Holiday", "texts": TEXTS, **fields}, auth=auth)


async def act(served: Served, campaign_id: str, what: str, body: Any = None) -> Answer:
    return await served.call("POST", f"{PATH}/{campaign_id}/{what}", body)


async def reach(served: Served, users: list[str]) -> None:
    """Each user has a UDS device whose app is reached by FCM; nobody has told us how to sign in there."""

    async def register(tx: Tx) -> None:
        for user in users:
            owner = TokenOwner("bank", user, device_pkid="desk")
            await served.rooms.push.tokens.register(tx, owner, "fcm", f"fcm-{user}")

    await served.installation.store.write(register)


async def until_over(served: Served, campaign_id: str) -> dict[str, Any]:
    while True:
        shown = (await served.call("GET", f"{PATH}/{campaign_id}")).body
        if shown["status"] in {"DONE", "CANCELLED"}:
            return dict(shown)
        await asyncio.sleep(0.02)


async def told(served: Served, campaign_id: str) -> Counter[str]:
    rows = await served.installation.store.read(lambda tx: tx.all(_told, campaign_id))
    return Counter(user for (user,) in rows)


async def test_a_list_of_users_each_told_once(served: Served) -> None:
    users = [f"user-{number:03}" for number in range(60)]
    await reach(served, users[:50])
    made = await create(served, users=users[:10])
    assert made.status == 201
    assert (made.body["status"], made.body["users"], made.body["audience"]) == ("DRAFT", 10, "LIST")
    campaign_id = made.body["id"]
    added = await act(served, campaign_id, "users", {"users": [*users[5:], users[20]]})
    assert added.body["users"] == 60
    assert (await act(served, campaign_id, "users", {"users": users[:3]})).body["users"] == 60
    assert (await act(served, campaign_id, "start")).body["status"] == "RUNNING"
    shown = await until_over(served, campaign_id)
    assert (shown["usersDone"], shown["usersTold"], shown["pushes"]) == (60, 50, 50)
    assert shown["content"]["texts"]["cs"] == {"title": "Zavřeno", "message": ""}
    assert await told(served, campaign_id) == Counter(users[:50])
    # The app has no push credential yet: they wait for one.
    assert (shown["pushesQueued"], shown["pushesDelivered"], shown["pushesFailed"]) == (50, 0, 0)


async def test_everyone_whom_the_app_can_reach(served: Served) -> None:
    users = [f"user-{number:03}" for number in range(2 * AT_A_TIME)]
    await reach(served, users)
    campaign_id = (await create(served, everyone=True)).body["id"]
    assert (await act(served, campaign_id, "start")).body["users"] == len(users)
    shown = await until_over(served, campaign_id)
    assert (shown["usersDone"], shown["usersTold"]) == (len(users), len(users))
    assert await told(served, campaign_id) == Counter(users)


async def test_it_goes_on_where_a_unit_ended(served_without_worker: Served) -> None:
    """Each unit keeps its place with the pushes that it queued: nobody is told twice, nobody left out."""
    served = served_without_worker
    campaigns, store = served.rooms.campaigns, served.installation.store
    users = [f"user-{number:03}" for number in range(AT_A_TIME + 10)]
    await reach(served, users)
    campaign_id = (await create(served, users=users)).body["id"]
    await act(served, campaign_id, "start")
    assert await store.write(campaigns.tell, 200) == 200
    halfway = (await served.call("GET", f"{PATH}/{campaign_id}")).body
    assert (halfway["status"], halfway["usersDone"], halfway["pushesQueued"]) == ("RUNNING", AT_A_TIME, AT_A_TIME)

    class Crash(Exception):
        pass

    async def crash(tx: Tx) -> None:
        await campaigns.tell(tx, 200)
        raise Crash

    with pytest.raises(Crash):
        await store.write(crash)
    assert await told(served, campaign_id) == Counter(users[:AT_A_TIME])
    assert (await act(served, campaign_id, "pause")).body["status"] == "PAUSED"
    assert await store.write(campaigns.tell, 200) == 0
    assert (await act(served, campaign_id, "resume")).body["status"] == "RUNNING"
    assert await store.write(campaigns.tell, 200) == 200
    assert await store.write(campaigns.tell, 200) == 0
    assert (await until_over(served, campaign_id))["status"] == "DONE"
    assert await told(served, campaign_id) == Counter(users)


async def test_no_more_are_queued_than_a_cancellation_may_leave(
    served_without_worker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = served_without_worker
    monkeypatch.setattr("ringback.messages.campaigns.MOST_WAITING", AT_A_TIME)
    assert MOST_WAITING > AT_A_TIME
    users = [f"user-{number:03}" for number in range(3 * AT_A_TIME)]
    await reach(served, users)
    campaign_id = (await create(served, users=users)).body["id"]
    await act(served, campaign_id, "start")
    for _ in range(5):
        await served.installation.store.write(served.rooms.campaigns.tell, 200)
    assert sum((await told(served, campaign_id)).values()) == AT_A_TIME
    assert (await act(served, campaign_id, "cancel")).body["status"] == "CANCELLED"
    assert await served.installation.store.write(served.rooms.campaigns.tell, 200) == 0


@pytest.mark.parametrize("what", ["start", "pause", "resume", "cancel"])
async def test_only_the_table_of_transitions(served_without_worker: Served, what: str) -> None:
    served = served_without_worker
    ways = {"DRAFT": [], "RUNNING": ["start"], "PAUSED": ["start", "pause"], "CANCELLED": ["cancel"]}
    for status, way in ways.items():
        campaign_id = (await create(served, users=["alice"])).body["id"]
        for step in way:
            assert (await act(served, campaign_id, step)).status == 200
        answer = await act(served, campaign_id, what)
        after = TRANSITIONS.get((status, what.upper()))  # type: ignore[call-overload]
        if after is None:
            assert (answer.status, answer.body["detail"]) == (409, f"The campaign is {status}.")
        else:
            assert (answer.status, answer.body["status"]) == (200, after)


async def test_another_app_s_campaign_is_unknown(served: Served) -> None:
    _, other = await served.new_tenant("shop")
    campaign_id = (await create(served, users=["alice"])).body["id"]
    unknown = await served.call("GET", f"{PATH}/00000000-0000-7000-8000-000000000000", auth=other)
    foreign = await served.call("GET", f"{PATH}/{campaign_id}", auth=other)
    assert (
        (foreign.status, foreign.body["detail"])
        == (unknown.status, unknown.body["detail"])
        == (
            404,
            "There is no such campaign.",
        )
    )
    for what in ("start", "cancel", "pause", "resume"):
        assert (await served.call("POST", f"{PATH}/{campaign_id}/{what}", auth=other)).status == 404
    assert (await create(served, auth=other)).status == 400
    assert (await served.call("GET", f"{PATH}?appId=bank", auth=other)).status == 400
    listed = await served.call("GET", f"{PATH}?appId=bank")
    assert [one["id"] for one in listed.body["items"]] == [campaign_id]
    assert (await served.call("GET", f"{PATH}/{campaign_id}", auth=served.admin)).status == 200


async def test_campaigns_whose_pushes_wait_hold_up_no_other(
    served_without_worker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of somebody whose credential is refused were all that was ever looked at."""
    served = served_without_worker
    monkeypatch.setattr("ringback.messages.campaigns.MOST_WAITING", AT_A_TIME)
    users = [f"user-{number:03}" for number in range(3 * AT_A_TIME)]
    await reach(served, users)
    made = []
    for _ in range(CAMPAIGNS_AT_A_TIME + 1):
        made.append((await create(served, users=users)).body["id"])
        await act(served, made[-1], "start")
    store, tell = served.installation.store, served.rooms.campaigns.tell
    rounds = 0
    while await store.write(tell, 200) == 200:
        rounds += 1
        assert rounds < 10
    assert [sum((await told(served, one)).values()) for one in made] == [AT_A_TIME] * len(made)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"texts": {}}, "texts"),
        ({"texts": {"not a language": {"title": "x"}}}, "texts"),
        ({"texts": {"en": {"title": "x" * 5_000}}}, "texts"),
        ({"texts": {"en": {"message": "no title"}}}, "texts"),
        ({"users": ["x" * 256]}, "users"),
        ({"users": [""]}, "users"),
        ({"users": ["x"] * 1_001}, "users"),
        ({"users": ["x"], "everyone": True}, "users"),
        ({"name": ""}, "name"),
        ({"extras": {"huge": "x" * 3_000}}, "extras"),
        ({"extras": {"escaped twice": ["\\" * 1_000]}}, "extras"),
    ],
)
async def test_what_is_wrong_is_named(served_sqlite: Served, fields: dict[str, Any], field: str) -> None:
    served = served_sqlite
    answer = await create(served, **fields)
    assert answer.status == 400, answer
    assert re.match(rf"{field}\b", answer.body["violations"][0]["fieldName"]), answer.body
    assert (await served.call("GET", f"{PATH}?appId=bank")).body["items"] == []


async def test_a_list_without_users_is_not_started_and_a_started_one_is_closed(served: Served) -> None:
    campaign_id = (await create(served)).body["id"]
    assert (await act(served, campaign_id, "start")).status == 409
    await act(served, campaign_id, "users", {"users": ["alice"]})
    await act(served, campaign_id, "start")
    late = await act(served, campaign_id, "users", {"users": ["bob"]})
    assert late.status == 409


async def test_the_same_request_twice_makes_one(served: Served) -> None:
    body = {"appId": "bank", "name": "Holiday", "texts": TEXTS}
    key = {"Idempotency-Key": "once"}
    first = await served.call("POST", PATH, body, headers=key)
    second = await served.call("POST", PATH, body, headers=key)
    assert first.body == second.body
    assert len((await served.call("GET", f"{PATH}?appId=bank")).body["items"]) == 1
