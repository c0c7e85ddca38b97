"""Embedded mode in a process of its own: killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calls.embedded_scene import ScriptedPhone, contacts
from tests.calls.peer import Peer
from tests.calls.ports import free_port
from tests.calls.scene import DOMAIN
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess


class Process:
    """A server with the domain example.com."""

    def __init__(self, server: ServerProcess, port: int) -> None:
        self.server = server
        self.place = ("127.0.0.1", port)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def account(self, name: str) -> str:
        """A subscriber; returns its password."""
        made = await asyncio.to_thread(
            self.server.cli, "subscriber", "create", f"{name}@{DOMAIN}", "--user", name, "--json"
        )
        return str(json.loads(made.stdout)["password"])

    @contextlib.asynccontextmanager
    async def phone(self, name: str, password: str) -> AsyncIterator[ScriptedPhone]:
        """A phone of a subscriber."""
        async with Peer.start() as peer:
            yield ScriptedPhone(peer, self.place, name, password)


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> ServerProcess:
    """Not started yet; its database has its schema."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    url = ""
    if request.param == "sqlite":
        upgraded: Path = request.getfixturevalue("upgraded_sqlite")
        (folder / "ringback.db").write_bytes(upgraded.read_bytes())
    else:
        cluster: PostgresCluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.new_database(request.getfixturevalue("upgraded_postgres")))
    return ServerProcess(folder, url, {"sip_mode": "embedded"})


@pytest.fixture
async def process(server: ServerProcess) -> AsyncIterator[Process]:
    """One that runs."""
    port = free_port()
    server.settings["sip_listen"] = f"127.0.0.1:{port}"
    process = Process(server, port)
    try:
        await process.start()
        await asyncio.to_thread(server.cli, "domain", "create", DOMAIN)
        yield process
    finally:
        if server.process is not None:
            server.kill()


async def test_bindings_and_passwords_are_there_after_kill_9(process: Process) -> None:
    alices, bobs = await process.account("alice"), await process.account("bob")
    async with process.phone("alice", alices) as alice, process.phone("bob", bobs) as bob:
        made = await bob.register(expires=3600)
        assert made.status == 200
        process.server.kill()
        await process.start()
        found = await (await alice.call(f"bob@{DOMAIN}")).answer(302)
        assert contacts(found) == [bob.contact]
        again = await bob.register(expires=3600)
        assert (again.status, contacts(again)) == (200, [bob.contact])


async def test_an_answer_that_was_overheard_is_worth_nothing_after_a_restart(process: Process) -> None:
    bobs = await process.account("bob")
    async with process.phone("bob", bobs) as bob:
        challenge = await bob.register(proven=False)
        proof = bob.authorization(challenge, "REGISTER", f"sip:{DOMAIN}")
        fields = {"Contact": f"<{bob.contact}>", "Authorization": proof}
        told = {"to": f"<sip:{bob.aor}>", "proven": False}
        first = await bob.request("REGISTER", f"sip:{DOMAIN}", fields, **told)  # type: ignore[arg-type]
        assert first.status == 200
        overheard = {"Contact": "<sip:mallory@192.0.2.66>", "Authorization": proof}
        assert (await bob.request("REGISTER", f"sip:{DOMAIN}", overheard, **told)).status == 401  # type: ignore[arg-type]
        process.server.kill()
        await process.start()
        assert (await bob.request("REGISTER", f"sip:{DOMAIN}", overheard, **told)).status == 401  # type: ignore[arg-type]
        assert contacts(await bob.register(contact="", expires=None, call_id="query")) == [bob.contact]
