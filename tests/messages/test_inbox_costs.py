"""What inboxes and the reasons for pushes cost when there are many of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.errors import PushNotFound
from ringback.messages.inbox import READ_AT_A_TIME
from ringback.messages.model_inbox import PhoneInbox
from ringback.messages.model_tracing import PushesWanted
from ringback.messages.queries import message_notice
from ringback.messages.queries_inbox import MOST_COUNTED
from ringback.messages.schema_mobile import InboxPage
from ringback.messages.tracing import WALKED_AT_MOST
from ringback.principal import Principal
from ringback.store import Tx
from tests.messages.bank import Bank
from tests.plans import Plans

BACK_END = Principal("system_user", "bank-back-end", "integration")
OTHERS = {"apps_of_user"}
"""Sorts of another room, of a few rows."""
JAN = PhoneInbox("r1", "jan", "bank")
_SQLITE_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
_MESSAGES = """INSERT INTO inbox_messages (id, user_id, type, subject, summary, body, is_read, read_at, created_at)
    {numbers} SELECT {id}, {user}, 'text', 's', 's', 'b', n % 10 = 0, NULL, 0 FROM {source};
    INSERT INTO inbox_places (user_id, app_id, message_id, is_read)
    {numbers} SELECT {user}, 'bank', {id}, n % 10 = 0 FROM {source}"""
_NOTICES = """INSERT INTO notices (id, user_id, app_ids, subject_kind, subject_id, considered, created_at)
    {numbers} SELECT {id}, {user}, {apps}, 'message', {id}, '[]', 0 FROM {source}"""


@pytest.fixture
def plans(bank: Bank, database_url: str, tmp_path: Path) -> Plans:
    return Plans(bank.served.installation.store, database_url, tmp_path / "ringback.db")


async def load(plans: Plans, statements: str, count: int, prefix: str, user: str, apps: str = "'[\"bank\"]'") -> None:
    """Rows whose ids are in order; `user` and `apps` are SQL."""
    digits = 36 - len(prefix)
    shared = {"user": user, "apps": apps}
    await plans.load(
        statements.format(
            numbers=_SQLITE_NUMBERS.format(count=count),
            source="numbers",
            id=f"printf('{prefix}%0{digits}d', n)",
            **shared,
        ),
        statements.format(
            numbers="", source=f"generate_series(1, {count}) AS n", id=f"'{prefix}' || lpad(n::text, {digits}, '0')",
            **shared,
        ),
    )  # fmt: skip


async def test_an_inbox_costs_the_same_however_large_it_is(bank: Bank, plans: Plans) -> None:
    inbox = bank.served.rooms.inbox
    await load(plans, _MESSAGES, 300, "02", "'jan'")
    asked = {
        "list": (inbox.page_of_phone, JAN, InboxPage(0, 50)),
        "second page": (inbox.page_of_phone, JAN, InboxPage(1, 50)),
        "unread": (inbox.page_of_phone, JAN, InboxPage(0, 50, only_unread=True)),
        "one": (inbox.message_of_phone, JAN, f"02{7:034}"),
        "the newest": (inbox.newest, JAN),
        "the back end's list": (inbox.page, BACK_END, "jan", False, 50, 0),
        "the back end's unread": (inbox.page, BACK_END, "jan", True, 50, 0),
        "the back end's one": (inbox.get, BACK_END, f"02{7:034}"),
    }
    before = {name: await plans.read(*one) for name, one in asked.items()}
    await load(plans, _MESSAGES, 100_000, "01", "'jan'")
    for name, one in asked.items():
        result, work = await plans.read(*one)
        assert result == before[name][0], name
        assert (work.scans, set(work.sorts) - OTHERS) == ((), set()), name
        assert work.amount <= before[name][1].amount * 1.2 + 50, (name, work, before[name][1])
    counted, work = await plans.read(inbox.count, JAN)
    assert counted == MOST_COUNTED
    assert work.amount < 20 * MOST_COUNTED


async def test_reading_all_goes_in_small_units(bank: Bank, plans: Plans) -> None:
    store, inbox = bank.served.installation.store, bank.served.rooms.inbox
    await load(plans, _MESSAGES, 1_200, "01", "'jan'")
    await load(plans, _MESSAGES, 10, "02", "'eva'")
    left = [await store.read(inbox.count, JAN)]
    newest_id = await store.read(inbox.newest, JAN)
    assert newest_id == f"01{1_200:034}"
    while await store.write(inbox.read_all, JAN, newest_id):
        left.append(await store.read(inbox.count, JAN))
    left.append(await store.read(inbox.count, JAN))
    assert left == [1_080, 1_080 - READ_AT_A_TIME, 1_080 - 2 * READ_AT_A_TIME, 0]
    assert await store.read(inbox.count, PhoneInbox("r2", "eva", "bank")) == 9


async def test_what_comes_while_all_is_read_stays_unread(bank: Bank, plans: Plans) -> None:
    store, inbox = bank.served.installation.store, bank.served.rooms.inbox
    await load(plans, _MESSAGES, 1, "01", "'jan'")
    newest_id = await store.read(inbox.newest, JAN)
    assert newest_id is not None
    await load(plans, _MESSAGES, 3, "02", "'jan'")
    assert not await store.write(inbox.read_all, JAN, newest_id)
    assert await store.read(inbox.count, JAN) == 3


async def test_reasons_cost_the_same_however_many_there_are(bank: Bank, plans: Plans) -> None:
    tracing = bank.served.rooms.tracing
    await load(plans, _NOTICES, 3_000, "02", "'jan'")
    asked = {
        "of a user": (tracing.page, BACK_END, PushesWanted("jan", limit=50)),
        "of a user, further": (tracing.page, BACK_END, PushesWanted("jan", before=f"02{2_500:034}", limit=50)),
        "of a subject": (tracing.page, BACK_END, PushesWanted(subject_id=f"02{7:034}")),
        "of a message": (tracing.of_message, BACK_END, f"02{7:034}"),
        "one": (tracing.of_push, BACK_END, f"02{7:034}"),
    }
    before = {name: await plans.read(*one) for name, one in asked.items()}
    await load(plans, _NOTICES, 50_000, "01", "'jan'")
    await load(plans, _NOTICES, 50_000, "03", "'u' || n")
    for name, one in asked.items():
        result, work = await plans.read(*one)
        assert result == before[name][0], name
        assert work.scans == (), name
        assert work.amount <= before[name][1].amount * 1.2 + 50, (name, work, before[name][1])
    with pytest.raises(PushNotFound):
        await plans.read(tracing.of_push, BACK_END, "unknown")


async def test_a_campaign_is_no_subject_that_is_searched(bank: Bank, plans: Plans) -> None:
    content = {"appId": "bank", "name": "news", "texts": {"en": {"title": "a"}}, "users": ["jan"]}
    campaign = (await bank.served.call("POST", "/api/v1/campaigns", content)).body["id"]
    tracing = bank.served.rooms.tracing
    of_campaign = _NOTICES.replace("'message', {id}", f"'campaign', '{campaign}'")
    await load(plans, of_campaign, 20_000, "01", "'u' || n")
    listed, work = await plans.read(tracing.page, BACK_END, PushesWanted(subject_id=campaign))
    assert (listed, work.amount < 500) == (([], None), True), work

    async def of_message(tx: Tx) -> Any:
        return await tx.one(message_notice, campaign)

    found, work = await plans.read(of_message)
    assert (found, work.amount < 500) == (None, True), work


async def test_what_lies_between_strangers_notices_is_found_page_by_page(bank: Bank, plans: Plans) -> None:
    tracing = bank.served.rooms.tracing
    await load(plans, _NOTICES, 2, "01900000-0000-7000-8000-", "'jan'")
    await load(plans, _NOTICES, 2 * WALKED_AT_MOST, "01900000-0001-7000-8000-", "'jan'", "'[\"shop\"]'")
    store, found, before = bank.served.installation.store, [], ""
    for _ in range(5):
        traces, following = await store.read(tracing.page, BACK_END, PushesWanted("jan", before=before, limit=1))
        found += [one.notice.id for one in traces if one.notice is not None]
        if following is None:
            break
        assert found or following.endswith("0" * 12), "the id of a stranger's notice is told"
        before = following
    assert found == [f"01900000-0000-7000-8000-{n:012}" for n in (2, 1)]
