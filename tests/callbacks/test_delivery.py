"""From an event to the receiver: retries, giving up, and nobody in anybody's way."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import web

from ringback.callbacks.service import Known
from ringback.clock import ManualClock
from ringback.events import OperationChanged
from ringback.operations import FoundOperation
from ringback.outbox import Circuit
from ringback.resolving import PLACES_OF_AN_OWNER, SystemResolver
from ringback.store import Store
from tests.callbacks.receiver import Receiver, Told, in_turn, never, receiving, status
from tests.callbacks.rooms import BANK, QUICK, SHOP, Room, content_of, operation, registration
from tests.egress.servers import NameServers
from tests.outbox.outboxes import running, until


async def test_an_event_is_told_once(room: Room, receiver: Receiver) -> None:
    known = await room.create(receiver.url, attributes=["status"])
    async with running(room.outbox):
        await room.operation_changes()
        (told,) = await receiver.wait_for(1)
        await _until_states(room, known, "DONE")
    assert told.body == {"type": "OPERATION", "operationId": "o1", "status": "PENDING"}
    assert told.headers["Content-Type"] == "application/json"
    assert "Authorization" not in told.headers
    ((delivery, attempts),) = await room.history(known)
    assert told.key == delivery.id
    assert [(one.attempt, one.outcome, one.detail) for one in attempts] == [(1, "DELIVERED", "HTTP 204")]
    assert len(receiver.told) == 1


async def test_what_is_told_is_how_things_stood(room: Room, receiver: Receiver) -> None:
    await room.create(receiver.url, type="REGISTRATION_STATUS_CHANGE", attributes=["activationStatus"])
    await room.registration_changes()
    room.things.registrations["r1"] = registration(status="REMOVED")
    await room.registration_changes()
    async with running(room.outbox):
        told = await receiver.wait_for(2)
    assert sorted(one.body["activationStatus"] for one in told) == ["ACTIVE", "REMOVED"]


async def test_a_unit_that_fails_tells_nothing(room: Room, receiver: Receiver) -> None:
    known = await room.create(receiver.url)

    async def fails(tx: Any) -> None:
        await room.announcer.hear(tx, _operation_event())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await room.store.write(fails)
    assert await room.history(known) == []


async def test_each_callback_of_the_operations_apps_is_told_once(room: Room, receiver: Receiver) -> None:
    base = receiver.url.removesuffix("/hook")
    for path in ("/a", "/b"):
        await room.create(base + path)
    await room.create(base + "/shop", SHOP, "shop")
    await room.create(base + "/other", type="REGISTRATION_STATUS_CHANGE")
    await room.create(base + "/disabled", enabled=False)
    found = room.things.operations["o1"]
    room.things.operations["both"] = type(found)(found.operation, frozenset({"bank", "shop"}))
    async with running(room.outbox):
        await room.operation_changes()
        await room.operation_changes("both")
        await room.operation_changes("unknown")
        await asyncio.gather(*(receiver.wait_for(n, path) for n, path in ((2, "/a"), (2, "/b"), (1, "/shop"))))
        await asyncio.sleep(0.1)
    assert sorted(one.path for one in receiver.told) == ["/a", "/a", "/b", "/b", "/shop"]


async def test_without_callbacks_nothing_is_asked(room: Room, receiver: Receiver) -> None:
    for _ in range(3):
        await room.operation_changes()
        await room.registration_changes()
    assert room.things.asked == 0
    await room.create(receiver.url)
    await room.registration_changes()
    assert room.things.asked == 0
    await room.operation_changes()
    assert room.things.asked == 1


async def test_another_process_hears_of_a_new_callback_within_two_seconds(room: Room, receiver: Receiver) -> None:
    other = Room(room.store, room.clock, vault=room.vault)
    await other.operation_changes()
    known = await room.create(receiver.url)
    await other.operation_changes()
    assert await room.history(known) == []
    room.clock.advance(1.5)
    await other.operation_changes()
    assert len(await room.history(known)) == 1


async def test_basic_authentication(room: Room, receiver: Receiver) -> None:
    basic = {"httpBasic": {"enabled": True, "username": "ring", "password": "bäck"}}
    await room.create(receiver.url, authentication=basic)
    async with running(room.outbox):
        await room.operation_changes()
        (told,) = await receiver.wait_for(1)
    assert told.headers["Authorization"] == "Basic " + base64.b64encode("ring:bäck".encode()).decode()


async def test_retries_with_the_callbacks_pauses_and_one_key_until_it_works(room: Room, receiver: Receiver) -> None:
    receiver.answer = in_turn(503, 404, 302, 200)
    known = await room.create(receiver.url, initialBackoff="PT3S")
    pauses = []
    await room.operation_changes()
    async with running(room.outbox):
        for attempt in range(1, 4):
            await _until_attempts(room, known, attempt)
            ((delivery, _),) = await room.history(known)
            pauses.append(delivery.next_attempt_at - room.clock.now_ms())
            room.clock.advance(pauses[-1] / 1000)
        await _until_states(room, known, "DONE")
    assert pauses == [3_000, 6_000, 12_000]
    assert len({one.key for one in receiver.told}) == 1
    ((_, attempts),) = await room.history(known)
    assert [one.detail for one in attempts] == ["HTTP 503", "HTTP 404", "HTTP 302", "HTTP 200"]


async def test_given_up_after_the_last_attempt(room: Room, receiver: Receiver) -> None:
    receiver.answer = status(500)
    known = await room.create(receiver.url, maxAttempts=2, initialBackoff=100)
    await room.operation_changes()
    async with running(room.outbox):
        await _until_attempts(room, known, 1)
        room.clock.advance(0.1)
        await _until_states(room, known, "DEAD")
    ((delivery, attempts),) = await room.history(known)
    assert (delivery.last_error, len(attempts)) == ("attempts used up: HTTP 500", 2)


async def test_given_up_when_the_retention_period_is_over(room: Room, receiver: Receiver) -> None:
    known = await room.create(receiver.url, retentionPeriod="PT1M")
    await room.operation_changes()
    room.clock.advance(60)
    async with running(room.outbox):
        await _until_states(room, known, "DEAD")
    assert receiver.told == []


async def test_retry_after_is_honoured(room: Room, receiver: Receiver) -> None:
    receiver.answer = status(429, Retry_After="120")
    known = await room.create(receiver.url)
    await room.operation_changes()
    async with running(room.outbox):
        await _until_attempts(room, known, 1)
    ((delivery, _),) = await room.history(known)
    assert delivery.next_attempt_at == room.clock.now_ms() + 120_000


@pytest.mark.parametrize(
    ("is_there", "seconds", "reason"),
    [
        (True, 0.5, "The destination did not answer in time."),
        (False, 60, "No connection to the destination could be made."),
    ],
)
async def test_a_receiver_that_is_not_there_or_does_not_answer_is_tried_again(
    store: Store, clock: ManualClock, receiver: Receiver, is_there: bool, seconds: float, reason: str
) -> None:
    room = await Room(store, clock, answer_seconds=seconds).start()
    receiver.answer = never
    known = await room.create(receiver.url if is_there else "http://127.0.0.1:1/hook")
    await room.operation_changes()
    async with running(room.outbox):
        await _until_attempts(room, known, 1)
    ((delivery, (attempt,)),) = await room.history(known)
    assert (delivery.state, attempt.detail) == ("READY", reason)
    await room.egress.close()


async def test_a_receiver_that_never_answers_delays_nobody_else(
    store: Store, clock: ManualClock, receiver: Receiver
) -> None:
    room = await Room(store, clock, answer_seconds=600).start()
    async with receiving() as dead:
        dead.answer = never
        silent = await room.create(dead.url)
        await room.create(receiver.url)
        for _ in range(30):
            await room.operation_changes()
        async with running(room.outbox):
            assert len(await receiver.wait_for(30)) == 30
            assert len(dead.told) <= 16
            assert [attempts for _, attempts in await room.history(silent) if attempts] == []


async def test_slow_names_of_one_app_do_not_delay_another(store: Store, clock: ManualClock, receiver: Receiver) -> None:
    names = NameServers()
    room = await Room(store, clock, names=SystemResolver(ask=names), answer_seconds=600).start()
    room.things.operations["o2"] = FoundOperation(operation("o2"), frozenset({"shop"}))
    slow = {f"{number}.tarpit.example" for number in range(3 * PLACES_OF_AN_OWNER)}
    for host in slow:
        await room.create(f"http://{host}/hook")
    await room.create(receiver.url.replace("127.0.0.1", "good.example"), SHOP, "shop")
    async with running(room.outbox):
        await room.operation_changes("o1")
        async with asyncio.timeout(60):
            while len(slow & set(names.asked)) < PLACES_OF_AN_OWNER:  # noqa: ASYNC110 - they are asked for in threads
                await asyncio.sleep(0.01)
        await room.operation_changes("o2")
        assert len(await receiver.wait_for(1)) == 1
        assert len(slow & set(names.asked)) == PLACES_OF_AN_OWNER
        names.gives_up.set()
    await room.egress.close()


async def test_after_many_failures_in_a_row_it_is_left_alone_but_for_one_attempt(
    store: Store, clock: ManualClock, receiver: Receiver
) -> None:
    room = await Room(store, clock, circuit=Circuit(failures=5, pause_seconds=60)).start()
    receiver.answer = status(500)
    known = await room.create(receiver.url, maxAttempts=100)
    for _ in range(30):
        await room.operation_changes()

    async def nothing_is_under_way() -> bool:
        history = await room.history(known)
        on_record = sum(len(attempts) for _, attempts in history)
        return on_record == len(receiver.told) and "LEASED" not in {one.state for one, _ in history}

    async with running(room.outbox):
        # The first eight go out together; of those that fail then, none is followed by another.
        await receiver.wait_for(5)
        await until(nothing_is_under_way)
        await asyncio.sleep(0.3)
        before = len(receiver.told)
        assert 5 <= before <= 9
        clock.advance(60)
        await receiver.wait_for(before + 1)
        await until(nothing_is_under_way)
        await asyncio.sleep(0.2)
        assert len(receiver.told) == before + 1
        receiver.answer = None
        clock.advance(3600)
        await _until_states(room, known, "DONE")
    attempts = sum(len(attempts) for _, attempts in await room.history(known))
    assert attempts == len(receiver.told) == before + 1 + 30
    await room.egress.close()


async def test_deleted_and_disabled_callbacks_are_told_nothing_more(room: Room, receiver: Receiver) -> None:
    deleted, disabled = await room.create(receiver.url), await room.create(receiver.url)
    await room.operation_changes()
    await room.store.write(room.service.delete, *_named(deleted))
    await room.store.write(room.service.replace, *_named(disabled), content_of(receiver.url, enabled=False))
    # Not forgotten in the announcer: another process goes on for a second and a half.
    await room.operation_changes()
    async with running(room.outbox):
        await _until_states(room, deleted, "DEAD")
        await _until_states(room, disabled, "DEAD")
    assert receiver.told == []
    assert {one.last_error for one, _ in await room.history(deleted)} == {"the callback is gone"}
    assert {one.last_error for one, _ in await room.history(disabled)} == {"the callback is disabled"}


async def test_two_workers_tell_each_once(room: Room, receiver: Receiver) -> None:
    other = Room(room.store, room.clock, vault=room.vault)
    known = await room.create(receiver.url)
    for _ in range(40):
        await room.operation_changes()
    async with running(room.outbox), running(other.outbox):
        await receiver.wait_for(40)
        await _until_states(room, known, "DONE")
    assert len(receiver.told) == len({one.key for one in receiver.told}) == 40
    await other.egress.close()


async def test_history_is_kept_for_the_retention_period_or_a_week(room: Room, receiver: Receiver) -> None:
    short = await room.create(receiver.url, retentionPeriod="PT1H")
    long = await room.create(receiver.url)
    await room.operation_changes()
    async with running(room.outbox):
        await _until_states(room, short, "DONE")
        await _until_states(room, long, "DONE")
    assert await room.store.write(room.service.purge, 100) == 0
    room.clock.advance(3_600.1)
    assert await room.store.write(room.service.purge, 100) == 1
    assert (len(await room.history(short)), len(await room.history(long))) == (0, 1)
    room.clock.advance(QUICK.kept_seconds)
    assert await room.store.write(room.service.purge, 100) == 0
    assert await room.store.write(room.outbox.purge, 100) == 1
    assert await room.history(long) == []


async def test_a_changed_url_counts_for_what_waits(room: Room, receiver: Receiver) -> None:
    known = await room.create("http://127.0.0.1:1/hook")
    await room.operation_changes()
    await room.store.write(room.service.replace, *_named(known), content_of(receiver.url))
    async with running(room.outbox):
        await receiver.wait_for(1)


async def test_many_at_once_with_a_slow_receiver(room: Room, receiver: Receiver) -> None:
    async def slow(_: Told) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response()

    receiver.answer = slow
    known = await room.create(receiver.url)
    for _ in range(20):
        await room.operation_changes()
    async with running(room.outbox):
        await receiver.wait_for(20)
        await _until_states(room, known, "DONE")


def _operation_event() -> Any:
    return OperationChanged("o1", "alice", "PENDING", "CREATED")


def _named(known: Known) -> tuple[Any, str, str]:
    return BANK, known.callback.app_id, known.callback.id


async def _until_states(room: Room, known: Known, state: str, seconds: float = 60) -> None:
    async def all_are() -> bool:
        return set(await room.states(known)) == {state}

    await until(all_are, seconds)


async def _until_attempts(room: Room, known: Known, count: int) -> None:
    async def so_many() -> bool:
        return sum(len(attempts) for _, attempts in await room.history(known)) >= count

    await until(so_many)
