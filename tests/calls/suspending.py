"""A proxy that suspends calls itself, over HTTP, with phones that this server pushes through its stream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback.clock import ManualClock
from ringback.directory import NewSubscriber, Preferences, ha1_of
from ringback.principal import Principal
from tests.operations.journey import Journey
from tests.served import Answer, Login, Served

BY = Principal("cli", "test")
WAKEUPS, CALLS = "/api/v1/wakeups", "/api/v1/calls"
ALICE = "alice@example.org"


@dataclass
class Proxy(Journey):
    """A proxy that suspends calls itself, and what it asks."""

    login: Login

    async def wake(self, call_id: str = "call-1", callee: str = ALICE, **more: Any) -> Answer:
        """POST of a wake-up."""
        body = {"callee": callee, "caller": "sip:bob@example.com", "callerName": "Bob", "callId": call_id, **more}
        return await self.served.call("POST", WAKEUPS, body, auth=self.login)

    async def ask(self, method: str, path: str) -> Answer:  # type: ignore[override]
        """Anything else about wake-ups."""
        return await self.served.call(method, f"{WAKEUPS}/{path}", auth=self.login)

    async def subscriber(self, name: str, preferences: Preferences, *, disabled: bool = False) -> None:
        """A subscriber of example.org, of a user of the same name, with the password `secret`."""
        rooms = self.served.rooms.sip_directory
        ha1 = {"example.org": ha1_of(name, "example.org", "secret")}
        new = NewSubscriber("example.org", name, name, ha1=ha1, disabled=disabled, preferences=preferences)
        await self.served.installation.store.write(rooms.subscribers.create, BY, new)

    async def phone_asks(self, push_id: str, **headers: str) -> Answer:
        """A phone's question, on the public listener."""
        url = f"{self.served.public}/api/v1/calls/by-notification/{push_id}"
        return await self.served._send("GET", url, None, None, {"headers": headers})

    async def settled(self) -> None:
        """Once what was pushed is on record."""
        calls = self.served.rooms.calls.wake_ups
        await self.served.rooms.push.calls.idle()
        await calls._recorder.idle()

    async def call(self, call_id: str, auth: Login | None = None) -> Answer:
        """What people read."""
        return await self.served.call("GET", f"{CALLS}/{call_id}", auth=auth)

    @staticmethod
    @contextlib.asynccontextmanager
    async def begin(folder: Path, database_url: str) -> AsyncIterator[Proxy]:
        """A server with the domain example.org, whose app is the bank, and alice in it."""
        clock = ManualClock()
        async with Served.start(folder, database_url, clock=clock, worker=False, wake_seconds="40") as served:
            store, rooms = served.installation.store, served.rooms
            made = await store.write(rooms.access.create_user, BY, "kamailio", "sip-proxy")
            one = Proxy(served, clock, Login("kamailio", made.password))
            await store.write(rooms.sip_directory.domains.create, BY, "example.org", ("bank",))
            await one.subscriber("alice", Preferences(mobile_push_enable="always"))
            yield one
