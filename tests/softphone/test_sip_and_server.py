"""The software phone and the wired server in embedded mode: commands as people type them, and phones by the dozen."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.softphone import Phone, StateFile
from ringback.softphone.sip_load import SipLoad
from ringback.testing.record import Received
from tests.calls.embedded_scene import PASSWORD, EmbeddedScene
from tests.calls.scene import DOMAIN, until
from tests.softphone.test_phone_and_server import PIN, enrolled


@pytest.fixture
async def scene(tmp_path: Path, sqlite_url: str) -> AsyncIterator[EmbeddedScene]:
    async with EmbeddedScene.start(tmp_path, sqlite_url, by_http=True, sip_requests_per_second=10_000) as scene:
        yield scene


class Terminal:
    """Commands of one phone's file, in processes of their own."""

    def __init__(self, scene: EmbeddedScene, file: Path) -> None:
        self.scene = scene
        self.file = file

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "RINGBACK_PHONE": str(self.file),
            "RINGBACK_PIN": PIN,
            "RINGBACK_SIP_PASSWORD": PASSWORD,
            "PYTHONUNBUFFERED": "1",
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "phone", *words),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *words: str, code: int = 0) -> str:
        process = await self.start(*words)
        told = (await process.communicate())[0].decode()
        assert process.returncode == code, told
        return told

    async def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(await self.run(*words, "--json", code=code))

    async def call(self, callee: str, *words: str, code: int = 0) -> Any:
        account = ("--from", f"alice@{DOMAIN}", "--server", self.scene.address)
        return await self.json("call", f"{callee}@{DOMAIN}", *account, *words, code=code)


async def said(process: asyncio.subprocess.Process, what: str) -> str:
    """The first line that has this in it."""
    assert process.stdout is not None
    lines = []
    async for line in process.stdout:
        lines.append(line.decode())
        if re.search(what, lines[-1]):
            return lines[-1]
    raise AssertionError(f"it never said {what}: {''.join(lines)}")


@pytest.fixture
async def terminal(scene: EmbeddedScene, tmp_path: Path) -> Terminal:
    """Bob's phone is activated and has a SIP account; Alice is a subscriber without a phone."""
    file = tmp_path / "phone.json"
    await scene.account("alice")
    await scene.account("bob")
    async with Phone(StateFile(file)) as phone:
        await enrolled(scene.scene.served, phone, "bob")
        await phone.register_push()
    terminal = Terminal(scene, file)
    await terminal.run("sip-account", f"sip:bob@{DOMAIN}", "--server", scene.address)
    return terminal


async def test_the_account_is_kept_for_its_owner_only(terminal: Terminal) -> None:
    shown = await terminal.json("sip-account")
    assert (shown["uri"], shown["server"]) == (f"sip:bob@{DOMAIN}", terminal.scene.address)
    assert shown["instance"].startswith("urn:uuid:")
    assert PASSWORD not in json.dumps(shown)
    assert stat.S_IMODE(terminal.file.stat().st_mode) == 0o600
    moved = await terminal.json("sip-account", f"sip:bob@{DOMAIN}", "--server", "127.0.0.1;transport=tcp")
    assert moved["instance"] == shown["instance"]
    await terminal.run("sip-account", "--forget")
    without = await terminal.run("answer", "--once", code=1)
    assert "has no SIP account" in without
    assert "--server" not in without, "it is no option of this command"
    assert "Give --server" in await terminal.run("sip-account", f"sip:bob@{DOMAIN}", code=2)
    assert "is no SIP server" in await terminal.run("sip-account", f"sip:bob@{DOMAIN}", "--server", "a b", code=1)


async def test_a_phone_that_sleeps_is_woken_and_answers(terminal: Terminal) -> None:
    answering = await terminal.start("answer", "--once", "--ring", "0.2", "--talk", "30", "--json")
    told = await terminal.call("bob", "--talk", "0.5")
    assert (told["answered"], told["end"], told["status"]) == (True, "hung up here", 200)
    assert [move["state"] for move in told["moves"]] == ["CONNECTING", "REDIRECTED", "RINGING", "ANSWERED", "ENDED"]
    assert told["earlyMediaPackets"] > 0
    assert told["heardPackets"] > 0
    output, _ = await answering.communicate()
    taken = json.loads(output)
    assert (taken["callId"], taken["answered"], taken["end"]) == (told["callId"], True, "hung up there")
    assert taken["pushId"]
    assert taken["heardPackets"] > 0
    record = await terminal.scene.scene.record(f"bob@{DOMAIN}")
    assert (record.outcome, record.status, record.call_id) == ("DEFLECTED", 302, told["callId"])


async def test_what_people_are_told(terminal: Terminal) -> None:
    answering = await terminal.start("answer", "--once", "--ring", "0", "--talk", "0.1")
    await said(answering, "Asleep. Waiting for a push.")
    options = ("--from", f"sip:alice@{DOMAIN}", "--server", terminal.scene.address)
    told = await terminal.run("call", f"sip:bob@{DOMAIN}", *options)
    for line in ("Calling sip:bob@", "connecting…", "early media", "ringing", "answered", "over: hung up there"):
        assert line in told
    assert re.search(r"heard \d+ packets before the answer", told)
    output = (await answering.communicate())[0].decode()
    for line in ("A push: ", "alice", "calls. Waking up.", "Registered after", "answered", "over: hung up here"):
        assert line in output
    assert answering.returncode == 0


async def test_a_phone_that_is_awake_needs_no_push(terminal: Terminal) -> None:
    answering = await terminal.start("answer", "--once", "--awake", "--ring", "0", "--talk", "30")
    await said(answering, "Registered as sip:bob@")
    told = await terminal.call("bob", "--talk", "0.1", "--no-sound")
    assert (told["answered"], told.get("earlyMediaPackets", 0)) == (True, 0)
    assert (await answering.communicate())[0]


async def test_what_is_ended_by_sigterm_hangs_up_and_unregisters(terminal: Terminal) -> None:
    answering = await terminal.start("answer", "--awake", "--ring", "0", "--talk", "3000", "--no-sound")
    await said(answering, "Registered as sip:bob@")
    account = ("--from", f"alice@{DOMAIN}", "--server", terminal.scene.address)
    calling = await terminal.start("call", f"bob@{DOMAIN}", *account, "--talk", "3000", "--no-sound")
    await said(calling, "answered")
    calling.terminate()
    assert await calling.wait() == 128 + signal.SIGTERM
    await said(answering, "over: hung up there")
    answering.terminate()
    assert await answering.wait() == 128 + signal.SIGTERM
    told = await terminal.call("bob", "--patience", "1", code=1)
    assert "REDIRECTED" not in [move["state"] for move in told["moves"]]


async def test_a_phone_rejects_a_call(terminal: Terminal) -> None:
    answering = await terminal.start("answer", "--once", "--ring", "0", "--reject")
    told = await terminal.call("bob", code=1)
    assert (told["answered"], told["status"]) == (False, 486)
    assert "rejected" in told["meaning"]
    await answering.communicate()


async def test_nobody_answers(terminal: Terminal) -> None:
    told = await terminal.call("bob", "--patience", "1", code=1)
    assert (told["end"], told["status"]) == ("cancelled", 487)
    told = await terminal.call("nobody", code=1)
    assert (told["end"], told["status"], "nobody of this name" in told["meaning"]) == ("refused", 404, True)
    options = ("--from", f"alice@{DOMAIN}", "--server", terminal.scene.address, "--password", "wrong")
    refused = await terminal.json("call", f"bob@{DOMAIN}", *options, code=1)
    assert refused["status"] == 401


async def test_phones_by_the_dozen_are_woken_by_pushes(scene: EmbeddedScene) -> None:
    names = [f"user-{number}" for number in range(24)]
    await scene.account("caller")
    tokens = {(await scene.account(name, phones=1))[0]: name for name in names}
    async with SipLoad(scene.place, DOMAIN, password=lambda _: PASSWORD, talk_seconds=0.05) as load:

        def pushed(received: Received) -> None:
            if received.accepted:
                load.wake(tokens[received.push_token])

        scene.scene.apns.on_outcome(pushed)
        result = await load.call(names, per_second=60, patience_seconds=60)
        assert result.finals == {302: len(names)}
        assert (result.answered, result.hung_up, result.early_media, result.lost) == (24, 24, 24, 0)
        assert (load.registered, load.refused, len(result.register_to_final_ms)) == (24, 0, 24)
        assert result.summary()["finals"] == {"302": 24}


async def test_phones_that_are_registered_and_callers_that_do_not_follow(scene: EmbeddedScene) -> None:
    names = [f"user-{number}" for number in range(10)]
    for name in ["caller", *names]:
        await scene.account(name)
    load = SipLoad(scene.place, DOMAIN, password=lambda _: PASSWORD, follows=False)
    async with load:
        await load.register_all(names)
        result = await load.call(names)
        assert (result.finals, result.answered, result.lost) == ({302: 10}, 0, 0)
    async with SipLoad(scene.place, DOMAIN, password=lambda _: "wrong") as wrong:
        wrong.wake("user-1")
        await until(lambda: wrong.refused > 0)
        assert wrong.registered == 0
