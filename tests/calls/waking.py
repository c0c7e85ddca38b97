"""The core of calls on a store, without SIP: two of them on one store are two processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ringback.audit import AuditLog
from ringback.calls import Ending, LiveCall, NewCall, PushOnly, Reaching, Recorder, WakeUps
from ringback.calls.model import CallRow
from ringback.calls.push_only import Asked
from ringback.calls.queries import call_by_id
from ringback.clock import ManualClock, SystemRandomness
from ringback.directory import Domains, NewSubscriber, Preferences, SipCredentials, Subscribers
from ringback.events import CallChanged, Event
from ringback.principal import Principal
from ringback.push import PushToken, TokenOwner
from ringback.secrets import Vault
from ringback.store import Query, Store, Tx
from tests.push.sending import Room, insert_app

BY = Principal("cli", "test")
PROXY = Principal("system_user", "proxy", "sip-proxy")
DOMAIN = "example.org"
ALWAYS = Preferences(mobile_push_enable="always")
rows_in_order = Query("test_calls", "Every call.", "SELECT id, outcome FROM calls ORDER BY id")


class _AnyApp:
    async def exists(self, tx: Tx, app_id: str) -> bool:  # noqa: ARG002
        return True


@dataclass
class Waking:
    """One process. `heard`: the events of calls that were committed or tried."""

    room: Room
    wake_ups: WakeUps
    recorder: Recorder
    ending: Ending
    push_only: PushOnly
    domains: Domains
    subscribers: Subscribers
    heard: list[CallChanged] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """The store."""
        return self.room.store

    @property
    def clock(self) -> ManualClock:
        """The clock."""
        return self.room.clock

    async def subscriber(
        self, name: str = "alice", *, preferences: Preferences = ALWAYS, apps: tuple[str, ...] = ("bank",)
    ) -> str:
        """`name@example.org`, of a user of the same name; returns its id."""

        async def create(tx: Tx) -> str:
            if await self.domains.find(tx, DOMAIN) is None:
                await self.domains.create(tx, BY, DOMAIN, apps)
            new = NewSubscriber(DOMAIN, name, name, preferences=preferences)
            return (await self.subscribers.create(tx, BY, new)).id

        return await self.store.write(create)

    async def token(self, kind: str, push_token: str = "", **owner: Any) -> PushToken:
        """A push token; by default of registration r1 of alice in the app bank."""
        known = {"app_id": "bank", "user_id": "alice"}
        if not {"registration_id", "device_pkid", "subscriber_id"} & set(owner):
            known["registration_id"] = "r1"

        async def register(tx: Tx) -> PushToken:
            return await self.room.tokens.register(
                tx, TokenOwner(**{**known, **owner}), kind, push_token or f"{kind}-{len(owner)}-{sorted(owner.items())}"
            )

        return await self.store.write(register)

    async def call(self, callee: str = "alice", **more: Any) -> LiveCall:
        """A call to alice."""
        reach = await self.wake_ups.reach(callee, DOMAIN, more.get("sip_call_id", "call-1"))
        new = {
            "mode": "embedded",
            "sip_call_id": "call-1",
            "caller": "sip:+4312345@example.com;user=phone",
            "callee": f"{callee}@{DOMAIN}",
            "caller_name": "Bob",
            "reach": reach,
            "ring_seconds": 30,
        }
        return self.wake_ups.begin(NewCall(**{**new, **more}))

    async def row(self, call_id: str) -> CallRow:
        """The row of a call."""

        async def read(tx: Tx) -> CallRow | None:
            return await tx.one(call_by_id, call_id)

        found = await self.store.read(read)
        assert found is not None
        return found

    async def pushed(self) -> None:
        """Once what was pushed has been answered and is on record."""
        await self.room.calls.idle()
        await self.recorder.idle()

    def steps(self, row: CallRow) -> list[str]:
        """What the trace tells."""
        return [one["step"] for one in msgspec.json.decode(row.trace)]


def process(store: Store, clock: ManualClock) -> Waking:
    """The parts of one process, wired as the server wires them."""
    room = Room(store, clock)
    source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
    audit = AuditLog(**source)
    vault = Vault(os.urandom(32), os.urandom(32), SystemRandomness())
    credentials = SipCredentials(clock=clock, vault=vault, audit=audit, realm="")
    subscribers = Subscribers(
        audit=audit,
        credentials=credentials,
        push_tokens=room.tokens,
        built_in=Preferences(mobile_push_enable="never", prompt_loop=True),
        **source,
    )
    heard: list[CallChanged] = []
    events = _Heard(heard)
    reaching = Reaching(store=store, clock=clock, callees=subscribers, push_tokens=room.tokens, lane=room.calls)
    recorder = Recorder(store=store, events=events)
    wake_ups = WakeUps(reaching=reaching, lane=room.calls, recorder=recorder, **source)
    ending = Ending(clock=clock, events=events, push_tokens=room.tokens, pushes=room.pushes)
    push_only = PushOnly(
        store=store, clock=clock, wake_ups=wake_ups, ending=ending, events=events, audit=audit, wake_seconds=40
    )
    domains = Domains(clock=clock, audit=audit, apps=_AnyApp())
    return Waking(room, wake_ups, recorder, ending, push_only, domains, subscribers, heard)


async def with_apps(one: Waking) -> Waking:
    """With the apps bank and shop."""

    async def add(tx: Tx) -> None:
        await tx.run(insert_app, "bank")
        await tx.run(insert_app, "shop")

    await one.store.write(add)
    return one


class _Heard:
    def __init__(self, heard: list[CallChanged]) -> None:
        self._heard = heard

    async def publish(self, tx: Tx, event: Event) -> None:  # noqa: ARG002
        assert isinstance(event, CallChanged)
        self._heard.append(event)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Until something holds."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.01)


def asked(**more: Any) -> Asked:
    """A call to alice."""
    known = {"username": "alice", "domain": "example.org", "caller": "sip:bob@example.com", "caller_name": "Bob"}
    return Asked(**{**known, "call_id": "call-1", "seconds": None, **more})


async def is_over(waking: Waking) -> bool:
    """Whether this process holds no call."""
    return waking.wake_ups.count == 0
