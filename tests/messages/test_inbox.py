"""The inbox: what a back end puts there, and what the user's phones read of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ringback.softphone import InboxMessageUnknown, MacTokenRefused, Phone, RefusedByServer
from ringback.store import Query
from tests.messages.bank import INBOX, MESSAGES, Bank
from tests.served import Answer

TEXT = {"type": "text", "subject": "News", "summary": "There is news.", "body": "All of the news."}
_pushed = Query("test_pushed", "What is pushed.", "SELECT payload FROM pushes ORDER BY id", row=str)
_texts = Query("test_texts", "What is kept.", "SELECT id FROM inbox_messages", row=str)


async def put(bank: Bank, user: str = "jan", **fields: Any) -> dict[str, Any]:
    made = await bank.post(INBOX, **{"userId": user, **TEXT, **fields})
    assert made.status == 200, made
    body: dict[str, Any] = made.body
    return body


async def pushed(bank: Bank) -> list[dict[str, Any]]:
    rows = await bank.served.installation.store.read(lambda tx: tx.all(_pushed))
    return [json.loads(row) for row in rows]


async def raw(bank: Bank, phone: Phone, path: str, body: Any) -> Answer:
    """A phone's request whose answer is looked at to the letter."""
    request = await phone._token_request(f"/api/inbox{path}", {})
    headers = {**request.headers, "Content-Type": "application/json"}
    return await bank.served.phone_call("POST", f"/api/inbox{path}", body, headers=headers)


async def test_a_message_is_answered_to_the_letter_and_a_push_tells_of_it(bank: Bank) -> None:
    await bank.with_local("jan")
    made = await put(bank, type="html", silent=False)
    assert made == {
        "id": made["id"],
        "userId": "jan",
        "type": "html",
        "subject": "News",
        "summary": "There is news.",
        "body": "All of the news.",
        "read": False,
        "timestamp": bank.clock.now_ms(),
        "applications": ["bank"],
    }
    [push] = await pushed(bank)
    assert (push["title"], push["message"]) == ("News", "There is news.")
    assert push["extras"] == {"messageType": "mtoken.inboxMessage.new", "inboxId": made["id"]}
    told = (await bank.get(f"{MESSAGES}/{made['id']}")).body
    assert (told["messageId"], [one["status"] for one in told["deliveries"]]) == (made["id"], ["QUEUED"])
    await put(bank, silent=True)
    assert len(await pushed(bank)) == 1


async def test_the_phone_counts_lists_shows_and_reads(bank: Bank) -> None:
    phone = await bank.phone("jan")
    first, second = await put(bank), await put(bank, subject="Newer")
    await put(bank, "eva")
    assert await phone.count_unread() == 2
    listed = await phone.list_inbox()
    assert [(one.id, one.subject, one.read) for one in listed] == [
        (second["id"], "Newer", False),
        (first["id"], "News", False),
    ]
    shown = await phone.inbox_message(first["id"])
    assert (shown.body, shown.read, shown.type) == ("All of the news.", False, "text")
    for _ in range(2):
        await phone.mark_read(first["id"])
    assert await phone.count_unread() == 1
    assert [one.id for one in await phone.list_inbox(only_unread=True)] == [second["id"]]
    assert (await phone.inbox_message(first["id"])).read
    assert (await bank.get(f"{INBOX}/{first['id']}")).body["read"] is True
    await phone.mark_all_read()
    assert (await phone.count_unread(), await phone.list_inbox(only_unread=True)) == (0, [])
    assert len(await phone.list_inbox()) == 2


async def test_all_is_read_also_what_a_server_whose_clock_is_ahead_has_stored(bank: Bank) -> None:
    phone = await bank.phone("jan")
    await phone.mark_all_read()
    await put(bank)
    bank.clock.advance(3)
    await put(bank)
    bank.clock.advance(-3)
    await phone.mark_all_read()
    assert await phone.count_unread() == 0


async def test_the_answers_to_a_phone_to_the_letter(bank: Bank) -> None:
    phone = await bank.phone("jan")
    bank.clock.advance(0.702)
    made = await put(bank)
    item = {
        "id": made["id"],
        "type": "text",
        "subject": "News",
        "summary": "There is news.",
        "read": False,
        "timestampCreated": "2027-01-15T08:00:00.703+00:00",
    }
    wanted = {"requestObject": {"page": 0, "size": 10, "onlyUnread": False}}
    assert (await raw(bank, phone, "/count", {})).body == {"status": "OK", "responseObject": {"countUnread": 1}}
    for body in (wanted, {}, {"requestObject": {}}):
        assert (await raw(bank, phone, "/message/list", body)).body == {"status": "OK", "responseObject": [item]}
    asked = {"requestObject": {"id": made["id"]}}
    detail = (await raw(bank, phone, "/message/detail", asked)).body
    assert detail == {"status": "OK", "responseObject": {**item, "body": "All of the news."}}
    assert (await raw(bank, phone, "/message/read", asked)).body == {"status": "OK"}
    assert (await raw(bank, phone, "/message/read-all", {})).body == {"status": "OK"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/message/list", {"requestObject": {"page": -1}}),
        ("/message/list", {"requestObject": {"size": 0}}),
        ("/message/list", {"requestObject": {"size": 1001}}),
        ("/message/list", {"requestObject": {"page": 101, "size": 100}}),
        ("/message/list", {"requestObject": {"onlyUnread": "yes"}}),
        ("/message/detail", {}),
        ("/message/detail", {"requestObject": {"id": "unknown"}}),
        ("/message/read", {"requestObject": {"id": ""}}),
        ("/message/read", {"requestObject": {"id": "unknown"}}),
        ("/message/read", {"requestObject": {"id": "a\0b"}}),
    ],
)
async def test_what_a_phone_is_refused(bank_sqlite: Bank, path: str, body: Any) -> None:
    phone = await bank_sqlite.phone("jan")
    refused = await raw(bank_sqlite, phone, path, body)
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "INVALID_REQUEST")


async def test_a_phone_sees_only_its_users_messages_in_its_app(bank: Bank) -> None:
    phone, eva = await bank.phone("jan"), await bank.phone("eva")
    _, shop = await bank.served.new_tenant("shop")
    elsewhere = (await bank.post(INBOX, auth=shop, userId="jan", **TEXT)).body
    made = await put(bank)
    assert [one.id for one in await phone.list_inbox()] == [made["id"]]
    for whose, message_id in ((phone, elsewhere["id"]), (eva, made["id"])):
        for act in (whose.inbox_message, whose.mark_read):
            with pytest.raises(InboxMessageUnknown):
                await act(message_id)
    await eva.mark_all_read()
    assert await phone.count_unread() == 1


async def test_without_a_right_mac_token_the_inbox_stays_shut(bank: Bank) -> None:
    phone = await bank.phone("jan")
    await phone.create_token()
    assert (await bank.served.phone_call("POST", "/api/inbox/count", {})).status == 401
    wrong = await bank.served.phone_call(
        "POST", "/api/inbox/message/read", {"requestObject": {"id": "x"}}, headers={"X-PowerAuth-Token": "PowerAuth"}
    )
    assert (wrong.status, wrong.body["responseObject"]["code"]) == (401, "POWERAUTH_AUTH_FAIL")
    made = await put(bank)
    registration = f"/powerauth-cloud/v2/registrations/{phone.state.activation_id}"
    await bank.served.call("PUT", registration, {"change": "BLOCK"})
    for act in (phone.count_unread, phone.list_inbox, phone.mark_all_read):
        with pytest.raises(MacTokenRefused):
            await act()
    with pytest.raises(RefusedByServer):
        await phone.mark_read(made["id"])
    assert (await bank.get(f"{INBOX}/{made['id']}")).body["read"] is False


async def test_read_in_one_app_is_read_in_all(bank: Bank) -> None:
    _, shop = await bank.served.new_tenant("shop")
    admin = bank.served.admin
    await bank.post("/powerauth-cloud/admin/users/bank-back-end/applications/shop", auth=admin)
    phone = await bank.phone("jan")
    both = await put(bank)
    assert both["applications"] == ["bank", "shop"]
    assert (await put(bank, applications=["bank"]))["applications"] == ["bank"]
    await phone.mark_read(both["id"])
    listed = (await bank.get(f"{INBOX}?userId=jan", auth=shop)).body["messages"]
    assert [(one["id"], one["read"]) for one in listed] == [(both["id"], True)]
    assert (await bank.post(INBOX, auth=shop, userId="jan", **TEXT, applications=["bank"])).status == 400


async def test_the_back_end_lists_looks_and_deletes(bank: Bank) -> None:
    phone = await bank.phone("jan")
    made = [await put(bank, subject=f"News {n}") for n in range(3)]
    await phone.mark_read(made[1]["id"])

    async def listed(query: str) -> list[str]:
        return [one["subject"] for one in (await bank.get(f"{INBOX}?userId=jan{query}")).body["messages"]]

    assert await listed("") == ["News 2", "News 1", "News 0"]
    assert await listed("&onlyUnread=true") == ["News 2", "News 0"]
    assert await listed("&pageNumber=1&pageSize=2") == ["News 0"]
    assert (await bank.get(f"{INBOX}?userId=eva")).body == {"messages": []}
    path = f"{INBOX}/{made[1]['id']}"
    assert (await bank.get(path)).body == {**made[1], "read": True}
    assert (await bank.served.call("DELETE", path)).body == {"status": "OK"}
    for gone in (await bank.get(path), await bank.served.call("DELETE", path)):
        assert (gone.status, gone.body["responseObject"]["code"]) == (400, "ERROR_INBOX_NOT_FOUND")
    assert await listed("") == ["News 2", "News 0"]
    with pytest.raises(InboxMessageUnknown):
        await phone.inbox_message(made[1]["id"])


async def test_a_message_of_two_back_ends_stays_with_the_other_one(bank: Bank) -> None:
    _, shop = await bank.served.new_tenant("shop")
    await bank.post("/powerauth-cloud/admin/users/bank-back-end/applications/shop", auth=bank.served.admin)
    both = await put(bank)
    path = f"{INBOX}/{both['id']}"
    assert (await bank.get(path, auth=shop)).body["applications"] == ["shop"]
    assert (await bank.served.call("DELETE", path, auth=shop)).status == 200
    assert (await bank.get(path, auth=shop)).status == 400
    assert (await bank.get(path)).body["applications"] == ["bank"]


async def test_nothing_is_left_of_what_two_back_ends_delete_at_the_same_time(bank: Bank) -> None:
    admin, shops_place = bank.served.admin, "/powerauth-cloud/admin/users/bank-back-end/applications/shop"
    _, shop = await bank.served.new_tenant("shop")
    await bank.post(shops_place, auth=admin)
    both = [await put(bank, silent=True) for _ in range(30)]
    assert (await bank.served.call("DELETE", shops_place, auth=admin)).status == 200
    for one in both:
        path = f"{INBOX}/{one['id']}"
        answers = await asyncio.gather(bank.served.call("DELETE", path), bank.served.call("DELETE", path, auth=shop))
        assert [answer.status for answer in answers] == [200, 200]
    assert await bank.served.installation.store.read(lambda tx: tx.all(_texts)) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subject": " "}, "ERROR_INBOX"),
        ({"summary": ""}, "ERROR_INBOX"),
        ({"body": "\n"}, "ERROR_INBOX"),
        ({"type": "markdown"}, "ERROR_REQUEST"),
        ({"subject": "x" * 5000}, "ERROR_REQUEST"),
        ({"summary": "x" * 4097}, "ERROR_REQUEST"),
        ({"body": "x" * 200_001}, "ERROR_REQUEST"),
        ({"userId": None}, "ERROR_REQUEST"),
        ({"applications": []}, "ERROR_REQUEST"),
    ],
)
async def test_what_a_back_end_is_refused(bank_sqlite: Bank, fields: dict[str, Any], code: str) -> None:
    bank = bank_sqlite
    refused = await bank.post(INBOX, **{"userId": "jan", **TEXT, **fields})
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, code)
    assert next(iter(fields)) in refused.body["responseObject"]["message"]
    assert (await bank.get(f"{INBOX}?userId=jan")).body == {"messages": []}


async def test_two_phones_read_everything_at_the_same_time(bank: Bank) -> None:
    phones = [await bank.phone("jan"), await bank.phone("jan")]
    for phone in phones:
        await phone.create_token()
    for _ in range(20):
        await put(bank, silent=True)
    await asyncio.gather(*(phone.mark_all_read() for phone in phones))
    assert [await phone.count_unread() for phone in phones] == [0, 0]
