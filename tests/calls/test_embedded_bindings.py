"""Bindings in the store: RFC 3261 §10.3, +sip.instance, RFC 8599, and the pushes that renew them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.calls import queries_bindings as queries
from ringback.calls.binding_refresh import BindingRefresh
from ringback.calls.bindings import Bindings
from ringback.calls.model_bindings import MOST_BINDINGS, Binding, Registered, Registering, WantedBinding, WantedPush
from ringback.clock import ManualClock, SystemRandomness
from ringback.events import Events
from ringback.outbox import Outbox
from ringback.push import KEEP, Pushes, PushToken, PushTokens, TokenOwner
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx
from tests.plans import Plans

RANDOM = SystemRandomness()
ONE = "sip:bob@192.0.2.1:5060"
TWO = "sip:bob@192.0.2.2:5060"
PHONE = "<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"
insert_app = Command("test_app", "An app.", "INSERT INTO apps (id, roles, created_at, version) VALUES ($1, '[]', 0, 1)")
insert_domain = Command(
    "test_domain",
    "A domain.",
    "INSERT INTO domains (name, app_ids, preferences, created_at, version) VALUES ($1, '[]', '{}', 0, 1)",
)
insert_subscriber = Command(
    "test_subscriber",
    "A subscriber.",
    "INSERT INTO subscribers (id, domain, username, user_id, display_name, disabled, preferences, created_at, version)"
    " VALUES ($1, 'example.com', $1, $1, NULL, FALSE, '{}', 0, 1)",
)
queued_pushes = Query(
    "test_queued_pushes",
    "What waits to be pushed, and until when.",
    "SELECT p.kind, p.payload, t.push_token, d.deadline_at FROM pushes p JOIN deliveries d ON d.id = p.id"
    " JOIN push_tokens t ON t.id = p.push_token_id ORDER BY p.id",
)
count_bindings = Query("test_count_bindings", "How many rows there are.", "SELECT count(*) FROM bindings", row=int)


class Rooms:
    """What stands on the store."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        shared: dict[str, Any] = {"clock": clock, "randomness": RANDOM}
        vault = Vault(RANDOM.bytes(32), RANDOM.bytes(32), RANDOM)
        self.push_tokens = PushTokens(vault=vault, events=Events(), **shared)
        pushes = Pushes(outbox=Outbox(store=store, **shared), kinds=("apns", "apns-voip", "fcm"), **shared)
        self.bindings = Bindings(push_tokens=self.push_tokens, **shared)
        self.refresh = BindingRefresh(clock=clock, push_tokens=self.push_tokens, pushes=pushes)

    async def register(self, *wanted: WantedBinding, call_id: str = "call", cseq: int = 1, **more: Any) -> Registered:
        """One REGISTER of bob."""
        registering = Registering("bob", "bob", call_id, cseq, "phone", "udp:192.0.2.1:5060", wanted, **more)
        return await self.store.write(self.bindings.register, registering)

    async def now(self, subscriber: str = "bob") -> list[Binding]:
        """What counts."""
        return await self.store.read(self.bindings.of, subscriber)

    async def contacts(self) -> list[str]:
        """The contacts that count, newest first."""
        return [binding.contact for binding in await self.now()]

    async def queued(self) -> list[tuple[str, dict[str, Any], str, int]]:
        """What waits to be pushed: kind, content, push token, deadline."""
        rows = await self.store.read(lambda tx: tx.all(queued_pushes))
        return [(kind, json.loads(payload), token, deadline) for kind, payload, token, deadline in rows]

    async def tokens(self) -> list[PushToken]:
        """What bob can be woken with."""
        return await self.store.read(self.push_tokens.of_user, "bob")


def wanted(contact: str = ONE, expires: int = 600, **more: Any) -> WantedBinding:
    """A Contact."""
    return WantedBinding(
        **{"contact": contact, "instance": None, "reg_id": 0, "q": None, "expires_seconds": expires, **more}
    )


@pytest.fixture
async def rooms(store: Store, clock: ManualClock) -> Rooms:
    """With the subscribers bob and eve of example.com, and the app `bank`."""

    async def furnish(tx: Tx) -> None:
        await tx.run(insert_app, "bank")
        await tx.run(insert_domain, "example.com")
        for name in ("bob", "eve"):
            await tx.run(insert_subscriber, name)

    await store.write(furnish)
    return Rooms(store, clock)


async def test_a_binding_counts_until_its_time_is_over(rooms: Rooms, clock: ManualClock) -> None:
    made = await rooms.register(wanted(expires=600))
    (binding,) = made.bindings
    assert (binding.contact, binding.seconds_left(clock.now_ms())) == (ONE, 600)
    assert await rooms.contacts() == [ONE]
    clock.advance(599.5)
    assert [one.seconds_left(clock.now_ms()) for one in await rooms.now()] == [1]
    clock.advance(1)
    assert await rooms.contacts() == []


async def test_the_same_contact_is_one_binding_by_the_rules_of_uris(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted("sip:bob@Phone.example.org:5060;transport=udp"))
    clock.advance(1)
    again = await rooms.register(wanted("sip:%62ob@phone.example.org:5060;transport=UDP"), cseq=2)
    assert [one.contact for one in again.bindings] == ["sip:%62ob@phone.example.org:5060;transport=UDP"]
    assert await rooms.store.read(lambda tx: tx.one(count_bindings)) == 1


async def test_an_instance_that_moved_replaces_its_binding(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, instance=PHONE))
    clock.advance(1)
    moved = await rooms.register(wanted(TWO, instance=PHONE), call_id="after restart")
    assert [one.contact for one in moved.bindings] == [TWO]
    assert await rooms.contacts() == [TWO]


async def test_flows_of_one_instance_live_side_by_side(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE, instance=PHONE, reg_id=1))
    await rooms.register(wanted(TWO, instance=PHONE, reg_id=2), call_id="second flow")
    assert sorted(await rooms.contacts()) == [ONE, TWO]


async def test_an_instance_may_take_the_contact_of_another_one(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE, instance=PHONE))
    await rooms.register(wanted(TWO, instance="<urn:uuid:2>"), call_id="two")
    await rooms.register(wanted(TWO, instance=PHONE), cseq=2)
    assert [(one.contact, one.instance) for one in await rooms.now()] == [(TWO, PHONE)]


async def test_an_older_register_changes_nothing(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE), cseq=5)
    late = await rooms.register(wanted(TWO), wanted(ONE, expires=0), cseq=4)
    assert late.refusal == "out of order"
    assert await rooms.contacts() == [ONE]


async def test_a_register_whose_answer_was_lost_is_answered_again_and_changes_nothing(
    rooms: Rooms, clock: ManualClock
) -> None:
    await rooms.register(wanted(ONE, expires=600), cseq=5)
    clock.advance(10)
    again = await rooms.register(wanted(ONE, expires=600), cseq=5)
    assert [one.seconds_left(clock.now_ms()) for one in again.bindings] == [590]


async def test_another_call_id_begins_anew(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE), cseq=500)
    assert (await rooms.register(wanted(ONE), call_id="after restart", cseq=1)).refusal is None


async def test_expires_0_takes_one_binding_away_and_a_star_all(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE))
    await rooms.register(wanted(TWO), call_id="two")
    gone = await rooms.register(wanted(ONE, expires=0), cseq=2)
    assert [one.contact for one in gone.bindings] == [TWO]
    assert (await rooms.register(remove_all=True, call_id="three")).bindings == ()
    assert await rooms.contacts() == []


async def test_a_star_that_is_older_than_a_binding_removes_nothing(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE), cseq=5)
    assert (await rooms.register(remove_all=True, cseq=4)).refusal == "out of order"
    assert await rooms.contacts() == [ONE]


async def test_nobody_has_more_than_ten_bindings_and_the_oldest_one_goes(rooms: Rooms, clock: ManualClock) -> None:
    for number in range(MOST_BINDINGS + 2):
        await rooms.register(wanted(f"sip:bob@192.0.2.{number}"), call_id=f"call {number}")
        clock.advance(1)
    found = await rooms.contacts()
    assert found == [f"sip:bob@192.0.2.{number}" for number in range(MOST_BINDINGS + 1, 1, -1)]


async def test_who_registers_after_the_clock_was_set_back_is_the_newest(rooms: Rooms, clock: ManualClock) -> None:
    before = [f"sip:bob@192.0.2.{number}" for number in range(MOST_BINDINGS)]
    for contact in before:
        await rooms.register(wanted(contact), call_id=contact)
        clock.advance(1)
    clock.advance(-3600)
    registered = await rooms.register(wanted("sip:bob@192.0.2.200"), call_id="new")
    expected = ["sip:bob@192.0.2.200", *reversed(before[1:])]
    assert [one.contact for one in registered.bindings] == expected
    assert await rooms.contacts() == expected


async def test_bindings_of_others_are_not_touched(rooms: Rooms) -> None:
    eve = Registering("eve", "eve", "call", 1, None, "udp:192.0.2.9:5060", (wanted(ONE),))
    await rooms.store.write(rooms.bindings.register, eve)
    await rooms.register(wanted(ONE), call_id="bob's")
    await rooms.register(remove_all=True, call_id="bob's", cseq=2)
    assert [one.contact for one in await rooms.now("eve")] == [ONE]


async def test_what_is_over_is_forgotten_and_may_come_again(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=60))
    clock.advance(61)
    assert await rooms.store.write(rooms.bindings.purge, 10) == 0  # a REGISTER may be under way
    assert [one.contact for one in (await rooms.register(wanted(ONE, expires=60), cseq=2)).bindings] == [ONE]
    clock.advance(71)
    assert await rooms.store.write(rooms.bindings.purge, 10) == 1
    assert await rooms.store.read(lambda tx: tx.one(count_bindings)) == 0


# RFC 8599 -------------------------------------------------------------------------------------------------------------

VOIP = WantedPush("bank", "apns-voip", "aa" * 32)
ALERT = WantedPush("bank", "apns", "bb" * 32)
FCM = WantedPush("bank", "fcm", "token")


async def test_a_push_token_outlives_the_binding_that_told_it(rooms: Rooms, clock: ManualClock) -> None:
    made = await rooms.register(wanted(ONE, instance=PHONE, pushes=(VOIP, ALERT)))
    stored = {token.kind: token for token in await rooms.tokens()}
    assert {kind: token.push_token for kind, token in stored.items()} == {"apns-voip": "aa" * 32, "apns": "bb" * 32}
    assert {(token.subscriber_id, token.sip_instance) for token in stored.values()} == {("bob", PHONE)}
    assert made.bindings[0].push_token_id == stored["apns-voip"].id
    await rooms.register(wanted(ONE, expires=0, instance=PHONE), cseq=2)
    clock.advance(10_000)
    await rooms.store.write(rooms.bindings.purge, 10)
    assert len(await rooms.tokens()) == 2


async def test_a_new_push_token_of_an_instance_replaces_the_old_one(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE, instance=PHONE, pushes=(FCM,)))
    newer = msgspec.structs.replace(FCM, push_token="newer")
    await rooms.register(wanted(ONE, instance=PHONE, pushes=(newer,)), cseq=2)
    assert [token.push_token for token in await rooms.tokens()] == ["newer"]


async def test_phones_without_an_instance_do_not_take_each_others_push_tokens(rooms: Rooms) -> None:
    await rooms.register(wanted(ONE, pushes=(FCM,)))
    other = msgspec.structs.replace(FCM, push_token="other")
    await rooms.register(wanted(TWO, pushes=(other,)), call_id="two")
    assert sorted(token.push_token for token in await rooms.tokens()) == ["other", "token"]


async def test_a_push_token_that_a_registration_told_stays_its_own(rooms: Rooms) -> None:
    async def told(tx: Tx) -> PushToken:
        owner = TokenOwner("bank", "bob", registration_id="registration")
        return await rooms.push_tokens.register(tx, owner, "fcm", "token", encryption_key=KEEP)

    before = await rooms.store.write(told)
    made = await rooms.register(wanted(ONE, instance=PHONE, pushes=(FCM,)))
    (token,) = await rooms.tokens()
    assert (token.id, token.registration_id, token.subscriber_id) == (before.id, "registration", None)
    assert made.bindings[0].push_token_id == before.id


async def test_a_binding_is_renewed_by_one_push_before_it_ends(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=3600, instance=PHONE, pushes=(FCM,)))
    await rooms.register(wanted(TWO, expires=3600), call_id="a desk phone")
    clock.advance(3600 - 121)
    assert await rooms.store.write(rooms.refresh.wake, 10) == 0
    clock.advance(2)
    assert await rooms.store.write(rooms.refresh.wake, 10) == 1
    assert await rooms.store.write(rooms.refresh.wake, 10) == 0
    ((kind, content, push_token, deadline),) = await rooms.queued()
    assert (kind, push_token, deadline) == ("fcm", "token", clock.now_ms() + 119_000)
    assert (content["purpose"], content["silent"]) == ("binding_refresh", True)
    assert content["extras"] == {"type": "binding_refresh"}


async def test_a_phone_that_registers_again_is_woken_again_at_the_next_end(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=600, instance=PHONE, pushes=(FCM,)))
    for cseq in (2, 3):
        clock.advance(590)
        assert await rooms.store.write(rooms.refresh.wake, 10) == 1
        await rooms.register(wanted(ONE, expires=600, instance=PHONE, pushes=(FCM,)), cseq=cseq)
        assert await rooms.store.write(rooms.refresh.wake, 10) == 0
    assert len(await rooms.queued()) == 2


async def test_a_short_binding_is_renewed_in_the_last_quarter_of_its_life(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=100, instance=PHONE, pushes=(FCM,)))
    clock.advance(74)
    assert await rooms.store.write(rooms.refresh.wake, 10) == 0
    clock.advance(1)
    assert await rooms.store.write(rooms.refresh.wake, 10) == 1


async def test_nobody_is_rung_to_renew_a_binding(rooms: Rooms, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=600, instance=PHONE, pushes=(VOIP,)))
    await rooms.register(wanted(TWO, expires=600, instance="<urn:uuid:2>", pushes=(
        msgspec.structs.replace(VOIP, push_token="cc" * 32), msgspec.structs.replace(ALERT, push_token="dd" * 32))),
        call_id="two")  # fmt: skip
    clock.advance(550)
    assert await rooms.store.write(rooms.refresh.wake, 10) == 2
    assert [(kind, token) for kind, _, token, _ in await rooms.queued()] == [("apns", "dd" * 32)]


async def test_many_bindings_cost_no_scan(rooms: Rooms, database_url: str, tmp_path: Path, clock: ManualClock) -> None:
    await rooms.register(wanted(ONE, expires=600, instance=PHONE, pushes=(FCM,)))
    plans = Plans(rooms.store, database_url, tmp_path / "ringback.db")
    now = clock.now_ms()
    # 20,000 phones that were woken to renew, and have not yet.
    values = (
        "'eve', 'sip:eve@192.0.2.1:' || n, NULL, 0, NULL, 'call', 1, NULL, 'udp:192.0.2.1:5060', 'token',"
        f" {now - 3_500_000}, {now + 100_000}, {now - 1000}, 2"
    )
    await plans.load(
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000)"
        f" INSERT INTO bindings SELECT 'id' || n, {values} FROM s",
        f"INSERT INTO bindings SELECT 'id' || n, {values} FROM generate_series(1, 20000) AS s(n)",
    )
    found, work = await plans.read(rooms.bindings.of, "bob")
    assert len(found) == 1
    assert (work.scans, work.sorts) == ((), ())
    assert work.amount < 200
    work = await plans.run(queries.refreshable_bindings, now, now + 120_000, 10)
    assert (work.scans, work.sorts) == ((), ())
    assert work.amount < 200
