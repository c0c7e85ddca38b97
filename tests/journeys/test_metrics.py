"""The metrics of several processes: whichever is asked answers for all."""

from __future__ import annotations

import asyncio
import base64
import time
import urllib.request
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from ringback.testing import Providers
from tests.journeys.conftest import NewServer
from tests.journeys.processes import children
from tests.peers.server import ServerProcess

INSERT = (
    "INSERT INTO push_tokens (id, app_id, user_id, device_pkid, kind, push_token, suspended, registered_at, version)"
    " VALUES ('t', 'bank', 'alice', 'desk', 'fcm', 'fcm-alice', FALSE, 0, 1)"
)


def answers(server: ServerProcess) -> float:
    """How many answers of push providers one scrape shows."""
    with urllib.request.urlopen(f"{server.internal}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("ringback_push_answers_total"))


def wait_for_answers(server: ServerProcess, count: int) -> None:
    gives_up_at = time.monotonic() + 60
    while (seen := answers(server)) != count:
        assert time.monotonic() < gives_up_at, seen
        time.sleep(0.05)


async def test_pushes_of_the_worker_are_counted_also_when_it_has_died(
    postgres_url: str, new_server: NewServer, tmp_path: Path
) -> None:
    async with Providers(tmp_path / "providers") as providers:
        settings = {name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()}
        server = new_server(postgres_url, workers="2", **settings)
        await asyncio.to_thread(server.start)
        furnished = await asyncio.to_thread(server.furnish)
        account = {"serviceAccount": base64.b64encode(providers.fcm.account.file.read_bytes()).decode()}
        path = "/api/v1/apps/bank/push-credentials/fcm"
        await asyncio.to_thread(server.call, "PUT", path, account, furnished.admin)
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(INSERT)
        await connection.close()

        async def push() -> None:
            body = {"userId": "alice", "title": "Hello", "message": "World"}
            path = "/powerauth-cloud/v2/messages/send"
            await asyncio.to_thread(server.call, "POST", path, body, furnished.integration)

        await push()
        await asyncio.to_thread(wait_for_answers, server, 1)
        for child in children(server):
            child.kill()
        await asyncio.to_thread(server.wait_until_ready)
        await push()
        await asyncio.to_thread(wait_for_answers, server, 2)
        await asyncio.to_thread(server.stop)
