"""`ringback phone` from the terminal's side, in every protocol version, against the wired server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli import ringback
from ringback.softphone import StateUnusable
from tests.served import Served

PIN = "1357"
CLOUD = "/powerauth-cloud/v2"


class Terminal:
    """Runs commands with one phone's file."""

    def __init__(self, served: Served, state_file: Path) -> None:
        self.served = served
        self.environment = {"RINGBACK_PHONE": str(state_file), "RINGBACK_PIN": PIN}

    async def run(self, *words: str, **environment: str) -> Result:
        """In a thread, because a command has an event loop of its own."""
        runner = CliRunner(env={**self.environment, **environment})
        return await asyncio.to_thread(runner.invoke, ringback, ["phone", *words])

    async def json(self, *words: str) -> Any:
        done = await self.run(*words, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    async def activate(self, code: str, *options: str) -> Result:
        config = self.served.app["mobileSdkConfig"]
        return await self.run("activate", code, "--url", self.served.public, "--config", config, *options)


@pytest.fixture
def terminal(served_sqlite: Served, tmp_path: Path) -> Terminal:
    return Terminal(served_sqlite, tmp_path / "phone.json")


async def registered(served: Served) -> dict[str, Any]:
    created = await served.call("POST", f"{CLOUD}/registrations", {"userId": "jan", "appId": "bank"})
    body: dict[str, Any] = created.body
    return body


async def asked(served: Served) -> str:
    content = {"userId": "jan", "template": "login", "language": "en"}
    return str((await served.call("POST", f"{CLOUD}/operations", content)).body["operationId"])


async def test_every_command_in_every_version(terminal: Terminal, version: str, tmp_path: Path) -> None:
    served = terminal.served
    created = await registered(served)
    done = await terminal.activate(created["activationQrCodeData"], "--protocol", version, "--json")
    assert done.exit_code == 0, done.output
    registration_id = json.loads(done.stdout)["activationId"]
    assert registration_id == created["registrationId"]
    assert json.loads((tmp_path / "phone.json").read_bytes())["protocolVersion"] == version
    await served.call("POST", f"{CLOUD}/registrations/{registration_id}/commit", {})
    assert (await terminal.json("status"))["status"] == "ACTIVE"
    first, second = await asked(served), await asked(served)
    assert {operation["id"] for operation in await terminal.json("list")} == {first, second}
    assert (await terminal.json("approve", first)) == {"operationId": first, "approved": True}
    assert (await terminal.json("reject", second)) == {"operationId": second, "rejected": True}
    statuses = [(await served.call("GET", f"{CLOUD}/operations/{id_}")).body["status"] for id_ in (first, second)]
    assert statuses == ["APPROVED", "REJECTED"]
    header = (await terminal.json("sign", "1000 EUR", "--uri-id", "/payment"))["authHeader"]
    assert f'pa_version="{version}"' in header
    check = {"method": "POST", "uriId": "/payment", "authHeader": header, "requestBody": "MTAwMCBFVVI="}
    assert (await served.call("POST", f"{CLOUD}/signature/verify", check)).body["signatureValid"]
    for words in (["vault", "data to sign"], ["rename", "New name"], ["info"]):
        assert (await terminal.run(*words)).exit_code == 0, words
    detail = (await served.call("GET", f"{CLOUD}/registrations/{registration_id}")).body
    assert detail["name"] == "New name"
    await check_offline(terminal, registration_id)
    wrong = await terminal.run("approve", await asked(served), RINGBACK_PIN="0000")
    assert wrong.exit_code == 1
    told = await terminal.json("status")
    assert (told["failedAttempts"], told["counters"]) == (1, "phone ahead")


async def check_offline(terminal: Terminal, registration_id: str) -> None:
    path = f"{CLOUD}/operations/{await asked(terminal.served)}/offline"
    qr = (await terminal.served.call("GET", f"{path}/qr?registrationId={registration_id}")).body
    code = (await terminal.json("offline", "--qr", qr["operationQrCodeData"]))["code"]
    typed = {"otp": code, "nonce": qr["nonce"], "registrationId": registration_id}
    assert (await terminal.served.call("POST", f"{path}/otp", typed)).body["otpValid"]


async def test_no_code_is_spent_on_a_phone_that_cannot_be_kept(terminal: Terminal, tmp_path: Path) -> None:
    created = await registered(terminal.served)
    (tmp_path / "file").write_text("no folder")
    done = await terminal.activate(created["activationQrCodeData"], "--state", str(tmp_path / "file" / "phone.json"))
    assert isinstance(done.exception, StateUnusable)
    assert "cannot be written" in done.exception.message
    assert (await terminal.activate(created["activationQrCodeData"])).exit_code == 0


async def test_a_file_that_is_not_there_is_named_and_nothing_else(terminal: Terminal, tmp_path: Path) -> None:
    created = await registered(terminal.served)
    assert (await terminal.activate(created["activationQrCodeData"])).exit_code == 0
    for words in (("offline", "--qr"), ("vault",), ("sign", "--uri-id", "/x")):
        done = await terminal.run(*words, f"@{tmp_path}/nothing")
        assert f"Error: {tmp_path}/nothing cannot be read: No such file or directory" in done.output


async def test_an_unknown_protocol_is_wrong_usage(terminal: Terminal, tmp_path: Path) -> None:
    for text in ("4.0", "3", "", "3.3 "):
        done = await terminal.activate("AAAAA-AAAAA-AAAAA-AAAAA", "--protocol", text)
        assert (done.exit_code, "is none of 3.0, 3.1, 3.2, 3.3" in done.output) == (2, True), done.output
    assert not (tmp_path / "phone.json").exists()
