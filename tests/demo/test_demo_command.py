"""`ringback demo` and `ringback phone` as a person runs them: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ringback.demo import CHAPTERS
from ringback.demo.stage import Credentials

RINGBACK = [sys.executable, "-m", "ringback"]


def ringback(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*RINGBACK, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_check_verifies_every_step(tmp_path: Path) -> None:
    done = ringback("demo", "--check", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert [chapter["title"] for chapter in report["chapters"]] == [chapter.title for chapter in CHAPTERS]
    assert all(step["checks"] for chapter in report["chapters"] for step in chapter["steps"])
    assert list(tmp_path.iterdir()) == []


def test_check_in_a_narrow_terminal_shows_the_qr_code_whole(tmp_path: Path) -> None:
    done = ringback("demo", "--check", COLUMNS="48", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    code = [line for line in done.stdout.splitlines() if re.fullmatch("[█▀▄ ]{40,}", line)]
    assert len(code) >= 22
    assert max(map(len, code)) <= 48


BROKEN = """
from ringback.demo import chapters
from ringback.demo.story import Chapter
import ringback.demo

async def broken(story):
    async with story.step("Alice → Bank: something new"):
        story.check(False, "the moon is made of cheese")

ringback.demo.CHAPTERS = (chapters.CHAPTERS[0], Chapter("Broken", broken))
from ringback.cli import main
main()
"""


def test_broken_step_makes_the_check_fail(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, "demo", "--check"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "failed at: Broken: Alice → Bank: something new" in done.stderr
    assert "the moon is made of cheese" in done.stderr
    assert "was verified" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "ringback.db").write_bytes(b"this is no database" * 1000)
    done = ringback("demo", "--check", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert "failed at: Setting the stage" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_goes_with_check() -> None:
    assert ringback("demo", "--json").returncode == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_stays_until_it_is_ended_and_the_phone_works_by_hand(tmp_path: Path, how: signal.Signals) -> None:
    demo = subprocess.Popen(
        [*RINGBACK, "demo", "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert demo.stdout is not None
    told: dict[str, str] = {}
    try:
        for line in demo.stdout:
            found = re.match(r"  ([A-Z][A-Za-z ]+?)  +(\S+)", line)
            if found:
                told[found.group(1)] = found.group(2)
            if "Her phone" in line:
                break
        phone_file = next(tmp_path.glob("phone-*-first.json"))
        with urllib.request.urlopen(told["Swagger UI"], timeout=60) as page:
            assert page.status == 200
        if how is signal.SIGINT:
            use_the_phone(told, phone_file, tmp_path)
    finally:
        demo.send_signal(how)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == (-signal.SIGKILL if how is signal.SIGKILL else 0), rest
    until_refused(told["Swagger UI"])
    log = (tmp_path / "server.log").read_text()
    assert "Traceback" not in log


def until_refused(url: str) -> None:
    """A demo that was killed could not stop its server: that notices by itself."""
    gives_up_at = time.monotonic() + 60
    while time.monotonic() < gives_up_at:
        try:
            urllib.request.urlopen(url, timeout=30).close()
        except OSError as error:
            if "refused" in str(error):
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} still answers")


def use_the_phone(told: dict[str, str], phone_file: Path, folder: Path) -> None:
    back_end = (told["Back ends"], Credentials(told["User name"], told["Password"]))
    alice = {"userId": told["Alice is"]}
    phone = {"RINGBACK_PHONE": str(phone_file), "RINGBACK_PIN": "1357"}

    status = ringback("phone", "status", "--json", **phone)
    assert json.loads(status.stdout)["status"] == "ACTIVE"
    assert "ACTIVE" in ringback("phone", "status", **phone).stdout
    assert "Nothing is waiting" in ringback("phone", "list", **phone).stdout

    payment = {"template": "payment", "parameters": {"amount": "5", "currency": "EUR", "iban": "CZ1"}}
    operations = [post(*back_end, "/v2/operations", {**alice, **payment})["operationId"] for _ in range(3)]
    listed = ringback("phone", "list", COLUMNS="120", **phone)
    assert all(operation in listed.stdout for operation in operations)
    assert len(json.loads(ringback("phone", "list", "--json", **phone).stdout)) == 3

    wrong = ringback("phone", "approve", operations[0], "--pin", "9999", **phone)
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("ringback: The PIN was wrong")
    assert len(wrong.stderr.splitlines()) == 1
    assert "Approved" in ringback("phone", "approve", operations[0], **phone).stdout
    assert json.loads(ringback("phone", "approve", operations[1], "--biometry", "--json", **phone).stdout)["approved"]
    assert "Rejected" in ringback("phone", "reject", operations[2], **phone).stdout
    unknown = ringback("phone", "approve", "no-such", **phone)
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (1, 1)

    signed = ringback("phone", "sign", "--uri-id", "/mobile/login", "login", **phone)
    check = {"method": "POST", "uriId": "/mobile/login", "authHeader": signed.stdout.strip(), "requestBody": "bG9naW4="}
    assert post(*back_end, "/v2/signature/verify", check)["signatureValid"] is True
    signed = ringback("phone", "sign", "--uri-id", "/mobile/x", "--method", "GET", "b=2&a=1 ö", "--biometry", **phone)
    query = {"queryParams": {"a": "1 ö", "b": "2"}}
    check = {"method": "GET", "uriId": "/mobile/x", "authHeader": signed.stdout.strip(), **query}
    assert post(*back_end, "/v2/signature/verify", check)["signatureValid"] is True

    created = post(*back_end, "/v2/registrations", {**alice, "appId": told["App"]})
    config = json.loads(phone_file.read_text())["sdkConfig"]
    activate = ["phone", "activate", "--url", told["Phones"], "--config", config]
    new = ["--state", str(folder / "third.json"), "--pin", "2468"]
    no_pin = ringback(*activate, created["activationQrCodeData"], "--state", str(folder / "third.json"))
    assert (no_pin.returncode, "PIN" in no_pin.stderr) == (1, True)
    activated = ringback(*activate, created["activationQrCodeData"], "--json", *new)
    assert json.loads(activated.stdout)["activationId"] == created["registrationId"]
    again = ringback(*activate, created["activationQrCodeData"], *new)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    used = ringback(*activate, created["activationCode"], "--state", str(folder / "fourth.json"), "--pin", "1")
    assert (used.returncode, "wrong, used or expired" in used.stderr) == (1, True)
    assert not (folder / "fourth.json").exists()


def post(base: str, credentials: Credentials, path: str, content: object) -> dict[str, object]:
    import base64  # noqa: PLC0415

    basic = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    request = urllib.request.Request(
        base + path,
        data=json.dumps(content).encode(),
        headers={"Authorization": f"Basic {basic}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        decoded: dict[str, object] = json.load(answer)
        return decoded


def test_phone_without_a_server_or_a_file(tmp_path: Path) -> None:
    missing = ringback("phone", "status", "--state", str(tmp_path / "none.json"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)
    assert "ringback phone activate" in missing.stderr
    assert ringback("phone", "activate").returncode == 2
    started = time.monotonic()
    assert ringback("phone", "--help").returncode == 0
    assert time.monotonic() - started < 30
