"""The fan-out: one push for each push token that can be used, and a reason for every other, in the caller's unit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ringback.clock import ManualClock, SystemRandomness
from ringback.devices import PushTarget
from ringback.messages import MessagesService, Notice
from ringback.messages.choosing import ends_of
from ringback.messages.model import Style, Text
from ringback.push import NewPush
from ringback.store import Query, Store, Tx
from tests.operations.rooms import FakePhones, phone, target

all_notices = Query(
    "test_all_notices",
    "Notices.",
    "SELECT id, user_id, app_ids, subject_kind, subject_id, considered FROM notices ORDER BY id",
)


class Queued:
    """Remembers what is to be sent."""

    def __init__(self) -> None:
        self.all: list[NewPush] = []

    async def queue_all(self, _tx: Tx, pushes: Sequence[NewPush]) -> list[str]:
        self.all += pushes
        return [f"push-{len(self.all) - len(pushes) + n + 1}" for n in range(len(pushes))]


class Room:
    """The service with stand-ins around it."""

    def __init__(self, store: Store, *targets: PushTarget) -> None:
        self.store = store
        self.clock = ManualClock()
        self.phones, self.pushes = FakePhones(), Queued()
        self.phones.phones["p4"] = phone("p4")
        self.phones.targets = list(targets)
        self.messages = MessagesService(
            clock=self.clock, randomness=SystemRandomness(), devices=self.phones, pushes=self.pushes
        )

    async def tell(self, notice: Notice) -> tuple[list[str], list[dict[str, Any]]]:
        """The push ids, and what was considered."""
        self.clock.advance(0.001)  # later notices have later ids
        ids = await self.store.write(self.messages.fan_out, notice)
        return ids, json.loads((await self.notices())[-1][5])

    async def notices(self) -> list[Any]:
        async def read(tx: Tx) -> list[Any]:
            return await tx.all(all_notices)

        return await self.store.read(read)


ALICE = (
    target("p1", "bank", "local"),
    target("p1", "bank", "apns", environment="development", language="cs"),
    target("p3", "shop", "local"),
)


@pytest.mark.parametrize(("registration_id", "reached"), [(None, ["p1", "p1"]), ("p1", ["p1", "p1"]), ("p3", [])])
async def test_each_push_token_of_the_user(store: Store, registration_id: str | None, reached: list[str]) -> None:
    room = Room(store, *ALICE)
    notice = Notice("alice", ("bank",), "Title", "Text", {"a": "b"}, registration_id=registration_id, deadline_ms=5)
    ids, considered = await room.tell(notice)
    assert [one.registration_id for one in room.pushes.all] == reached
    assert ids == [one["pushId"] for one in considered if one["used"]]
    assert len(ids) == len(reached)
    for one in room.pushes.all:
        assert (one.content.title, one.content.extras, one.deadline_ms) == ("Title", {"a": "b"}, 5)


async def test_every_phone_that_is_not_told_has_its_reason(store: Store) -> None:
    room = Room(
        store,
        target("p1", "bank", "fcm"),
        target("p1", "bank", None),
        target("p1", "bank", "fcm", status="BLOCKED", suspended=True),
        target("p1", "bank", "fcm", status="PENDING_COMMIT"),
        target("p1", "bank", "fcm", status="CREATED"),
        target("p1", "bank", "apns-voip"),
        target("p1", "bank", "apns", suspended=True),
        target("p3", "shop", "fcm"),
    )
    _, considered = await room.tell(Notice("alice", ("bank",), "Title", "Text"))
    assert [one.get("reason") for one in considered] == [
        None,
        "this phone has no push token",
        "the registration is blocked",
        "the registration is not committed yet",
        "the phone has not activated the registration yet",
        "for calls only (PushKit)",
        "the registration is blocked",
        "the app is not one of the apps of whoever sent this",
    ]
    _, considered = await room.tell(Notice("alice", ("bank", "shop"), "Title", "Text", registration_id="p9"))
    assert {one.get("reason") for one in considered} == {"only another registration was wanted"}


async def test_uds_devices_are_told_too_and_not_when_their_user_is_disabled(store: Store) -> None:
    room = Room(store)
    device = PushTarget("bank", None, "pkid-1", None, "t1", "fcm", "token-of-a-uds-device-1234567890", suspended=False)

    async def push_targets(_tx: Tx, _user_id: str) -> list[PushTarget]:
        return [device, PushTarget("bank", None, "pkid-2", None, "t2", "fcm", "short", suspended=True)]

    room.phones.push_targets = push_targets  # type: ignore[method-assign]
    ids, considered = await room.tell(Notice("alice", ("bank",), "Title", "Text", subject_kind="message"))
    assert (len(ids), room.pushes.all[0].push_token_id, room.pushes.all[0].registration_id) == (1, "t1", None)
    assert [(one["devicePkid"], one.get("reason")) for one in considered] == [
        ("pkid-1", None),
        ("pkid-2", "the user is disabled"),
    ]
    for kind in ("operation", "inbox"):
        ids, considered = await room.tell(Notice("alice", ("bank",), "Pay 1000 EUR", "To Eve", subject_kind=kind))
        reason = "a UDS device has no registration: it can neither approve operations nor read the inbox"
        assert (ids, {one["reason"] for one in considered}) == ([], {reason}), "a password alone proves too little"


async def test_a_notice_that_reaches_nobody_is_written_down(store: Store) -> None:
    room = Room(store)
    ids, considered = await room.tell(Notice("zoe", ("bank",), "Title", "Text", operation_id="op-1"))
    assert (ids, considered) == ([], [])
    [(_, user_id, app_ids, kind, subject, _)] = await room.notices()
    assert (user_id, json.loads(app_ids), kind, subject) == ("zoe", ["bank"], "operation", "op-1")


async def test_push_tokens_are_never_kept_whole(store: Store) -> None:
    room = Room(store, *ALICE)
    _, considered = await room.tell(Notice("alice", ("bank", "shop"), "Title", "Text"))
    assert considered[0]["pushToken"] == "p1-loc…-phone"
    assert "push-token-of" not in json.dumps(considered)
    assert "push-token-of" not in repr(ALICE)
    assert (ends_of("short"), ends_of("x" * 24)) == ("…", "xxxxxx…xxxxxx")


@pytest.mark.parametrize(
    ("language", "shown"),
    [("cs", "Ahoj"), ("cs-CZ,cs;q=0.9,en;q=0.8", "Ahoj"), ("de, en;q=0.5", "Hello"), ("fr", "Hello"), (None, "Hello")],
)
async def test_each_phone_is_told_in_its_language(store: Store, language: str | None, shown: str) -> None:
    room = Room(store, target("p1", "bank", "fcm", language=language))
    texts = {"cs": Text("Ahoj", "Zpráva"), "en": Text("Hello", "A message")}
    await room.tell(Notice("alice", ("bank",), texts=texts))
    assert room.pushes.all[0].content.title == shown


async def test_without_english_the_first_text_is_shown(store: Store) -> None:
    room = Room(store, target("p1", "bank", "fcm", language="fr"))
    await room.tell(Notice("alice", ("bank",), texts={"cs": Text("Ahoj", ""), "de": Text("Hallo", "")}))
    assert room.pushes.all[0].content.title == "Ahoj"


async def test_a_silent_notice_shows_nothing(store: Store) -> None:
    room = Room(store, target("p1", "bank", "fcm"))
    await room.tell(Notice("alice", ("bank",), "Title", "Text", {"a": 1}, silent=True))
    content = room.pushes.all[0].content
    assert (content.silent, content.title, content.body, content.extras) == (True, None, None, {"a": 1})


async def test_how_it_is_presented_reaches_the_push(store: Store) -> None:
    room = Room(store, target("p1", "bank", "fcm"))
    style = Style(badge=3, category="pay", collapse_id="c", thread="t", title_loc_key="K", title_loc_args=("a",))
    await room.tell(Notice("alice", ("bank",), style=style, sound="ding", campaign_id="c1", subject_kind="campaign"))
    [push] = room.pushes.all
    content = push.content
    assert (content.badge, content.category, content.collapse_id, content.thread) == (3, "pay", "c", "t")
    assert (content.title_loc_key, content.title_loc_args, content.sound) == ("K", ("a",), "ding")
    [(notice_id, _, _, kind, subject, _)] = await room.notices()
    assert (push.notice_id, push.campaign_id, kind, subject) == (notice_id, "c1", "campaign", "c1")


async def test_old_notices_are_forgotten(store: Store) -> None:
    room = Room(store)
    await room.tell(Notice("zoe", ("bank",)))
    room.clock.advance(29 * 86_400)
    await room.tell(Notice("zoe", ("bank",)))
    assert await store.write(room.messages.purge, 10) == 0
    room.clock.advance(1 * 86_400 + 1)
    assert await store.write(room.messages.purge, 10) == 1
    assert len(await room.notices()) == 1


async def test_of_very_many_phones_not_all_that_were_passed_over_are_written_down(store: Store) -> None:
    room = Room(store, *[target("p1", "bank", None) for _ in range(300)], target("p1", "bank", "fcm"))
    ids, considered = await room.tell(Notice("alice", ("bank",), "Title", "Text"))
    assert len(considered) == 201
    assert [one["pushId"] for one in considered if one["used"]] == ids
