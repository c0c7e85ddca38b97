"""The push room on a store with a running outbox, and providers that answer as they are told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from ringback.clock import ManualClock, SystemRandomness
from ringback.events import Event, Events, PushTokenDied
from ringback.outbox import Outbox, OutboxLimits
from ringback.push import (
    CallPushes,
    Content,
    LeftCalls,
    LocalMailbox,
    LocalProvider,
    NewPush,
    Push,
    PushChannel,
    Pushes,
    PushToken,
    PushTokens,
    TokenOwner,
)
from ringback.push.model import OutgoingPush
from ringback.push.queries import push_by_id
from ringback.push.reactions import Reaction, Verdict
from ringback.secrets import Vault
from ringback.store import Command, Query, Store, Tx

insert_app = Command(
    "test_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ($1, '[]', 0, 1)"
)
all_attempts = Query(
    "test_all_attempts",
    "Every attempt.",
    "SELECT delivery_id, attempt, outcome, detail FROM delivery_attempts ORDER BY delivery_id, attempt",
)
all_pushes = Query("test_all_pushes", "Every push.", "SELECT id, kind, status, reason, provider_id FROM pushes")
all_tokens = Query("test_all_tokens", "Every push token.", "SELECT id, environment FROM push_tokens")
KEY = bytes(range(32))
DELIVERED = Reaction(Verdict.DELIVERED, "", 200, provider_id="provider's name")

Answer = Callable[[OutgoingPush], Awaitable[Reaction]]


async def wait_for(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Until something holds, in the database or elsewhere."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


class Scripted:
    """A provider that gives its answers in order, and the last one for ever."""

    def __init__(self, *answers: Reaction | Answer) -> None:
        self.got: list[OutgoingPush] = []
        self._answers = list(answers) or [DELIVERED]

    def say(self, *answers: Reaction | Answer) -> None:
        """From now on."""
        self._answers = list(answers)

    async def send(self, push: OutgoingPush) -> Reaction:
        """One attempt."""
        self.got.append(push)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer if isinstance(answer, Reaction) else await answer(push)


class Room:
    """Everything of one process. `apns` stands for both kinds of APNs push tokens."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.apns, self.fcm = Scripted(), Scripted()
        self.died: list[Event] = []
        events = Events()
        events.subscribe(self._hear)
        source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
        self.outbox = Outbox(store=store, limits=OutboxLimits(poll_seconds=0.02, drain_seconds=2), **source)
        self.tokens = PushTokens(
            vault=Vault(os.urandom(32), os.urandom(32), SystemRandomness()), events=events, **source
        )
        self.pushes = Pushes(outbox=self.outbox, kinds={"apns", "apns-voip", "fcm", "local"}, **source)
        self.mailbox = LocalMailbox(clock=clock)
        local = LocalProvider(store=store, **source)
        providers = {"apns": self.apns, "apns-voip": self.apns, "fcm": self.fcm}
        self.channel = PushChannel(push_tokens=self.tokens, local=local, providers=providers)
        self.channel.plug_into(self.outbox)
        LeftCalls(self.channel).plug_into(self.outbox)
        self.calls = CallPushes(
            store=store,
            clock=clock,
            outbox=self.outbox,
            pushes=self.pushes,
            push_tokens=self.tokens,
            channel=self.channel,
            providers=providers,
            local=local,
        )

    async def start(self) -> Room:
        """With the app `bank`."""
        await self.store.write(self._add_app)
        return self

    async def token(self, kind: str = "apns", number: int = 1, **more: Any) -> PushToken:
        """A push token of registration r1 or another number."""
        owner = TokenOwner("bank", "alice", f"r{number}")

        async def register(tx: Tx) -> PushToken:
            return await self.tokens.register(tx, owner, kind, f"{kind}-{number}", **more)

        return await self.store.write(register)

    def new(self, token: PushToken, **more: Any) -> NewPush:
        """A push to a push token."""
        return NewPush(
            app_id="bank",
            user_id="alice",
            kind=token.kind,
            content=Content(push_id="", title="Hello", user_id="alice"),
            push_token_id=token.id,
            registration_id=token.registration_id,
            **more,
        )

    async def queue(self, token: PushToken, **more: Any) -> str:
        """Queues one."""
        return await self.store.write(self.pushes.queue, self.new(token, **more))

    async def push(self, push_id: str) -> Push:
        """As it is stored."""

        async def read(tx: Tx) -> Push | None:
            return await tx.one(push_by_id, push_id)

        found = await self.store.read(read)
        assert found is not None
        return found

    async def ended(self, push_id: str) -> Push:
        """Once it is no longer QUEUED."""
        return await self.until(push_id, "DELIVERED", "FAILED")

    async def until(self, push_id: str, *statuses: str) -> Push:
        """Once it has one of these statuses."""
        async with asyncio.timeout(60):
            while (push := await self.push(push_id)).status not in statuses:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.01)
        return push

    async def all(self, query: Query[Any]) -> list[Any]:
        """What a query finds."""

        async def read(tx: Tx) -> list[Any]:
            return await tx.all(query)

        return await self.store.read(read)

    async def attempts(self, push_id: str) -> list[tuple[int, str, str | None]]:
        """The attempts at one push: number, outcome, detail."""
        return [tuple(row[1:]) for row in await self.all(all_attempts) if row[0] == push_id]

    async def attempted(self, push_id: str, count: int) -> None:
        """Once so many attempts are on record."""
        await wait_for(lambda: self._has_attempts(push_id, count))

    async def _has_attempts(self, push_id: str, count: int) -> bool:
        return len(await self.attempts(push_id)) >= count

    async def _add_app(self, tx: Tx) -> None:
        await tx.run(insert_app, "bank")

    async def _hear(self, tx: Tx, event: Event) -> None:  # noqa: ARG002
        if isinstance(event, PushTokenDied):
            self.died.append(event)
