"""The product's process that `bench.calls` puts under load: `python -m bench.call_server TASK`, a Task as JSON.

It is `ringback serve` without HTTP: the same installation, rooms and SIP listener, on SQLite, in embedded mode or
behind a proxy, with subscribers who are there already. It prints its SIP port, and one State for each line that it is
sent.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

import apsw
import msgspec
import uvloop

from bench.process import cpu_seconds, resident_megabytes
from ringback.collector import calm_collector
from ringback.directory import NewSubscriber, ha1_of
from ringback.installation import open_installation
from ringback.principal import job
from ringback.push import TokenOwner
from ringback.server import Rooms, wire
from ringback.server_sip import take_calls
from ringback.serving import GROUP_SECONDS_WITH_SIP
from ringback.settings import Settings
from ringback.store import Command, Store, Tx

DOMAIN = "example.org"
PASSWORD = "password"
CALLER = "caller"
UNIT = 500
OPERATOR = job("bench")
insert_app = Command(
    "bench_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ('bank', '[]', 0, 1)"
)


class Task(msgspec.Struct, frozen=True):
    """`subscribers`: named u0, u1… `writes`: durable units a second, beside the calls.

    `proxy`: HOST:PORT of the SIP proxy that it is the application server of; "" = embedded mode.
    """

    folder: str
    subscribers: int
    wake_seconds: int
    writes: int = 0
    early_media: bool = True
    mobile_push_enable: str = "no_reg"
    proxy: str = ""


class State(msgspec.Struct, frozen=True):
    """How it stands. `waiting`: calls that are held; `written`: units so far.

    `sqlite_megabytes`: what SQLite has of its memory, page caches above all, which fill up to 64 and 32 MB.
    """

    waiting: int
    megabytes: float
    sqlite_megabytes: float
    cpu_seconds: float
    written: int


async def main(task: Task) -> None:
    """Serves until its input ends."""
    settings = Settings(
        data_dir=task.folder,
        sip_listen="127.0.0.1:0",
        sip_mode="application-server" if task.proxy else "embedded",
        sip_proxy=task.proxy,
        sip_proxies="127.0.0.1",
        sip_max_calls=100_000,
        sip_early_media=task.early_media,
        wake_seconds=task.wake_seconds,
    )
    async with open_installation(settings, max_group_seconds=GROUP_SECONDS_WITH_SIP) as installation:
        rooms, store = wire(installation), installation.store
        await _furnish(rooms, store, task)
        async with take_calls(installation, rooms.calls) as addresses:
            calm_collector()
            print(addresses[0].rpartition(":")[2], flush=True)
            writer = _Writer(rooms, store)
            writing = asyncio.create_task(writer.run(task.writes))
            await _answer_questions(rooms, writer)
            writing.cancel()
            if writing.done():
                writing.result()
        await rooms.close()


async def _furnish(rooms: Rooms, store: Store, task: Task) -> None:
    directory = rooms.calls.directory
    said = {"mobile_push_enable": task.mobile_push_enable}
    ha1 = {DOMAIN: ha1_of(CALLER, DOMAIN, PASSWORD)}

    async def begin(tx: Tx) -> None:
        await tx.run(insert_app)
        await directory.domains.create(tx, OPERATOR, DOMAIN, ("bank",))
        await directory.domains.set_preferences(tx, OPERATOR, DOMAIN, said, False)
        await directory.subscribers.create(tx, OPERATOR, NewSubscriber(DOMAIN, CALLER, CALLER, ha1=ha1))
        await rooms.push.tokens.register(tx, TokenOwner("bank", "bob", device_pkid="desk"), "fcm", "fcm-of-bob")

    async def make(tx: Tx, numbers: range) -> None:
        for number in numbers:
            name = f"u{number}"
            new = NewSubscriber(DOMAIN, name, "bob", ha1={DOMAIN: ha1_of(name, DOMAIN, PASSWORD)})
            await directory.subscribers.create(tx, OPERATOR, new)

    await store.write(begin)
    for first in range(0, task.subscribers, UNIT):
        await store.write(make, range(first, min(first + UNIT, task.subscribers)))


class _Writer:
    """Units beside the calls, each acknowledged after its COMMIT."""

    def __init__(self, rooms: Rooms, store: Store) -> None:
        self._rooms = rooms
        self._store = store
        self._numbers = itertools.count()
        self.written = 0

    async def run(self, per_second: int) -> None:
        """A hundredth of them every hundredth of a second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for turn in itertools.count(1) if per_second else ():
            async with asyncio.TaskGroup() as group:
                for _ in range(per_second // 100):
                    group.create_task(self._write())
            await asyncio.sleep(max(0.0, began + turn / 100 - loop.time()))

    async def _write(self) -> None:
        await self._store.write(self._unit, str(next(self._numbers)))
        self.written += 1

    async def _unit(self, tx: Tx, subject: str) -> None:
        await self._rooms.audit.record(tx, OPERATOR, "bench.write", subject_kind="bench", subject_id=subject)


async def _answer_questions(rooms: Rooms, writer: _Writer) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        pid = os.getpid()
        sqlite = apsw.memory_used() / 1_000_000
        state = State(rooms.calls.wake_ups.count, resident_megabytes(pid), sqlite, cpu_seconds(pid), writer.written)
        print(msgspec.json.encode(state).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Task)))
