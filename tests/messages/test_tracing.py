"""A reason for every push: who was considered, why each was or was not used, what became of it, what happens next."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli import push_why
from ringback.clock import ManualClock
from ringback.commands import COMMANDS
from ringback.errors import PushNotFound
from ringback.softphone import MemoryState, Phone
from ringback.store import Command, Tx
from tests.messages.bank import INBOX, MESSAGES, PUSHES, SEND, SHORT, Bank
from tests.served import Served

_forget_notice = Command("test_forget_notice", "As of a call.", "UPDATE pushes SET notice_id = NULL WHERE id = $1")
_attempted = Command(
    "test_attempted",
    "An attempt on record.",
    "INSERT INTO delivery_attempts (delivery_id, attempt, at, outcome, detail, duration_ms)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
)
_delivery = Command(
    "test_delivery",
    "Where a delivery is.",
    "UPDATE deliveries SET state = $2, next_attempt_at = $3 WHERE id = $1",
    expect_one=True,
)
TEXT = {"type": "text", "subject": "News", "summary": "There is news.", "body": "All of the news."}


async def test_every_push_token_with_its_reason_and_what_happens_next(bank: Bank) -> None:
    phone, blocked = await bank.with_local("jan", "cs"), await bank.with_local("jan")
    bare, _ = await bank.phone("jan"), await bank.phone("eva")
    await bank.served.call(
        "PUT", f"/powerauth-cloud/v2/registrations/{blocked.state.activation_id}", {"change": "BLOCK"}
    )
    sent = await bank.post(SEND, userId="jan", **SHORT)
    trace = await bank.trace(sent.body["messageId"])
    assert (trace["noticeId"], trace["subjectId"]) == (sent.body["messageId"], sent.body["messageId"])
    assert (trace["userId"], trace["subjectKind"], trace["timestampCreated"]) == ("jan", "message", bank.clock.now_ms())
    reasons = {one["registrationId"]: one["reason"] for one in trace["considered"]}
    assert reasons == {
        phone.state.activation_id: None,
        blocked.state.activation_id: "the registration is blocked",
        bare.state.activation_id: "this phone has no push token",
    }
    [used] = [one for one in trace["considered"] if one["used"]]
    assert (used["kind"], used["language"], used["appId"]) == ("local", "cs", "bank")
    [push] = trace["pushes"]
    assert used["pushId"] == push["pushId"]
    assert (push["status"], push["attempts"], push["next"]) == ("QUEUED", [], "It is sent as soon as there is room.")
    assert await bank.trace(push["pushId"]) == trace


async def test_push_tokens_are_shown_by_their_ends(bank: Bank) -> None:
    phone = await bank.phone("jan")
    await bank.register("jan", phone, "fcm")
    sent = await bank.post(SEND, userId="jan", **SHORT)
    trace = await bank.trace(sent.body["messageId"])
    assert trace["considered"][0]["pushToken"] == f"fcm-pu…{(phone.state.activation_id or '')[-6:]}"
    assert "push-token-of" not in json.dumps(trace)


async def test_what_became_of_a_push_is_told_by_the_server_that_delivers(served: Served) -> None:
    bank = Bank(served, clock=None)  # type: ignore[arg-type]
    bank.clock = type("Still", (), {"advance": lambda *_: None, "now_ms": served.installation.clock.now_ms})()
    await bank.with_local("jan")
    sent = await bank.post(SEND, userId="jan", **SHORT)
    async with asyncio.timeout(60):
        while (trace := await bank.trace(sent.body["messageId"]))["pushes"][0]["status"] == "QUEUED":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    [push] = trace["pushes"]
    assert (push["status"], push["reason"], push["timestampNextAttempt"]) == ("DELIVERED", None, None)
    assert push["next"] == "Nothing: the provider has taken it."
    status = (await bank.get(f"{MESSAGES}/{sent.body['messageId']}")).body
    assert [one["status"] for one in status["deliveries"]] == ["DELIVERED"]


async def test_messages_say_what_became_of_them_at_each_push_token(bank: Bank) -> None:
    phone, bare = await bank.with_local("jan"), await bank.phone("jan")
    made = (await bank.post(MESSAGES, userId="jan", title="a")).body
    status = (await bank.get(f"{MESSAGES}/{made['messageId']}")).body
    shown = {one["registrationId"]: (one["status"], one["reason"], one["pushId"]) for one in status["deliveries"]}
    assert shown == {
        phone.state.activation_id: ("QUEUED", None, made["pushIds"][0]),
        bare.state.activation_id: ("NOT_SENT", "this phone has no push token", None),
    }
    inbox = (await bank.post(INBOX, userId="jan", **TEXT)).body
    assert len((await bank.get(f"{MESSAGES}/{inbox['id']}")).body["deliveries"]) == 2
    silent = (await bank.post(INBOX, userId="jan", silent=True, **TEXT)).body
    for unknown in (silent["id"], "unknown"):
        assert (await bank.get(f"{MESSAGES}/{unknown}")).status == 404


async def test_lists_of_a_user_an_operation_and_a_message(bank: Bank) -> None:
    await bank.with_local("jan")
    operation = await bank.ask(userId="jan")
    sent = (await bank.post(SEND, userId="jan", **SHORT)).body
    await bank.post(SEND, userId="eva", **SHORT)

    async def listed(query: str) -> tuple[list[str], str | None]:
        body = (await bank.get(f"{PUSHES}?{query}")).body
        return [one["subjectId"] for one in body["items"]], body["nextCursor"]

    assert await listed("userId=jan") == ([sent["messageId"], operation["operationId"]], None)
    assert await listed(f"operationId={operation['operationId']}") == ([operation["operationId"]], None)
    assert await listed(f"messageId={sent['messageId']}") == ([sent["messageId"]], None)
    assert await listed("userId=nobody") == ([], None)
    first, cursor = await listed("userId=jan&limit=1")
    assert (first, await listed(f"userId=jan&limit=1&cursor={cursor}")) == (
        [sent["messageId"]], ([operation["operationId"]], None),
    )  # fmt: skip
    for query in ("", "userId=jan&messageId=x", "userId=a%00b", "userId=jan&cursor=!", "userId=jan&limit=0"):
        assert (await bank.get(f"{PUSHES}?{query}")).status == 400, query


async def test_another_back_end_learns_nothing(bank: Bank) -> None:
    _, shop = await bank.served.new_tenant("shop")
    await bank.with_local("jan")
    sent = (await bank.post(SEND, userId="jan", **SHORT)).body
    push_id = (await bank.trace(sent["messageId"]))["pushes"][0]["pushId"]
    unknown = await bank.get(f"{PUSHES}/unknown", auth=shop)
    for path in (f"{PUSHES}/{sent['messageId']}", f"{PUSHES}/{push_id}", f"{MESSAGES}/{sent['messageId']}"):
        answer = await bank.get(path, auth=shop)
        assert (answer.status, answer.body) == (unknown.status, unknown.body) == (404, unknown.body)
    for query in ("userId=jan", f"messageId={sent['messageId']}"):
        assert (await bank.get(f"{PUSHES}?{query}", auth=shop)).body == {"items": [], "nextCursor": None}
    theirs = (await bank.post(SEND, auth=shop, userId="jan", **SHORT)).body
    trace = await bank.trace(theirs["messageId"], auth=shop)
    assert (trace["considered"], trace["pushes"]) == ([], [])
    everything = await bank.trace(theirs["messageId"], auth=bank.served.admin)
    assert [one["reason"] for one in everything["considered"]] == [
        "the app is not one of the apps of whoever sent this"
    ]
    assert (await bank.trace(push_id, auth=bank.served.admin))["noticeId"] == sent["messageId"]


async def test_a_push_of_no_notice_is_told_alone(bank: Bank) -> None:
    await bank.with_local("jan")
    made = (await bank.post(MESSAGES, userId="jan", title="a")).body
    push_id = made["pushIds"][0]

    async def forget(tx: Tx) -> None:
        await tx.run(_forget_notice, push_id)

    await bank.served.installation.store.write(forget)
    trace = await bank.trace(push_id)
    assert (trace["noticeId"], trace["considered"], trace["userId"]) == (None, [], "jan")
    assert [one["pushId"] for one in trace["pushes"]] == [push_id]
    _, shop = await bank.served.new_tenant("shop")
    assert (await bank.get(f"{PUSHES}/{push_id}", auth=shop)).status == 404


async def test_each_attempt_with_its_time_answer_and_what_happens_next(bank: Bank) -> None:
    await bank.with_local("jan")
    sent = (await bank.post(SEND, userId="jan", **SHORT)).body
    push_id = (await bank.trace(sent["messageId"]))["pushes"][0]["pushId"]
    store, now = bank.served.installation.store, bank.clock.now_ms()

    async def tried(tx: Tx, number: int, outcome: str, answer: str | None, state: str) -> None:
        await tx.run(_delivery, push_id, state, now + 5_000)
        await tx.run(_attempted, push_id, number, now + number, outcome, answer, 10 * number)

    async def shown() -> tuple[list[Any], str, int | None]:
        [push] = (await bank.trace(push_id))["pushes"]
        attempts = [list(one.values()) for one in push["attempts"]]
        return attempts, push["next"], push["timestampNextAttempt"]

    await store.write(tried, 1, "FAILED", "503 ServiceUnavailable", "READY")
    first = [1, now + 1, "FAILED", "503 ServiceUnavailable", 10]
    assert await shown() == ([first], "It is sent again.", now + 5_000)
    await store.write(tried, 2, "FAILED", "no answer within 20 s", "LEASED")
    second = [2, now + 2, "FAILED", "no answer within 20 s", 20]
    assert await shown() == ([first, second], "It is being sent now.", None)


async def test_the_command_line_tells_it_to_people(served_sqlite: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank(served_sqlite, ManualClock())
    phone = Phone(MemoryState(), session=served_sqlite.session)
    wanted = {"userId": "jan", "appId": "bank"}
    made = (await served_sqlite.call("POST", "/powerauth-cloud/v2/registrations", wanted)).body
    config = served_sqlite.app["mobileSdkConfig"]
    await phone.activate(served_sqlite.public, config, made["activationQrCodeData"], name="Phone", pin="1234")
    sent = (await bank.post(SEND, userId="jan", **SHORT)).body

    async def why(*words: str) -> Result:
        async def here(name: str, **arguments: Any) -> Any:
            return await COMMANDS[name](served_sqlite.installation, served_sqlite.rooms, **arguments)

        loop = asyncio.get_running_loop()

        def run_command(name: str, /, **arguments: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(here(name, **arguments), loop).result()

        monkeypatch.setattr(push_why, "run_command", run_command)
        return await asyncio.to_thread(CliRunner().invoke, push_why.why, list(words))

    told = await why(sent["messageId"])
    assert told.exit_code == 0, told.output
    assert f"message {sent['messageId']}  to jan" in told.output
    assert f"of registration {made['registrationId']} in bank: the registration is not committed yet" in told.output
    assert (await why("--user", "jan")).output == told.output
    [trace] = json.loads((await why("--user", "jan", "--json")).output)
    assert trace["noticeId"] == sent["messageId"]
    assert "nothing to tell" in (await why("--user", "eva")).output
    assert isinstance((await why("unknown")).exception, PushNotFound)
    for words in ((), ("a", "--user", "b")):
        assert (await why(*words)).exit_code == 2
