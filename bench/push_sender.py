"""The sender whose CPU and latency `bench.push` measures; `python -m bench.push_sender` reads a Task as JSON.

It is the product's own path: the queue in the store, the outbox, encryption, the provider `apns`, the HTTP/2 engine.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from ringback.clock import SystemClock, SystemRandomness
from ringback.collector import calm_collector
from ringback.events import Events
from ringback.outbox import Outbox, Settled
from ringback.push import (
    ApnsTokenKey,
    CallPushes,
    Content,
    NewCallPush,
    NewPush,
    PoolSettings,
    ProviderMakers,
    ProviderTokens,
    ProviderUrls,
    PushChannel,
    Pushes,
    PushToken,
    PushTokens,
    StoredCredential,
    TokenOwner,
)
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.secrets import Vault
from ringback.store import Command, PostgresStore, SqliteStore, Store, Tx

PHONES = 1_000
UNIT = 200
WARM_UP = 3_000
RING_SECONDS = 30
insert_app = Command(
    "bench_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ('bank', '[]', 0, 1)"
)


class Task(msgspec.Struct, frozen=True):
    """What to do. `database`: a PostgreSQL URL, or the path of an SQLite file; both upgraded already.

    `pushes`: so many are queued and then sent. `seconds`: instead, so long `background` pushes a second are queued and
    sent while `calls` a second go by the call lane.
    """

    url: str
    authority: str
    key: str
    database: str
    pushes: int = 0
    seconds: float = 0
    background: int = 0
    calls: int = 0


class Result(msgspec.Struct, frozen=True):
    """What was measured: latencies from the call to the provider's answer, which is later than to the wire."""

    pushes: int = 0
    cpu_seconds: float = 0
    seconds: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    worst_ms: float = 0
    delivered: int = 0


class _Counting(PushChannel):
    """Tells how many pushes have ended on record."""

    ended = 0

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:
        await super().settled(tx, settled)
        self.ended += len(settled)


class _Timed:
    """A provider that notes when each push was answered."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.answered_at: dict[str, float] = {}

    async def send(self, push: OutgoingPush) -> Reaction:
        reaction: Reaction = await self._provider.send(push)
        if reaction.verdict is not Verdict.DELIVERED:
            raise RuntimeError(f"not delivered: {reaction}")
        if push.urgent:
            self.answered_at[push.id] = time.perf_counter()
        return reaction


class _Credential:
    """The one credential."""

    def __init__(self, key: str) -> None:
        self._stored = StoredCredential(
            id="c1", app_id="bank", kind="apns", form="tokenKey", version=1, status="OK", status_reason=None,
            not_after=None,
            credential=ApnsTokenKey(key_id="A" * 10, team_id="B" * 10, bundle_id="com.example.bank", private_key=key),
        )  # fmt: skip

    async def load(self, app_id: str, kind: str) -> StoredCredential | None:  # noqa: ARG002
        return self._stored

    async def report(self, credential: StoredCredential, status: str, reason: str) -> None:
        raise RuntimeError(f"{credential.id} {status}: {reason}")


class Sender:
    """The rooms that a push goes through."""

    def __init__(self, task: Task, store: Store) -> None:
        source: dict[str, Any] = {"clock": SystemClock(), "randomness": SystemRandomness()}
        self.store = store
        vault = Vault(os.urandom(32), os.urandom(32), SystemRandomness())
        self._provider_tokens = ProviderTokens(store=store, vault=vault, **source)
        makers = ProviderMakers(
            urls=ProviderUrls(apns=task.url, apns_sandbox=task.url, fcm=task.url, fcm_token=task.url),
            tokens=self._provider_tokens,
            pools=PoolSettings(ca_file=task.authority),
            **source,
        )
        self._apns = makers.apns(_Credential(Path(task.key).read_text()))
        self.timed = _Timed(self._apns)
        providers = {"apns": self.timed, "apns-voip": self.timed}
        self.outbox = Outbox(store=store, **source)
        self.tokens = PushTokens(vault=vault, events=Events(), **source)
        self.pushes = Pushes(outbox=self.outbox, kinds=tuple(providers), **source)
        self.channel = _Counting(push_tokens=self.tokens, providers=providers)
        self.channel.plug_into(self.outbox)
        self.calls = CallPushes(
            store=store, clock=SystemClock(), outbox=self.outbox, pushes=self.pushes, push_tokens=self.tokens,
            channel=self.channel, providers=providers,
        )  # fmt: skip
        self.targets: list[PushToken] = []
        self.voip: list[PushToken] = []

    async def prepare(self) -> None:
        """An app with phones, each with a key of its own."""
        for start in range(0, PHONES, UNIT):
            await self.store.write(self._register, start)

    async def _register(self, tx: Tx, start: int) -> None:
        if start == 0:
            await tx.run(insert_app)
        for number in range(start, start + UNIT):
            owner = TokenOwner("bank", f"user-{number}", f"r{number}")
            for kind, kept in (("apns", self.targets), ("apns-voip", self.voip)):
                key = os.urandom(32)
                kept.append(await self.tokens.register(tx, owner, kind, secrets.token_hex(32), encryption_key=key))

    def push(self, number: int) -> NewPush:
        """A message to one of the phones."""
        target = self.targets[number % PHONES]
        content = Content(
            push_id="", title="Payment", body="Do you approve 1000.00 EUR to CZ5508000000001234567899?",
            extras={"operationId": "8eebd926-40d4-4214-8208-307f01b0b68f"}, user_id=target.user_id,
            registration_id=target.registration_id,
        )  # fmt: skip
        return NewPush(
            app_id="bank", user_id=target.user_id, kind="apns", content=content, push_token_id=target.id,
            registration_id=target.registration_id,
        )  # fmt: skip

    async def send_queued(self, count: int) -> tuple[float, float]:
        """Queues so many, then sends them; the seconds of CPU and of the clock from queue to recorded result."""
        for start in range(0, count, UNIT):
            new = [self.push(number) for number in range(start, start + UNIT)]
            await self.store.write(self.pushes.queue_all, new)
        calm_collector()  # as `ringback serve` does when it has started
        target = self.channel.ended + count
        began, used = time.perf_counter(), _cpu()
        stop = asyncio.Event()
        running = asyncio.create_task(self.outbox.run(stop))
        await _until(lambda: self.channel.ended >= target)
        measured = _cpu() - used, time.perf_counter() - began
        stop.set()
        await running
        return measured

    async def mixed(self, task: Task) -> list[float]:
        """Latencies of calls, in ms, while messages are queued and sent."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.outbox.run(stop))
        began: dict[str, float] = {}
        queueing = asyncio.create_task(self._background(task))
        ends_at = time.perf_counter() + task.seconds
        number = 0
        while time.perf_counter() < ends_at:
            await asyncio.sleep(1 / task.calls)
            number += 1
            target = self.voip[number % PHONES]
            at = time.perf_counter()
            (push_id,) = self.calls.send(
                NewCallPush(
                    app_id="bank", user_id=target.user_id, targets=(target,), display_name="Alice Example",
                    display_number="+14085550123", ring_expires_at=SystemClock().now_ms() + RING_SECONDS * 1000,
                )
            )  # fmt: skip
            began[push_id] = at
        await queueing
        await self.calls.idle()
        stop.set()
        await running
        answered = self.timed.answered_at
        return [(answered[push_id] - at) * 1000 for push_id, at in began.items()]

    async def _background(self, task: Task) -> None:
        """Each push in a unit of its own, as back ends send them."""
        started, sent = time.perf_counter(), 0
        units: set[asyncio.Task[str]] = set()
        while (elapsed := time.perf_counter() - started) < task.seconds:
            for _ in range(int(elapsed * task.background) - sent):
                unit = asyncio.create_task(self.store.write(self.pushes.queue, self.push(sent)))
                units.add(unit)
                unit.add_done_callback(units.discard)
                sent += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*units)
        await _until(lambda: self.channel.ended >= sent)

    async def close(self) -> None:
        """Ends all."""
        await self._apns.close()
        await self._provider_tokens.close()
        await self.store.close()


async def _run(task: Task) -> Result:
    store: Store
    if task.database.startswith("postgresql://"):
        store = await PostgresStore.open(task.database)
    else:
        store = await SqliteStore.open(Path(task.database))
    sender = Sender(task, store)
    await sender.prepare()
    try:
        await sender.send_queued(WARM_UP)
        if task.pushes:
            used, seconds = await sender.send_queued(task.pushes)
            return Result(pushes=task.pushes, cpu_seconds=used, seconds=seconds)
        latencies = await sender.mixed(task)
        cuts = statistics.quantiles(latencies, n=100)
        return Result(
            pushes=len(latencies), p50_ms=cuts[49], p99_ms=cuts[98], worst_ms=max(latencies),
            delivered=sender.channel.ended - WARM_UP,
        )  # fmt: skip
    finally:
        await sender.close()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    result = uvloop.run(_run(msgspec.json.decode(sys.stdin.buffer.read(), type=Task)))
    print(msgspec.json.encode(result).decode())
