"""A server behind a SIP proxy, an APNs that is on this machine, and subscribers whose phones can be pushed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback.apps import push_credential_content
from ringback.directory import NewSubscriber
from ringback.principal import Principal
from ringback.push import PushToken, TokenOwner
from ringback.server_sip import take_calls
from ringback.sip import Timers
from ringback.store import Query, Tx
from ringback.testing import ApnsDouble
from ringback.testing.record import Received
from tests.calls.ports import free_port
from tests.served import Login, Served

DOMAIN = "example.com"
BUNDLE = "com.example.phone"
BY = Principal("cli", "test")
_numbers = itertools.count(1)
calls_of = Query(
    "test_calls_of",
    "The calls to a callee, in order.",
    "SELECT outcome, sip_status, reason, pushes, caller, caller_name, call_id, trace, registered_at, pushed_at"
    " FROM calls WHERE callee = $1 AND status = 'ENDED' ORDER BY id",
)


@dataclass
class Record:
    """What the store has of a call."""

    outcome: str
    status: int
    reason: str | None
    pushes: int
    caller: str
    caller_name: str | None
    call_id: str
    trace: list[dict[str, Any]]
    registered_at: int | None
    pushed_at: int | None

    @property
    def steps(self) -> list[str]:
        """The names of what happened."""
        return [step["step"] for step in self.trace]

    def step(self, name: str) -> dict[str, Any]:
        """The details of a step."""
        found: dict[str, Any] = next(step for step in self.trace if step["step"] == name).get("details", {})
        return found


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Until something holds."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


@dataclass
class Scene:
    """What runs. `address`: HOST:PORT of SIP, over UDP and TCP. `stop`: ends SIP, as SIGTERM does."""

    served: Served
    apns: ApnsDouble
    address: str
    stop: Callable[[], Awaitable[None]]

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        folder: Path,
        database_url: str,
        *,
        timers: Timers | None = None,
        drain_seconds: float = 0.1,
        by_http: bool = False,
        **settings: Any,
    ) -> AsyncIterator[Scene]:
        """An application server that takes calls from 127.0.0.1, with the domain example.com, whose app is `bank`.

        `drain_seconds`: nobody waits long for what a test left unfinished; what is about the end says more.
        `by_http`: see `Served.start`.
        """
        async with contextlib.AsyncExitStack() as running:
            apns = await running.enter_async_context(ApnsDouble(folder / "apns"))
            address = f"127.0.0.1:{free_port()}"
            said = {
                "sip_mode": "application-server",
                "sip_listen": address,
                "sip_proxies": "127.0.0.1",
                "apns_url": apns.url,
                "push_ca_file": str(apns.ca_file),
                "wake_seconds": 30,
                **settings,
            }
            served = await running.enter_async_context(
                Served.start(
                    folder, database_url, by_http=by_http, **{name: str(value) for name, value in said.items()}
                )
            )
            calls = await running.enter_async_context(contextlib.AsyncExitStack())
            await calls.enter_async_context(
                take_calls(
                    served.installation,
                    served.rooms.calls,
                    timers=timers,
                    drain_seconds=drain_seconds,
                    leaving_seconds=drain_seconds,
                )
            )
            scene = Scene(served, apns, address, calls.aclose)
            await scene._furnish()
            yield scene

    async def _furnish(self) -> None:
        store, rooms = self.served.installation.store, self.served.rooms
        key = self.apns.key
        content = {
            "keyId": key.key_id,
            "teamId": key.team_id,
            "bundleId": BUNDLE,
            "keyFile": base64.b64encode(key.file.read_bytes()).decode(),
        }
        await rooms.push.desk.put(BY, "bank", push_credential_content("apns", content))
        await store.write(rooms.sip_directory.domains.create, BY, DOMAIN, ("bank",))

    async def subscriber(self, name: str = "bob", *, phones: int = 1, **preferences: Any) -> list[str]:
        """A subscriber with so many phones; returns their push tokens. `no_reg` unless `preferences` say."""
        store, rooms = self.served.installation.store, self.served.rooms
        subscribers = rooms.sip_directory.subscribers
        await store.write(subscribers.create, BY, NewSubscriber(domain=DOMAIN, username=name, user_id=name))
        said = {"mobile_push_enable": "no_reg", **preferences}
        await store.write(subscribers.set_preferences, BY, DOMAIN, name, said, True)
        return [await self.phone(name) for _ in range(phones)]

    async def phone(self, user: str = "bob") -> str:
        """One more phone of a user; returns its push token."""
        token = f"{next(_numbers):064x}"

        async def register(tx: Tx) -> PushToken:
            owner = TokenOwner("bank", user, device_pkid=f"device {token}")
            return await self.served.rooms.push.tokens.register(tx, owner, "apns-voip", token)

        await self.served.installation.store.write(register)
        return token

    async def disable(self, name: str = "bob") -> None:
        """The subscriber may not be used."""
        subscribers = self.served.rooms.sip_directory.subscribers
        await self.served.installation.store.write(subscribers.change, BY, DOMAIN, name, {"disabled": True})

    async def proxy_login(self) -> Login:
        """A system user that a SIP proxy speaks to the internal listener with."""
        access = self.served.rooms.access
        made = await self.served.installation.store.write(access.create_user, BY, "proxy", "sip-proxy")
        return Login("proxy", made.password)

    async def pushed(self, push_token: str, count: int = 1) -> list[Received]:
        """The pushes to a phone, as soon as they are so many."""
        return await self.apns.wait_for(count, push_token=push_token, seconds=60)

    async def refused(self) -> dict[str, float]:
        """The counters of refused messages, by reason: those of all tests of this process so far."""
        text = await (await self.served.session.get(f"{self.served.internal}/metrics")).text()
        found = re.findall(r'^ringback_sip_refused_total\{.*?reason="(\w+)".*?\} (\S+)$', text, re.MULTILINE)
        return {reason: float(value) for reason, value in found}

    async def records(self, callee: str = f"bob@{DOMAIN}", count: int = 1) -> list[Record]:
        """The calls to a callee that are over, as soon as they are so many; never more."""
        found: list[Any] = []

        async def read(tx: Tx) -> list[Any]:
            return await tx.all(calls_of, callee)

        async def are_there() -> bool:
            found[:] = await self.served.installation.store.read(read)
            return len(found) >= count

        await until(are_there)
        assert len(found) == count
        return [Record(*row[:7], json.loads(row[7]), *row[8:]) for row in found]

    async def record(self, callee: str = f"bob@{DOMAIN}") -> Record:
        """The one call to a callee."""
        (one,) = await self.records(callee)
        return one
