"""`ringback testing providers`: one command, and everything that a server needs is there."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ringback.cli import ringback
from ringback.testing import APNS_PREFIXES, FCM_PREFIXES, Behaviour, Received, is_encrypted, title_of
from tests.house.source import ROOT
from tests.journeys.phones import Bank
from tests.peers.node import node
from tests.served import Served

PATIENCE = 60
FREE_PORTS = ("--apns-port", "0", "--apns-sandbox-port", "0", "--fcm-port", "0", "--web-push-port", "0")
JWE = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"


@asynccontextmanager
async def providers(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "testing", "providers", "--folder", str(folder), *FREE_PORTS, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()


def _document(ready: dict[str, Any], sandbox: str, pushes: list[dict[str, Any]]) -> dict[str, Any]:
    settings, apns = ready["settings"], ready["apns"]
    host, _, port = settings[f"RINGBACK_APNS{sandbox}_URL"].removeprefix("https://").partition(":")
    options = {
        "token": {"key": apns["keyFile"], "keyId": apns["keyId"], "teamId": apns["teamId"]},
        "address": host,
        "port": int(port),
        "ca": [Path(settings["RINGBACK_PUSH_CA_FILE"]).read_text()],
    }
    filled = [{"topic": apns["bundleId"], "pushType": "alert", "token": "ab" * 32} | push for push in pushes]
    return {"options": options, "pushes": filled}


async def test_in_json_it_says_what_is_needed_and_then_each_push(tmp_path: Path) -> None:
    async with providers(tmp_path / "new", "--json") as process:
        ready = json.loads(await _line(process))
        assert ready["event"] == "ready"
        assert set(ready["settings"]) == {
            "RINGBACK_APNS_URL",
            "RINGBACK_APNS_SANDBOX_URL",
            "RINGBACK_FCM_URL",
            "RINGBACK_FCM_TOKEN_URL",
            "RINGBACK_PUSH_CA_FILE",
            "RINGBACK_EGRESS_ALLOW",
        }
        assert ready["apns"]["prefixes"]["dead"] == "Unregistered"
        account = json.loads((tmp_path / "new" / "service-account-ringback-test.json").read_text())
        assert Path(ready["fcm"]["serviceAccountFile"]).name == "service-account-ringback-test.json"
        assert account["token_uri"] == ready["settings"]["RINGBACK_FCM_TOKEN_URL"]
        pushes = [
            {"rawPayload": {"aps": {"alert": {"title": "Hello", "body": "…"}}}},
            {"rawPayload": {"aps": {}, "data": JWE}},
            {"rawPayload": {"aps": {}}, "token": "dead".ljust(64, "0")},
        ]
        await node("apns_client.mjs", _document(ready, "", pushes))
        await node("apns_client.mjs", _document(ready, "_SANDBOX", pushes[:1]))
        browser = {"ca": ready["settings"]["RINGBACK_PUSH_CA_FILE"], "subscription": ready["webPush"]["subscription"]}
        await node("web_push_client.mjs", {**browser, "payload": '{"title":"Browser"}', "options": {}})
        told = [json.loads(await _line(process)) for _ in range(5)]
        assert {push["event"] for push in told} == {"push"}
        assert [(push["provider"], push["status"], push["reason"], push["title"]) for push in told] == [
            ("apns", 200, "", "Hello"),
            ("apns", 200, "", "encrypted"),
            ("apns", 410, "Unregistered", "silent"),
            ("apns-sandbox", 200, "", "Hello"),
            ("webpush", 201, "", "Browser"),
        ]
        assert [push["encrypted"] for push in told] == [False, True, False, False, False]
        assert told[1]["payload"] == {"aps": {}, "data": JWE}


async def test_a_server_with_the_settings_that_it_prints_reaches_its_web_push_service(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with providers(tmp_path / "providers", "--json") as process:
        ready = json.loads(await _line(process))
        settings = {name.removeprefix("RINGBACK_").lower(): value for name, value in ready["settings"].items()}
        async with Served.start(tmp_path, sqlite_url, **settings) as served:
            credential = {"subject": "mailto:bank@example.com"}
            await served.call("PUT", "/api/v1/apps/bank/push-credentials/webpush", credential, auth=served.admin)
            bank = Bank.of_served(served)
            browser = bank.phone(await bank.enrol("alice"))
            await browser.register_push("webpush", json.dumps(ready["webPush"]["subscription"]))
            message = {"userId": "alice", "title": "Hello", "message": "News"}
            assert (await bank.call("POST", "/v2/messages/send", message)).status == 200
            told = json.loads(await _line(process))
    assert (told["provider"], told["status"], told["title"]) == ("webpush", 201, "Hello")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_for_people_it_prints_a_table_and_a_line_for_each_push(tmp_path: Path, number: int) -> None:
    async with providers(tmp_path) as process:
        lines = []
        while not lines or "The doubles are ready" not in lines[-1]:
            lines.append(await _line(process))
        text = "".join(lines)
        settings = dict(line.split()[1].split("=", 1) for line in lines if line.startswith("  export "))
        assert "AuthKey_RB2TESTKEY.p8   (key id RB2TESTKEY, team id RB2TESTTEA)" in text
        ready = {
            "settings": settings,
            "apns": {
                "keyFile": str(tmp_path / "AuthKey_RB2TESTKEY.p8"),
                "keyId": "RB2TESTKEY",
                "teamId": "RB2TESTTEA",
                "bundleId": "com.example.app",
            },
        }
        pushes = [{"rawPayload": {"aps": {"alert": "Hello"}}}, {"token": "dead".ljust(64, "0")}]
        await node("apns_client.mjs", _document(ready, "", pushes))
        assert await _line(process) == "apns         200                       abababababababab… alert  Hello\n"
        refused = (await _line(process)).split()
        assert refused[:3] == ["apns", "400", "PayloadEmpty"]
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    async with providers(tmp_path / "first", "--json") as first:
        port = json.loads(await _line(first))["settings"]["RINGBACK_FCM_URL"].rpartition(":")[2]
        async with providers(tmp_path / "second", "--fcm-port", port) as second:
            assert await asyncio.wait_for(second.wait(), PATIENCE) == 1
            assert second.stderr is not None
            complaint = (await second.stderr.read()).decode()
    assert complaint.startswith(f"ringback: 127.0.0.1:{port} cannot be listened on: ")
    assert complaint.count("\n") == 1


def test_the_help_names_the_prefixes() -> None:
    said = CliRunner().invoke(ringback, ["testing", "providers", "--help"])
    assert said.exit_code == 0
    assert "dead.. 410 Unregistered" in " ".join(said.output.split())


@pytest.mark.parametrize("broken", ["folder", "ca.key"])
async def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, broken: str) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "ca.key").write_text("no key")
    (tmp_path / "ca.pem").write_text("no certificate")
    folder = tmp_path / "file" / "folder" if broken == "folder" else tmp_path
    async with providers(folder) as process:
        said, complaint = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (said, process.returncode) == (b"", 1)
    assert complaint.decode().startswith(f"ringback: --folder: {folder} cannot be used: ")
    assert complaint.count(b"\n") == 1


@pytest.mark.parametrize("prefixes", [APNS_PREFIXES, FCM_PREFIXES])
def test_the_page_lists_every_prefix(prefixes: dict[str, Behaviour]) -> None:
    page = (ROOT / "docs/how-to/try-pushes.md").read_text()
    for prefix, behaviour in prefixes.items():
        assert f"| `{prefix}` | {behaviour.summary} |" in page


@pytest.mark.parametrize(
    ("payload", "title"),
    [
        ({"aps": {"alert": "Hello"}}, "Hello"),
        ({"aps": {"alert": {"title-loc-key": "KEY"}}}, "KEY"),
        ({"aps": {"content-available": 1}}, "silent"),
        ({"message": {"notification": {"title": "A", "body": "B"}}}, "A"),
        ({"message": {"data": {"body": "B"}}}, "B"),
        ({"message": {"notification": {"body": "Call"}, "data": {"body": JWE}}}, "encrypted"),
        ({"displayname": "Alice"}, "Alice"),
        ("text", "silent"),
        (None, "silent"),
        ({"list": [JWE]}, "encrypted"),
    ],
)
def test_a_push_is_named_by_what_a_person_would_see(payload: Any, title: str) -> None:
    received = Received(
        provider="apns",
        number=1,
        at_ms=0,
        connection=1,
        stream=1,
        http="h2",
        method="POST",
        path="",
        headers={},
        body=b"",
    )
    received.payload = payload
    assert title_of(received) == title
    assert is_encrypted(received) is (title == "encrypted")
