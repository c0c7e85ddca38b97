"""The application server that `bench.wakeup_kamailio` puts under load: `python -m bench.wakeup_server TASK`, as JSON.

It is `ringback serve` without HTTP, behind a SIP proxy, on SQLite; its subscribers have a phone each, whose push token
says whose it is. It prints the number of calls that it holds and its CPU seconds for each line that it is sent.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path

import msgspec
import uvloop

from bench.process import cpu_seconds
from bench.wakeup_state import State
from ringback.apps import push_credential_content
from ringback.collector import calm_collector
from ringback.directory import NewSubscriber
from ringback.installation import open_installation
from ringback.principal import job
from ringback.push import TokenOwner
from ringback.server import Rooms, wire
from ringback.server_sip import take_calls
from ringback.serving import GROUP_SECONDS_WITH_SIP
from ringback.settings import Settings
from ringback.store import Command, Store, Tx

DOMAIN = "example.com"
BUNDLE = "com.example.phone"
UNIT = 500
OPERATOR = job("bench")
insert_app = Command(
    "bench_insert_app", "An app.", "INSERT INTO apps(id, roles, created_at, version) VALUES ('bank', '[]', 0, 1)"
)


class Task(msgspec.Struct, frozen=True):
    """`proxy`, `listen`: HOST:PORT. `key_id`, `team_id`, `key_file`: what APNs at `apns_url` is asked with."""

    folder: str
    subscribers: int
    listen: str
    proxy: str
    apns_url: str
    ca_file: str
    key_id: str
    team_id: str
    key_file: str


def push_token(number: int) -> str:
    """Of the phone of subscriber `u{number}`."""
    return f"{number:064x}"


async def main(task: Task) -> None:
    """Serves until its input ends."""
    settings = Settings(
        data_dir=task.folder,
        sip_listen=task.listen,
        sip_mode="application-server",
        sip_proxies="127.0.0.1",
        sip_proxy=task.proxy,
        apns_url=task.apns_url,
        push_ca_file=task.ca_file,
        wake_seconds=30,
    )
    async with open_installation(settings, max_group_seconds=GROUP_SECONDS_WITH_SIP) as installation:
        rooms, store = wire(installation), installation.store
        await _furnish(rooms, store, task)
        async with take_calls(installation, rooms.calls):
            calm_collector()
            print("ready", flush=True)
            await _answer_questions(rooms)
        await rooms.close()


async def _furnish(rooms: Rooms, store: Store, task: Task) -> None:
    directory = rooms.calls.directory

    async def begin(tx: Tx) -> None:
        await tx.run(insert_app)
        await directory.domains.create(tx, OPERATOR, DOMAIN, ("bank",))
        await directory.domains.set_preferences(tx, OPERATOR, DOMAIN, {"mobile_push_enable": "no_reg"}, False)

    async def make(tx: Tx, numbers: range) -> None:
        for number in numbers:
            name = f"u{number}"
            await directory.subscribers.create(tx, OPERATOR, NewSubscriber(DOMAIN, name, name))
            owner = TokenOwner("bank", name, device_pkid=f"phone of {name}")
            await rooms.push.tokens.register(tx, owner, "apns-voip", push_token(number))

    await store.write(begin)
    for first in range(0, task.subscribers, UNIT):
        await store.write(make, range(first, min(first + UNIT, task.subscribers)))
    key = base64.b64encode(Path(task.key_file).read_bytes()).decode()
    content = {"keyId": task.key_id, "teamId": task.team_id, "bundleId": BUNDLE, "keyFile": key}
    await rooms.push.desk.put(OPERATOR, "bank", push_credential_content("apns", content))


async def _answer_questions(rooms: Rooms) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(msgspec.json.encode(State(rooms.calls.wake_ups.count, cpu_seconds(os.getpid()))).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Task)))
