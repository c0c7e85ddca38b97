"""Which application servers a real Kamailio has in its rotation: those that answer its OPTIONS."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.calls.kamailio import Kamailio
from tests.calls.peer import Message
from tests.calls.scripted_server import ScriptedServer

LATER = 5
"""Probes after one that is lost, by when Kamailio has given that one up: one comes every 2 s, and has 5 s."""


async def test_one_lost_probe_changes_nothing(tmp_path: Path) -> None:
    async with ScriptedServer.start() as server, Kamailio.start(tmp_path, [server.address]) as proxy:
        await proxy.until_server(server.address, alive=True)
        answer_by_itself = server.peer.answer_by_itself
        lost: list[str] = []
        later: set[str] = set()

        def lose_one(message: Message) -> bool:
            """The first, however often it is repeated."""
            call_id = message.get("Call-ID")
            lost[:] = lost or [call_id]
            if call_id in lost:
                return True
            later.add(call_id)
            return answer_by_itself(message)

        server.peer.answer_by_itself = lose_one
        while len(later) < LATER:
            flags = (await proxy.application_servers())[f"sip:{server.address}"]
            assert flags in {"AP", "TP"}, "T is doubtful, but takes calls"
            await asyncio.sleep(0.05)
        server.alive = False
        await proxy.until_server(server.address, alive=False)
