"""`ringback phone approve --link` and `ringback phone offline`, against the wired server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ringback.protocols.powerauth.operation_link import OperationLink, build_jwt, build_link
from tests.served import Served
from tests.softphone.test_phone_command import CLOUD, Terminal, registered


@pytest.fixture
async def terminal(served_sqlite: Served, tmp_path: Path) -> Terminal:
    """With an active phone of jan."""
    terminal = Terminal(served_sqlite, tmp_path / "phone.json")
    created = await registered(served_sqlite)
    done = await terminal.activate(created["activationQrCodeData"])
    assert done.exit_code == 0, done.output
    await served_sqlite.call("POST", f"{CLOUD}/registrations/{created['registrationId']}/commit", {})
    terminal.environment["REGISTRATION"] = created["registrationId"]
    return terminal


async def ask(terminal: Terminal, **fields: Any) -> dict[str, Any]:
    made = await terminal.served.call("POST", f"{CLOUD}/operations", {"template": "login", **fields})
    body: dict[str, Any] = made.body
    return body


async def status(terminal: Terminal, operation: dict[str, Any]) -> str:
    return str((await terminal.served.call("GET", f"{CLOUD}/operations/{operation['operationId']}")).body["status"])


async def test_approving_by_a_link_and_by_a_qr_code(terminal: Terminal) -> None:
    for build in (lambda link: build_link("https://bank.example/app", link), build_jwt):
        operation = await ask(terminal)
        text = build(OperationLink(operation["operationId"], operation["proximityOtp"]))
        told = await terminal.json("approve", "--link", text)
        assert told == {"operationId": operation["operationId"], "approved": True}
        assert await status(terminal, operation) == "APPROVED"


async def test_what_waits_is_whole_in_terminals_of_every_width(terminal: Terminal) -> None:
    amount = "1234567890" * 5
    parameters = {"amount": amount, "currency": "EUR", "iban": "CZ5508000000001234567899"}
    operation = await ask(terminal, userId="jan", template="payment", parameters=parameters)
    [told] = await terminal.json("list")
    for columns in (40, 80, 200):
        shown = (await terminal.run("list", COLUMNS=str(columns))).output
        assert max(map(len, shown.splitlines())) <= columns
        words = "".join(letter for letter in shown if letter.isalnum() or letter in "-:+?")
        for expected in (operation["operationId"], told["operationExpires"]):
            assert expected in words
        assert f"Doyouwanttopay{amount}EURtoCZ5508000000001234567899?" in words or columns > 80
        assert "…" not in shown


async def test_links_that_do_not_help(terminal: Terminal) -> None:
    operation = await ask(terminal)
    wrong = await terminal.run(
        "approve", "--link", f"https://bank.example/?oid={operation['operationId']}&totp=00000000"
    )
    assert (wrong.exit_code, await status(terminal, operation)) == (1, "PENDING")
    nowhere = await terminal.run("approve", "--link", "https://bank.example/")
    assert (nowhere.exit_code, "does not lead to an operation" in str(nowhere.exception or nowhere.output)) == (1, True)
    for words in (("approve",), ("approve", "x", "--link", "y")):
        assert (await terminal.run(*words)).exit_code == 2


async def test_digits_for_a_qr_code(terminal: Terminal, tmp_path: Path) -> None:
    for biometry in ([], ["--biometry"]):
        operation = await ask(terminal, userId="jan")
        path = f"{CLOUD}/operations/{operation['operationId']}/offline"
        registration_id = terminal.environment["REGISTRATION"]
        made = (await terminal.served.call("GET", f"{path}/qr?registrationId={registration_id}")).body
        (tmp_path / "qr.txt").write_text(made["operationQrCodeData"] + "\n")
        done = await terminal.run("offline", "--qr", f"@{tmp_path / 'qr.txt'}", *biometry)
        assert done.exit_code == 0, done.output
        assert re.fullmatch(r"(\d{4}-){3}\d{4}\n", done.stdout)
        assert "Log in" in done.stderr
        body = {"otp": done.stdout.strip(), "nonce": made["nonce"], "registrationId": registration_id}
        assert (await terminal.served.call("POST", f"{path}/otp", body)).body["otpValid"] is True
        assert await status(terminal, operation) == "APPROVED"
    told = await terminal.json("offline", "--qr", made["operationQrCodeData"])
    assert (told["title"], told["data"], len(told["code"])) == ("Log in", "A2", 19)
    forged = await terminal.run("offline", "--qr", made["operationQrCodeData"].replace("A2", "A3"))
    assert forged.exit_code == 1
