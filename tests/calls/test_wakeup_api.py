"""Push-only mode over HTTP, what phones ask, and what people read of calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.directory import Preferences
from ringback.protocols.sip.digest import answer, parse_challenge
from ringback.push import TokenOwner
from ringback.softphone import Phone
from ringback.store import Tx
from tests.calls.suspending import ALICE, CALLS, WAKEUPS, Proxy
from tests.calls.waking import until
from tests.peers.server import basic
from tests.served import Answer, Login


async def test_a_proxy_has_a_phone_woken(proxy: Proxy, phone: Phone) -> None:
    made = await proxy.wake()
    assert made.status == 201, made
    wakeup = made.body
    assert (wakeup["state"], wakeup["outcome"], wakeup["reason"]) == ("WAITING", None, None)
    assert wakeup["timestampDeadline"] == wakeup["timestampStarted"] + 40_000
    [push] = wakeup["pushes"]
    assert (push["appId"], push["registrationId"]) == ("bank", phone.state.activation_id)
    await proxy.settled()
    mail = await proxy.served.installation.store.read(
        proxy.served.rooms.streams._mailbox.after, phone.state.activation_id, ""
    )
    assert len(mail) == 1
    assert f'"pushid":"{push["pushId"]}"' in mail[0].payload
    assert '"displayname":"Bob"' in mail[0].payload
    asked = await proxy.phone_asks(push["pushId"], **{"X-PowerAuth-Token": await phone.token_header()})
    assert (asked.status, asked.body) == (200, {"callId": "call-1"})
    seen = await proxy.ask("POST", f"{wakeup['wakeupId']}/registered")
    assert (seen.status, seen.body["state"]) == (200, "REGISTERED")
    done = await proxy.ask("DELETE", f"{wakeup['wakeupId']}?reason=answered")
    assert (done.status, done.body["state"], done.body["outcome"]) == (200, "ENDED", "ANSWERED")
    await proxy.settled()
    shown = (await proxy.call(wakeup["wakeupId"])).body
    assert (shown["outcome"], shown["callId"], shown["mode"]) == ("ANSWERED", "call-1", "push-only")
    assert [step["step"] for step in shown["trace"]] == ["asked", "preference", "pushed", "registered", "ended"]
    assert shown["trace"][1]["details"] == {"mobile_push_enable": "always", "decided_by": "subscriber"}
    assert [(one["used"], one["kind"], one["pushId"]) for one in shown["considered"]] == [
        (True, "local", push["pushId"])
    ]
    assert [(one["pushId"], one["status"], len(one["attempts"])) for one in shown["pushes"]] == [
        (push["pushId"], "DELIVERED", 1)
    ]
    assert shown["durations"] == {"total": 0, "untilPush": 0, "pushToRegister": 0, "registerToEnd": 0}


async def test_the_same_call_is_one_wake_up(proxy: Proxy, phone: Phone) -> None:
    answers = await asyncio.gather(*(proxy.wake() for _ in range(5)))
    assert {one.status for one in answers} == {201}
    assert len({one.body["wakeupId"] for one in answers}) == 1
    await proxy.settled()
    again = await proxy.wake(callee="sip:alice@EXAMPLE.org;user=phone")
    first = answers[0].body
    assert (again.body["wakeupId"], len(again.body["pushes"])) == (first["wakeupId"], 1)
    mail = await proxy.served.installation.store.read(
        proxy.served.rooms.streams._mailbox.after, phone.state.activation_id, ""
    )
    assert len(mail) == 1
    assert (await proxy.wake("call-2")).body["wakeupId"] != first["wakeupId"]


async def test_a_push_of_a_call_leads_to_the_call_and_to_who_was_considered(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    asleep = TokenOwner("bank", "alice", "sleeping-phone")

    async def register(tx: Tx) -> None:
        await proxy.served.rooms.push.tokens.register(tx, asleep, "hms", "hms-1")

    await proxy.served.installation.store.write(register)
    wakeup = (await proxy.wake()).body
    [push] = wakeup["pushes"]
    await proxy.settled()
    await proxy.ask("DELETE", wakeup["wakeupId"])
    await proxy.settled()

    async def why(auth: Login | None = None) -> Answer:
        return await proxy.served.call("GET", f"/api/v1/pushes/{push['pushId']}", auth=auth)

    trace = (await why()).body
    assert (trace["noticeId"], trace["userId"]) == (None, "alice")
    assert (trace["subjectKind"], trace["subjectId"]) == ("call", wakeup["wakeupId"])
    considered = {one["kind"]: (one["used"], one["reason"], one["pushId"]) for one in trace["considered"]}
    call = (await proxy.call(trace["subjectId"])).body
    assert considered == {one["kind"]: (one["used"], one["reason"], one["pushId"]) for one in call["considered"]}
    assert considered["local"] == (True, None, push["pushId"])
    used, reason, _ = considered["hms"]
    assert not used
    assert reason
    assert trace["pushes"] == call["pushes"]
    assert len(trace["pushes"]) == 2, "the call, and that it is over"
    _, shop = await proxy.served.new_tenant("shop")
    assert (await why(shop)).status == 404


async def test_whoever_asks_again_at_once_is_told_of_the_pushes(proxy: Proxy, phone: Phone) -> None:
    """The process that pushed knows them before they are stored."""
    assert phone.state.activation_id
    made = (await proxy.wake()).body
    again = (await proxy.wake()).body
    seen = (await proxy.ask("GET", made["wakeupId"])).body
    registered = (await proxy.ask("POST", f"{made['wakeupId']}/registered")).body
    ended = (await proxy.ask("DELETE", made["wakeupId"])).body
    assert len(made["pushes"]) == 1
    assert [one["pushes"] for one in (again, seen, registered, ended)] == [made["pushes"]] * 4
    assert [one["state"] for one in (again, seen, registered, ended)] == ["WAITING", "WAITING", "REGISTERED", "ENDED"]


@pytest.mark.parametrize(("reason", "outcome"), [("cancelled", "CANCELLED"), ("answered_elsewhere",) * 2])
async def test_a_call_that_is_over_stops_the_phones(proxy: Proxy, phone: Phone, reason: str, outcome: str) -> None:
    wakeup = (await proxy.wake()).body
    await proxy.settled()
    ended = await proxy.ask("DELETE", f"{wakeup['wakeupId']}?reason={reason}")
    assert (ended.status, ended.body["outcome"]) == (200, outcome.upper())
    again = await proxy.ask("DELETE", f"{wakeup['wakeupId']}?reason=answered")
    assert (again.status, again.body["outcome"]) == (200, outcome.upper())
    await proxy.settled()
    mail = await proxy.served.installation.store.read(
        proxy.served.rooms.streams._mailbox.after, phone.state.activation_id, ""
    )
    assert ['"type":"incomingcall"' in one.payload for one in mail] == [True, False]
    assert f'"reason":"{reason}"' in mail[1].payload
    assert f'"pushid":"{wakeup["pushes"][0]["pushId"]}"' in mail[1].payload


async def test_whoever_waits_hears_at_once(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    wakeup = (await proxy.wake()).body["wakeupId"]
    await proxy.settled()
    waiting = asyncio.create_task(proxy.ask("GET", f"{wakeup}?waitSeconds=30"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await proxy.ask("POST", f"{wakeup}/registered")
    assert (await asyncio.wait_for(waiting, 20)).body["state"] == "REGISTERED"
    waiting = asyncio.create_task(proxy.ask("GET", f"{wakeup}?waitSeconds=30&known=REGISTERED"))
    await asyncio.sleep(0.05)
    await proxy.ask("DELETE", wakeup)
    assert (await asyncio.wait_for(waiting, 20)).body["outcome"] == "CANCELLED"
    assert (await proxy.ask("GET", f"{wakeup}?waitSeconds=0&known=REGISTERED")).body["state"] == "ENDED"


async def test_whoever_waits_when_the_server_stops_is_told_how_it_stands(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    wakeup = (await proxy.wake()).body["wakeupId"]
    await proxy.settled()
    waiting = asyncio.create_task(proxy.ask("GET", f"{wakeup}?waitSeconds=30"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    proxy.served.rooms.stop_streams()
    for told in (await asyncio.wait_for(waiting, 20), await proxy.ask("GET", f"{wakeup}?waitSeconds=30")):
        assert (told.status, told.body["state"]) == (200, "WAITING")


async def test_the_time_runs_out(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    missed = (await proxy.wake(timeoutSeconds=1)).body
    came = (await proxy.wake("call-2", timeoutSeconds=1)).body
    assert missed["timestampDeadline"] == missed["timestampStarted"] + 1000
    await proxy.ask("POST", f"{came['wakeupId']}/registered")
    ended = await proxy.ask("GET", f"{missed['wakeupId']}?waitSeconds=30")
    assert (ended.body["outcome"], ended.body["reason"]) == ("TIMEOUT", "no phone came in time")
    ended = await proxy.ask("GET", f"{came['wakeupId']}?waitSeconds=30&known=REGISTERED")
    assert (ended.body["outcome"], ended.body["reason"]) == ("DEFLECTED", None)


@pytest.mark.parametrize(
    ("preferences", "disabled", "outcome", "reason"),
    [
        (Preferences(mobile_push_enable="never"), False, "NOT_ENABLED", "mobile_push_enable is never (subscriber)"),
        (Preferences(), False, "NOT_ENABLED", "mobile_push_enable is never (built in)"),
        (Preferences(mobile_push_enable="always"), True, "NOT_ENABLED", "the subscriber is disabled"),
        (Preferences(mobile_push_enable="no_reg"), False, "NO_PHONE", "the callee has no phone that can be woken"),
    ],
)
async def test_nobody_is_woken(
    proxy: Proxy, preferences: Preferences, disabled: bool, outcome: str, reason: str
) -> None:
    await proxy.subscriber("eva", preferences, disabled=disabled)
    made = await proxy.wake(callee="eva@example.org")
    assert made.status == 201
    seen = await proxy.ask("GET", made.body["wakeupId"])
    again = await proxy.wake(callee="eva@example.org")
    ended = await proxy.ask("DELETE", made.body["wakeupId"])
    await proxy.settled()
    shown = await proxy.call(made.body["wakeupId"])
    for told in (made, seen, again, ended):
        assert (told.body["state"], told.body["pushes"]) == ("ENDED", [])
    for told in (made, seen, again, ended, shown):
        assert (told.body["outcome"], told.body["reason"]) == (outcome, reason)
    assert [step["step"] for step in shown.body["trace"]][-1] == "ended"


async def test_an_unknown_callee_is_refused_and_on_record(proxy: Proxy) -> None:
    for _ in range(2):
        made = await proxy.wake(callee="nobody@example.org")
        assert (made.status, made.body["detail"]) == (404, "There is no such subscriber.")
    await proxy.settled()
    found = (await proxy.served.call("GET", f"{CALLS}?outcome=unknown_callee", auth=proxy.served.admin)).body
    assert [one["callee"] for one in found["items"]] == ["nobody@example.org"]


@pytest.mark.parametrize("callee", ["alice", "tel:+1", "@example.org", "alice@", "a b@example.org"])
async def test_a_callee_is_an_address(proxy: Proxy, callee: str) -> None:
    made = await proxy.wake(callee=callee)
    assert (made.status, made.body["violations"][0]["fieldName"]) == (400, "callee")


async def test_only_a_proxy_may_ask(proxy: Proxy) -> None:
    for login in (proxy.served.admin, proxy.served.integration):
        for method, path in (("POST", ""), ("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/registered")):
            body = {"callee": ALICE, "caller": "x", "callId": "x"} if path == "" else None
            assert (await proxy.served.call(method, WAKEUPS + path, body, auth=login)).status == 403
    for method, path in (("GET", "x"), ("DELETE", "x"), ("POST", "x/registered")):
        assert (await proxy.ask(method, path)).status == 404
    assert (await proxy.served.call("GET", CALLS, auth=proxy.login)).status == 403


async def test_only_the_phone_that_was_pushed_learns_which_call_it_is(proxy: Proxy, phone: Phone) -> None:
    another = await proxy.phone("alice")
    stranger = await proxy.phone("mallory")
    await proxy.served.call(
        "POST", "/api/v1/users", {"userId": "alice", "password": "correct horse"}, auth=proxy.served.admin
    )
    await proxy.served.call(
        "POST", "/api/v1/users", {"userId": "mallory", "password": "correct horse"}, auth=proxy.served.admin
    )
    push_id = (await proxy.wake()).body["pushes"][0]["pushId"]

    async def ask(asked: str, one: Phone) -> Answer:
        return await proxy.phone_asks(asked, **{"X-PowerAuth-Token": await one.token_header()})

    for on_its_way in (True, False):
        if not on_its_way:
            await proxy.settled()
        assert (await ask(push_id, phone)).body == {"callId": "call-1"}
        by_password = await proxy.phone_asks(push_id, Authorization=basic("alice", "correct horse"))
        assert (by_password.status, by_password.body) == (200, {"callId": "call-1"})
        refused = [
            await ask(push_id, another),
            await ask(push_id, stranger),
            await ask("0" * 36, phone),
            await proxy.phone_asks(push_id, Authorization=basic("mallory", "correct horse")),
            await proxy.phone_asks("0" * 36, Authorization=basic("alice", "correct horse")),
        ]
        assert {one.status for one in refused} == {404}
        assert len({str({**one.body, "instance": ""}) for one in refused}) == 1
    proxy.clock.advance(49)
    assert (await ask(push_id, phone)).status == 200
    proxy.clock.advance(2)
    assert (await ask(push_id, phone)).status == 404


async def test_a_phone_proves_itself_by_its_sip_password(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    push_id = (await proxy.wake()).body["pushes"][0]["pushId"]
    path = f"/api/v1/calls/by-notification/{push_id}"
    async with proxy.served.session.get(proxy.served.public + path) as refused:
        assert refused.status == 401
        offered = refused.headers["WWW-Authenticate"]
    assert offered.count("Digest ") == 2
    assert "Basic " in offered
    challenge = parse_challenge(offered.partition(", Digest ")[0])
    proven = answer(challenge, "GET", path, "alice", password="secret", cnonce="c0ffee", nc=1)
    asked = await proxy.phone_asks(push_id, Authorization=str(proven))
    assert (asked.status, asked.body) == (200, {"callId": "call-1"})
    wrong = answer(challenge, "GET", path, "alice", password="wrong", cnonce="c0ffee", nc=2)
    assert (await proxy.phone_asks(push_id, Authorization=str(wrong))).status == 401


async def test_a_mac_token_that_proves_nothing_is_refused(proxy: Proxy) -> None:
    for header in ("", "PowerAuth", "nonsense"):
        assert (await proxy.phone_asks("x", **{"X-PowerAuth-Token": header})).status == 401


async def test_back_ends_see_the_calls_of_their_apps(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    _, shop = await proxy.served.new_tenant("shop")
    wakeup = (await proxy.wake()).body["wakeupId"]
    await proxy.settled()
    for login in (proxy.served.admin, proxy.served.integration):
        assert (await proxy.call(wakeup, login)).body["callee"] == ALICE
        listed = (await proxy.served.call("GET", CALLS, auth=login)).body
        assert [one["id"] for one in listed["items"]] == [wakeup]
    assert (await proxy.call(wakeup, shop)).status == 404
    assert (await proxy.served.call("GET", CALLS, auth=shop)).body == {"items": [], "nextCursor": None}


async def test_calls_are_found_and_paged(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    await proxy.subscriber("eva", Preferences(mobile_push_enable="never"))
    times = []
    for number in range(6):
        times.append(proxy.clock.now_ms())
        callee = "eva@example.org" if number % 2 else ALICE
        assert (await proxy.wake(f"call-{number}", callee)).status == 201
        proxy.clock.advance(1)
    await proxy.settled()

    async def found(query: str) -> list[str]:
        answer = await proxy.served.call("GET", f"{CALLS}?{query}")
        assert answer.status == 200, answer
        return [one["callId"] for one in answer.body["items"]]

    assert await found("") == [f"call-{number}" for number in (5, 4, 3, 2, 1, 0)]
    for query in (f"callee={ALICE}", "userId=alice", "outcome=WAITING", "outcome=waiting&domain=Example.ORG"):
        assert await found(query) == ["call-4", "call-2", "call-0"], query
    assert await found("callee=eva@Example.org&outcome=NOT_ENABLED&mode=push-only") == ["call-5", "call-3", "call-1"]
    assert await found(f"from={times[2]}&to={times[4]}") == ["call-3", "call-2"]
    assert await found(f"callee={ALICE}&from={times[1]}") == ["call-4", "call-2"]
    assert await found("callId=call-3") == ["call-3"]
    for query in ("domain=example.com", "caller=x", "mode=embedded", "userId=bob"):
        assert await found(query) == []
    for field in ("outcome", "mode"):
        refused = await proxy.served.call("GET", f"{CALLS}?{field}=x")
        assert (refused.status, refused.body["violations"][0]["fieldName"]) == (400, field)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await proxy.served.call("GET", f"{CALLS}?limit=2&callee={ALICE}&cursor={cursor}")).body
        seen += [one["callId"] for one in page["items"]]
        cursor = page["nextCursor"] or ""
        if not cursor:
            break
    assert seen == ["call-4", "call-2", "call-0"]


async def test_a_phone_of_an_app_that_may_not_know_of_the_call_is_left_out(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    await proxy.served.new_tenant("shop")

    async def register(tx: Tx) -> None:
        await proxy.served.rooms.push.tokens.register(
            tx, TokenOwner("shop", "alice", registration_id="r-of-shop"), "fcm", "a-push-token-of-the-shop"
        )

    await proxy.served.installation.store.write(register)
    wakeup = (await proxy.wake()).body["wakeupId"]
    await proxy.settled()
    own = (await proxy.call(wakeup)).body["considered"]
    everything = (await proxy.call(wakeup, proxy.served.admin)).body["considered"]
    assert [one["appId"] for one in own] == ["bank"]
    assert sorted(one["appId"] for one in everything) == ["bank", "shop"]


async def test_callbacks_are_told(proxy: Proxy, phone: Phone) -> None:
    assert phone.state.activation_id
    path = "/powerauth-cloud/v2/admin/applications/bank/callbacks"
    wanted = ["change", "callId", "callee", "outcome", "pushes", "reason", "timestampEnded"]
    hook = {
        "name": "calls",
        "type": "CALL_STATUS_CHANGE",
        "callbackUrl": "https://hooks.example.com/",
        "attributes": wanted,
    }
    made = (await proxy.served.call("POST", path, hook)).body
    refused = await proxy.served.call("POST", path, {**hook, "attributes": ["activationName"]})
    assert refused.status == 400
    wakeup = (await proxy.wake()).body["wakeupId"]
    await proxy.settled()
    proxy.clock.advance(1)
    await proxy.ask("DELETE", wakeup)

    async def told() -> list[Any]:
        listed = await proxy.served.call("GET", f"/api/v1/callbacks/{made['id']}/deliveries")
        return [one["payload"] for one in listed.body["items"]]

    async def both() -> bool:
        return len(await told()) == 2

    await until(both)
    known = {"type": "CALL", "wakeupId": wakeup, "callId": "call-1", "callee": ALICE}
    ended, started = await told()
    assert started == {
        **known, "change": "STARTED", "outcome": None, "pushes": 0, "reason": None, "timestampEnded": None,
    }  # fmt: skip
    assert ended == {
        **known,
        "change": "ENDED",
        "outcome": "CANCELLED",
        "pushes": 1,
        "reason": "cancelled",
        "timestampEnded": proxy.clock.now_ms(),
    }
