"""A campaign goes on after kill -9 in its middle; the command line shows how far it is."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.testing import Providers
from tests.journeys.conftest import NewServer
from tests.journeys.processes import kill_all
from tests.peers.server import ServerProcess

USERS = 1_000
INSERT = (
    "INSERT INTO push_tokens (id, app_id, user_id, device_pkid, kind, push_token, suspended, registered_at, version)"
    " VALUES ($1, 'bank', $2, 'desk', 'fcm', $3, FALSE, 0, 1)"
)
ABANDONED = "UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE state = 'LEASED'"
"""With several processes nobody can know that the one that held a lease is dead before the lease runs out."""


async def execute(server: ServerProcess, sql: str, rows: list[tuple[str, ...]]) -> None:
    """Runs a statement on the server's database, once for each row."""
    if server.database_url:
        connection = await asyncpg.connect(server.database_url)
        await connection.executemany(sql, rows)
        await connection.close()
        return
    file = apsw.Connection(str(server.folder / "ringback.db"))
    file.set_busy_timeout(20_000)  # the server writes too
    with file:
        file.executemany(sql.replace("$", "?"), rows)
    file.close()


async def told(server: ServerProcess, campaign_id: str) -> Counter[str]:
    """Whom pushes of the campaign were made for."""
    sql = f"SELECT user_id FROM pushes WHERE campaign_id = '{campaign_id}'"
    if server.database_url:
        connection = await asyncpg.connect(server.database_url)
        rows = [tuple(row) for row in await connection.fetch(sql)]
        await connection.close()
    else:
        rows = apsw.Connection(str(server.folder / "ringback.db")).execute(sql).fetchall()
    return Counter(user for (user,) in rows)


def settings_of(providers: Providers) -> dict[str, str]:
    return {name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()}


async def furnish(server: ServerProcess, providers: Providers) -> str:
    """An app with a service account at the double; returns the administrator's Authorization."""
    await asyncio.to_thread(server.start)
    admin: str = (await asyncio.to_thread(server.furnish)).admin
    account = base64.b64encode(providers.fcm.account.file.read_bytes()).decode()
    path = "/api/v1/apps/bank/push-credentials/fcm"
    await asyncio.to_thread(server.call, "PUT", path, {"serviceAccount": account}, admin)
    return admin


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def test_kill_9_in_the_middle(database: str, new_server: NewServer, tmp_path: Path) -> None:
    async with Providers(tmp_path / "providers") as providers:
        server = new_server(database, **settings_of(providers))
        admin = await furnish(server, providers)
        users = [f"user-{number:04}" for number in range(USERS)]
        await execute(server, INSERT, [(f"token-{user}", user, f"fcm-{user}") for user in users])

        async def call(method: str, path: str, body: Any = None) -> Any:
            return await asyncio.to_thread(server.call, method, f"/api/v1/campaigns{path}", body, admin)

        texts = {"en": {"title": "Closed on Monday"}}
        new = {"appId": "bank", "name": "Holiday", "texts": texts, "everyone": True}
        campaign_id = (await call("POST", "", new))["id"]
        assert (await call("POST", f"/{campaign_id}/start"))["users"] == USERS
        await providers.fcm.wait_for(USERS // 10)
        await asyncio.to_thread(kill_all, server)
        assert 0 < len(await told(server, campaign_id)) < USERS
        if database:
            await execute(server, ABANDONED, [()])
        await asyncio.to_thread(server.start)
        while True:
            shown = await call("GET", f"/{campaign_id}")
            if shown["status"] == "DONE" and not shown["pushesQueued"]:
                break
            await asyncio.sleep(0.1)
        assert (shown["usersDone"], shown["usersTold"], shown["pushesDelivered"]) == (USERS, USERS, USERS)
        assert await told(server, campaign_id) == Counter(users)
        reached = {one.push_token for one in providers.fcm.accepted}
        assert reached == {f"fcm-{user}" for user in users}


async def test_the_command_line_tells_and_waits(new_server: NewServer, tmp_path: Path) -> None:
    async with Providers(tmp_path / "providers") as providers:
        server = new_server(**settings_of(providers))
        await furnish(server, providers)
        await execute(server, INSERT, [(f"token-{user}", user, f"fcm-{user}") for user in ("alice", "bob")])
        users = tmp_path / "users.txt"
        users.write_text("alice\nbob\n\ncarol\nalice\n")
        said = ("push", "campaign", "bank", "--title", "Hello", "--message", "World", "--users", str(users))
        done = await asyncio.to_thread(server.cli, *said, "--json")
        shown = json.loads(done.stdout)
        assert (shown["status"], shown["users"], shown["usersTold"], shown["pushesDelivered"]) == ("DONE", 3, 2, 2)
        assert {one.payload["message"]["notification"]["title"] for one in providers.fcm.accepted} == {"Hello"}
        done = await asyncio.to_thread(server.cli, *said)
        assert "told       2" in done.stdout
        for wrong in (("--users", str(users), "--everyone"), ()):
            refused = await asyncio.to_thread(
                server.cli, "push", "campaign", "bank", "--title", "x", *wrong, check=False
            )
            assert refused.returncode == 2
            assert "--everyone or --users" in refused.stderr
        nobody = await asyncio.to_thread(server.cli, "push", "campaign", "shop", *said[3:], check=False)
        assert (nobody.returncode, nobody.stderr) == (
            1,
            "ringback: There is no such application, or this user has no access to it.\n",
        )
        assert await asyncio.to_thread(server.stop) == 0
        offline = await asyncio.to_thread(server.cli, *said)
        assert "the users are told when it does" in offline.stderr
        count = len(providers.fcm.accepted)
        await asyncio.to_thread(server.start)
        await providers.fcm.wait_for(count + 2)


async def campaigns(server: ServerProcess, admin: str) -> list[Any]:
    page = await asyncio.to_thread(server.call, "GET", "/api/v1/campaigns?appId=bank", None, admin)
    return page["items"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"alice\n\xe9mile\n", "users.txt is no text in UTF-8: "),
        ("alice\nbob\n".encode("utf-16"), "users.txt is no text in UTF-8: "),
        (b"", "users.txt names no user."),
        (b"\xef\xbb\xbf\n \n", "users.txt names no user."),
        (b"alice\n\n" + b"b" * 256 + b"\n", "users.txt, line 3: a user id has 1 to 255 characters, and no control"),
        (b"alice\tBank\n", "users.txt, line 1: a user id has 1 to 255 characters, and no control"),
        (b"\0\n", "users.txt, line 1: a user id has 1 to 255 characters, and no control"),
    ],
)
async def test_a_file_that_names_no_users_leaves_no_campaign_behind(
    new_server: NewServer, tmp_path: Path, content: bytes, complaint: str
) -> None:
    server, users = new_server(), tmp_path / "users.txt"
    await asyncio.to_thread(server.start)
    admin = (await asyncio.to_thread(server.furnish)).admin
    users.write_bytes(content)
    said = ("push", "campaign", "bank", "--title", "Hello", "--users", str(users))
    refused = await asyncio.to_thread(server.cli, *said, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("ringback: ")
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert await campaigns(server, admin) == []


async def test_whom_a_campaign_made_on_the_command_line_tells(new_server: NewServer, tmp_path: Path) -> None:
    server, users, texts = new_server(), tmp_path / "users.txt", tmp_path / "texts.json"
    await asyncio.to_thread(server.start)
    admin = (await asyncio.to_thread(server.furnish)).admin

    async def tell(*more: str, check: bool = True) -> Any:
        said = ("push", "campaign", "bank", "--users", str(users), "--json", *more)
        return await asyncio.to_thread(server.cli, *said, check=check)

    # As Windows writes it, and as long as user ids can be.
    longest = [f"{number:03}" + "\N{OLD PERSIAN SIGN A}" * 252 for number in range(130)]
    users.write_text("\r\n".join(["alice", *longest, "bob", ""]), encoding="utf-8-sig", newline="")
    title = "t" * 1024
    shown = json.loads((await tell("--title", title)).stdout)
    assert (shown["users"], shown["usersDone"], shown["name"]) == (132, 132, "t" * 255)
    rows = apsw.Connection(str(server.folder / "ringback.db")).execute("SELECT user_id FROM campaign_users").fetchall()
    assert sorted(str(user) for (user,) in rows) == sorted(["alice", *longest, "bob"])

    texts.write_text('{"en": {"title": "Hello"}}')
    for wrong in (("--title", "X"), ("--message", "X")):
        refused = await tell("--texts", str(texts), *wrong, check=False)
        assert refused.returncode == 2
        assert "--texts FILE, or --title and --message" in refused.stderr
    texts.write_bytes(b'{"en": {"title": "\xff"}}')
    refused = await tell("--texts", str(texts), check=False)
    assert refused.returncode == 2
    assert "is not a JSON object of texts by language" in refused.stderr
    assert len(await campaigns(server, admin)) == 1


async def test_whoever_stops_waiting_is_told_that_the_campaign_goes_on(new_server: NewServer, tmp_path: Path) -> None:
    async with Providers(tmp_path / "providers") as providers:
        server = new_server(**settings_of(providers))
        await furnish(server, providers)
        await execute(server, INSERT, [("token-alice", "alice", "silent-alice")])
        command = ("-m", "ringback", "push", "campaign", "bank", "--title", "Hello", "--everyone")
        waiting = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=server.environment, stderr=asyncio.subprocess.PIPE
        )
        await providers.fcm.wait_for(1)
        waiting.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(waiting.communicate(), 60)
        assert waiting.returncode == 130
        assert "is RUNNING" in said.decode() or "is DONE" in said.decode()
