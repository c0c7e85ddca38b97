"""The fan-out: one push for each push token, all in the caller's unit."""

# ruff: noqa: ARG002 - stand-ins take what they do not need

from __future__ import annotations

import pytest

from ringback.devices import PushTarget
from ringback.messages import MessagesService, Notice
from ringback.push import NewPush
from ringback.store import Store, Tx
from tests.operations.rooms import FakePhones


class Queued:
    def __init__(self) -> None:
        self.all: list[NewPush] = []

    async def queue(self, tx: Tx, new: NewPush) -> str:
        self.all.append(new)
        return f"push-{len(self.all)}"


@pytest.mark.parametrize(("registration_id", "reached"), [(None, ["p1", "p1"]), ("p1", ["p1", "p1"]), ("p3", [])])
async def test_each_push_token_of_the_user(store: Store, registration_id: str | None, reached: list[str]) -> None:
    phones, pushes = FakePhones(), Queued()
    phones.targets = [
        PushTarget("p1", "bank", "local", "p1"),
        PushTarget("p1", "bank", "apns", "abc"),
        PushTarget("p2", "bank", "local", "p2"),
        PushTarget("p3", "shop", "local", "p3"),
    ]
    messages = MessagesService(devices=phones, pushes=pushes)  # type: ignore[arg-type]
    notice = Notice("alice", ("bank",), "Title", "Text", {"a": "b"}, registration_id=registration_id, deadline_ms=5)
    ids = await store.write(messages.fan_out, notice)
    assert [one.registration_id for one in pushes.all] == reached
    assert len(ids) == len(reached)
    for one in pushes.all:
        assert (one.content["title"], one.content["extras"], one.deadline_ms) == ("Title", {"a": "b"}, 5)
