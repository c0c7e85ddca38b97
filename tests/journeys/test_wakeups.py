"""A proxy that suspends calls, and a server whose processes die under it."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from ringback.testing import Providers
from tests.journeys.conftest import NewServer
from tests.journeys.processes import children
from tests.peers.server import ServerProcess, basic

INSERT = (
    "INSERT INTO push_tokens (id, app_id, user_id, device_pkid, kind, push_token, suspended, registered_at, version)"
    " VALUES ('t', 'bank', 'alice', 'desk', 'fcm', 'fcm-alice', FALSE, 0, 1)"
)
WAKEUPS = "/api/v1/wakeups"
CALL = {"callee": "alice@example.org", "caller": "sip:bob@example.com", "callId": "call-1", "timeoutSeconds": 120}


def figures(server: ServerProcess, beginning: str) -> list[str]:
    """The lines of one scrape that begin so."""
    with urllib.request.urlopen(f"{server.internal}/metrics", timeout=30) as answer:
        return [line for line in answer.read().decode().splitlines() if line.startswith(beginning)]


async def test_a_wake_up_outlives_the_process_that_pushed(
    postgres_url: str, new_server: NewServer, tmp_path: Path
) -> None:
    async with Providers(tmp_path / "providers") as providers:
        settings = {name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()}
        server = new_server(postgres_url, workers="2", **settings)
        await asyncio.to_thread(server.start)
        proxy = await asyncio.to_thread(_furnish, server, providers)
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(INSERT)
        await connection.close()

        async def ask(method: str, path: str = "", body: Any = None) -> Any:
            return await asyncio.to_thread(server.call, method, WAKEUPS + path, body, proxy)

        made = await ask("POST", body=CALL)
        [rang] = await providers.fcm.wait_for(1, status=200)
        assert rang.payload["message"]["data"]["pushid"] == made["pushes"][0]["pushId"]
        for child in children(server):
            child.kill()
        await asyncio.to_thread(server.wait_until_ready)
        again = await ask("POST", body=CALL)
        assert (again["wakeupId"], again["state"]) == (made["wakeupId"], "WAITING")
        waiting = asyncio.create_task(ask("GET", f"/{made['wakeupId']}?waitSeconds=20"))
        ended = await ask("DELETE", f"/{made['wakeupId']}?reason=answered_elsewhere")
        assert (ended["state"], ended["outcome"]) == ("ENDED", "ANSWERED_ELSEWHERE")
        assert (await waiting)["outcome"] == "ANSWERED_ELSEWHERE"

        def says_goodbye(one: Any) -> bool:
            return bool(one.payload["message"]["data"].get("reason"))

        [told] = await providers.fcm.wait_for(1, status=200, where=says_goodbye)
        data = told.payload["message"]["data"]
        assert (data["reason"], data["pushid"]) == ("answered_elsewhere", made["pushes"][0]["pushId"])
        # Whichever process is asked knows of the calls of all.
        for number in range(4):
            await ask("POST", body={**CALL, "callId": f"more-{number}"})
        for _ in range(3):
            figure = await asyncio.to_thread(figures, server, 'ringback_calls_in_flight{mode="push-only"}')
            assert [line.rpartition(" ")[2] for line in figure] == ["4.0"]
        await asyncio.to_thread(server.stop)


def _furnish(server: ServerProcess, providers: Providers) -> str:
    """A push credential, a subscriber, and a proxy, whose Authorization header is returned."""
    furnished = server.furnish()
    account = {"serviceAccount": base64.b64encode(providers.fcm.account.file.read_bytes()).decode()}
    server.call("PUT", "/api/v1/apps/bank/push-credentials/fcm", account, furnished.admin)
    server.cli("domain", "create", "example.org", "--app", "bank")
    server.cli("subscriber", "create", "alice@example.org", "--user", "alice")
    server.cli("subscriber", "set", "alice@example.org", "--mobile-push-enable", "always")
    made = json.loads(server.cli("admin", "create-user", "kamailio", "--role", "sip-proxy", "--json").stdout)
    return basic(made["username"], made["password"])
