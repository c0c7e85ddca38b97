"""What a provider's answer does to a push, to its push token and to those that wait behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ringback.clock import ManualClock
from ringback.outbox import NewDelivery
from ringback.push import TokenOwner
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.store import Command, Store, Tx
from tests.outbox.outboxes import running
from tests.push.sending import DELIVERED, KEY, Room, all_attempts, all_tokens, insert_app, wait_for

RETRY = Reaction(Verdict.RETRY, "ServiceUnavailable", 503)
PARKED = Reaction(Verdict.PARK, "InvalidProviderToken", 403)
insert_old_push = Command(
    "test_old_push",
    "A push of a version that gave its delivery another id.",
    "INSERT INTO pushes(id, app_id, user_id, registration_id, push_token_id, kind, payload, created_at, status)"
    " VALUES ('old', 'bank', 'alice', 'r1', $1, 'local', '{}', 0, 'QUEUED')",
)


async def add_app(tx: Tx, app_id: str) -> None:
    await tx.run(insert_app, app_id)


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> AsyncIterator[Room]:
    """With its outbox running."""
    room = await Room(store, clock).start()
    async with running(room.outbox):
        yield room


@pytest.mark.parametrize(("app_id", "kind"), [("shop", "fcm"), ("bank", "apns-voip")])
async def test_what_waits_for_a_device_does_not_follow_it_to_another_app_or_provider(
    room: Room, app_id: str, kind: str
) -> None:
    """The provider would be asked with the wrong credential, and its answer would delete a push token that is well."""
    await room.store.write(add_app, "shop")
    owner = TokenOwner("bank", "alice", device_pkid="d1")
    room.fcm.say(RETRY)
    token = await room.store.write(lambda tx: room.tokens.register(tx, owner, "fcm", "fcm-1"))
    push_id = await room.queue(token)
    await room.attempted(push_id, 1)
    elsewhere = TokenOwner(app_id, "alice", device_pkid="d1")
    moved = await room.store.write(lambda tx: room.tokens.register(tx, elsewhere, kind, "ab" * 32))
    assert moved.id == token.id
    room.fcm.say(Reaction(Verdict.DELETE_PUSH_TOKEN, "INVALID_ARGUMENT", 400))
    room.clock.advance(3600)
    push = await room.ended(push_id)
    assert (push.status, push.reason) == ("FAILED", "the push token is gone")
    assert {one.push_token for one in room.fcm.got} == {"fcm-1"}
    assert [row[0] for row in await room.all(all_tokens)] == [token.id]


async def test_the_provider_is_given_what_the_push_token_is_now(room: Room) -> None:
    token = await room.token(environment="development", encryption_key=KEY)
    push_id = await room.queue(token, deadline_ms=room.clock.now_ms() + 60_000)
    push = await room.ended(push_id)
    assert (push.status, push.reason, push.provider_id) == ("DELIVERED", None, "provider's name")
    (given,) = room.apns.got
    assert (given.id, given.content.push_id, given.content.title) == (push_id, push_id, "Hello")
    assert (given.push_token, given.environment, given.encryption_key) == ("apns-1", "development", KEY)
    assert (given.deadline_at, given.urgent) == (room.clock.now_ms() + 60_000, False)
    assert KEY.hex() not in repr(given)
    assert await room.attempts(push_id) == [(1, "DELIVERED", None)]


@pytest.mark.parametrize(
    ("reaction", "reason", "is_kept"),
    [
        (Reaction(Verdict.FAILED, "PayloadTooLarge", 413, meaning="too long"), "PayloadTooLarge: too long", True),
        (Reaction(Verdict.SUSPECT, "DeviceTokenNotForTopic", 400), "DeviceTokenNotForTopic", True),
        (Reaction(Verdict.DELETE_PUSH_TOKEN, "BadDeviceToken", 400), "BadDeviceToken", False),
        (Reaction(Verdict.OTHER_ENVIRONMENT, "BadDeviceToken", 400), "BadDeviceToken", True),
        (Reaction(Verdict.DELETE_PUSH_TOKEN, "Unregistered", 410, unregistered_at=2 * 10**12), "Unregistered", False),
        # The app has told it again since.
        (Reaction(Verdict.DELETE_PUSH_TOKEN, "Unregistered", 410, unregistered_at=5), "Unregistered", True),
    ],
)
async def test_a_push_that_fails_for_good(room: Room, reaction: Reaction, reason: str, *, is_kept: bool) -> None:
    room.apns.say(reaction)
    push = await room.ended(await room.queue(await room.token()))
    assert (push.status, push.reason) == ("FAILED", reason)
    assert bool(await room.all(all_tokens)) == is_kept
    assert len(room.died) == (0 if is_kept else 1)
    assert len(room.apns.got) == 1


async def test_the_environment_in_which_a_push_token_was_known_is_remembered(room: Room) -> None:
    room.apns.say(Reaction(Verdict.DELIVERED, "", 200, environment="development"))
    token = await room.token(environment="production")
    await room.ended(await room.queue(token))
    assert await room.all(all_tokens) == [(token.id, "development")]


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.UNKNOWN, Verdict.NEW_PROVIDER_TOKEN])
async def test_what_may_succeed_later_is_sent_again_under_the_same_id(room: Room, verdict: Verdict) -> None:
    room.apns.say(Reaction(verdict, "no answer"), DELIVERED)
    push_id = await room.queue(await room.token())
    await room.attempted(push_id, 1)
    room.clock.advance(2)
    assert (await room.ended(push_id)).status == "DELIVERED"
    assert {one.id for one in room.apns.got} == {push_id}
    assert await room.attempts(push_id) == [(1, "FAILED", "no answer"), (2, "DELIVERED", None)]


async def test_a_provider_may_ask_for_patience(room: Room) -> None:
    room.fcm.say(Reaction(Verdict.RETRY, "QUOTA_EXCEEDED", 429, retry_after_seconds=60), DELIVERED)
    push_id = await room.queue(await room.token("fcm"))
    await room.attempted(push_id, 1)
    room.clock.advance(59)
    await asyncio.sleep(0.1)
    assert len(room.fcm.got) == 1
    room.clock.advance(1)
    await room.ended(push_id)


async def test_where_the_quota_of_the_project_is_used_up_all_its_pushes_wait(room: Room) -> None:
    quota = Reaction(Verdict.RETRY, "QUOTA_EXCEEDED", 429, retry_after_seconds=60, stops_all=True)
    room.fcm.say(quota, DELIVERED)
    token = await room.token("fcm")
    first = await room.queue(token)
    await room.attempted(first, 1)
    others = [await room.queue(token) for _ in range(5)]
    assert (await room.ended(await room.queue(await room.token()))).status == "DELIVERED"
    room.clock.advance(59)
    await asyncio.sleep(0.1)
    assert len(room.fcm.got) == 1
    room.clock.advance(1)
    assert {(await room.ended(one)).status for one in (first, *others)} == {"DELIVERED"}


async def test_nothing_is_sent_again_after_the_deadline(room: Room) -> None:
    room.apns.say(Reaction(Verdict.UNKNOWN, "the connection broke"))
    push_id = await room.queue(await room.token(), deadline_ms=room.clock.now_ms() + 900)
    push = await room.ended(push_id)
    assert (push.status, push.reason) == ("FAILED", "deadline: the connection broke")
    assert len(room.apns.got) == 1


async def test_a_refused_credential_parks_its_pushes_until_it_is_changed(room: Room) -> None:
    room.apns.say(PARKED)
    token, other = await room.token(), await room.token("fcm")
    first = await room.queue(token)
    await room.attempted(first, 1)
    second = await room.queue(token)
    await room.ended(await room.queue(other))
    assert len(room.apns.got) == 1  # the second one waits, and nobody else's pushes do
    room.apns.say(DELIVERED)

    async def change(tx: Tx) -> None:
        for channel in ("push", "campaign"):
            await room.outbox.hurry(tx, channel, "apns:bank")

    await room.store.write(change)
    assert {(await room.ended(one)).status for one in (first, second)} == {"DELIVERED"}


async def test_a_refused_credential_that_nobody_changes_is_tried_once_a_minute(room: Room) -> None:
    room.apns.say(PARKED)
    for number in range(4):
        await room.queue(await room.token(number=number))
    for minute in range(1, 4):
        await wait_for(lambda count=minute: _attempts_on_record(room, count))  # type: ignore[misc]
        await asyncio.sleep(0.1)
        # Until the first answer they went out together.
        assert len(room.apns.got) <= 4 + minute
        before = len(room.apns.got)
        room.clock.advance(60)
        await wait_for(lambda count=before: len(room.apns.got) > count)  # type: ignore[misc]


async def test_the_push_token_of_a_blocked_registration_gets_nothing(room: Room) -> None:
    for kind in ("apns", "local"):
        token = await room.token(kind)

        async def suspend(tx: Tx) -> None:
            await room.tokens.suspend_registration(tx, "r1", suspended=True)

        await room.store.write(suspend)
        push = await room.ended(await room.queue(token))
        assert (push.status, push.reason) == ("FAILED", "the registration is blocked")
    assert room.apns.got == []


async def test_a_registration_that_is_removed_while_a_push_waits(room: Room) -> None:
    room.apns.say(RETRY, DELIVERED)
    push_id = await room.queue(await room.token())
    await room.attempted(push_id, 1)

    async def forget(tx: Tx) -> None:
        await room.tokens.forget_registration(tx, "r1")

    await room.store.write(forget)
    room.clock.advance(2)
    push = await room.ended(push_id)
    assert (push.status, push.reason) == ("FAILED", "the push token is gone")
    assert len(room.apns.got) == 1


async def test_a_push_token_that_changes_while_a_push_waits(room: Room) -> None:
    room.apns.say(RETRY, DELIVERED)
    token = await room.token()
    push_id = await room.queue(token)
    await room.attempted(push_id, 1)

    async def change(tx: Tx) -> None:
        await room.tokens.register(tx, _owner(token.app_id), "apns", "apns-new")

    await room.store.write(change)
    room.clock.advance(2)
    await room.ended(push_id)
    assert [one.push_token for one in room.apns.got] == ["apns-1", "apns-new"]


async def test_an_answer_about_an_older_push_token_does_not_delete_the_new_one(room: Room) -> None:
    token = await room.token()

    async def changes_meanwhile(_: OutgoingPush) -> Reaction:
        async def change(tx: Tx) -> None:
            await room.tokens.register(tx, _owner(token.app_id), "apns", "apns-new")

        await room.store.write(change)
        return Reaction(Verdict.DELETE_PUSH_TOKEN, "BadDeviceToken", 400)

    room.apns.say(changes_meanwhile)
    assert (await room.ended(await room.queue(token))).status == "FAILED"
    assert len(await room.all(all_tokens)) == 1


async def test_one_phone_that_is_asked_too_often_does_not_slow_down_the_others(room: Room) -> None:
    token = await room.token()
    room.apns.say(Reaction(Verdict.RETRY, "TooManyRequests", 429), DELIVERED)
    slow = await room.queue(token)
    await room.attempted(slow, 1)
    others = [await room.queue(token) for _ in range(10)]
    for one in others:
        await room.ended(one)
    assert (await room.push(slow)).status == "QUEUED"


async def test_a_provider_that_breaks_is_tried_again(room: Room) -> None:
    async def breaks(_: OutgoingPush) -> Reaction:
        raise ZeroDivisionError

    room.apns.say(breaks, DELIVERED)
    push_id = await room.queue(await room.token())
    await room.attempted(push_id, 1)
    room.clock.advance(2)
    assert (await room.ended(push_id)).status == "DELIVERED"


async def test_many_in_one_unit_have_ids_in_their_order_and_each_arrives(room: Room) -> None:
    tokens = [await room.token(number=number) for number in range(5)]
    new = [room.new(tokens[number % 5], notice_id="n1") for number in range(300)]
    ids = await room.store.write(room.pushes.queue_all, new)
    for one in ids:
        await room.ended(one)
    assert {one.id: one.push_token for one in room.apns.got} == {
        push_id: f"apns-{number % 5}" for number, push_id in enumerate(ids)
    }
    assert len(room.apns.got) == 300
    assert await room.store.write(room.pushes.queue_all, []) == []


async def test_a_kind_without_a_provider_fails_when_it_is_queued(room: Room) -> None:
    token = await room.token("hms")
    ids = await room.store.write(room.pushes.queue_all, [room.new(token), room.new(await room.token())])
    push = await room.push(ids[0])
    assert (push.status, push.reason) == ("FAILED", "no provider for hms")
    assert (await room.ended(ids[1])).status == "DELIVERED"


async def test_a_campaign_has_a_lane_of_its_own(room: Room) -> None:
    held = asyncio.Event()

    async def slow(_: OutgoingPush) -> Reaction:
        await held.wait()
        return DELIVERED

    room.apns.say(slow)
    token = await room.token()
    campaign = [room.new(token, campaign_id="c1") for _ in range(700)]
    ids = await room.store.write(room.pushes.queue_all, campaign)
    await wait_for(lambda: len(room.apns.got) == 512)
    room.apns.say(DELIVERED)
    operation = await room.queue(token)
    await room.ended(operation)
    assert len(room.apns.got) == 513
    held.set()
    for one in ids:
        await room.ended(one)


async def test_a_delivery_of_an_older_version_still_finds_its_push(room: Room) -> None:
    token = await room.token("local")

    async def queue(tx: Tx) -> None:
        await tx.run(insert_old_push, token.id)
        await room.outbox.enqueue(tx, NewDelivery("push", "local:bank", b'{"pushId":"old","kind":"local"}'))

    await room.store.write(queue)
    assert (await room.ended("old")).status == "DELIVERED"
    assert len(await room.store.read(room.mailbox.after, "r1", "")) == 1


async def _attempts_on_record(room: Room, count: int) -> bool:
    return len(await room.all(all_attempts)) >= count


def _owner(app_id: str) -> TokenOwner:
    return TokenOwner(app_id, "alice", "r1")
