"""What is written to the log, and what never is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import structlog

from ringback.observe import configure_logging, withhold_secrets


@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "app_secret", "pin", "otp_code", "Authorization", "push_token", "masterPrivateKey"],
)
def test_secrets_are_withheld_by_name(name: str) -> None:
    event = {name: "hush", "deep": {name: "hush", "more": [{name: "hush"}]}, "event": "x"}
    assert "hush" not in str(withhold_secrets(None, "info", event))


@pytest.mark.parametrize("name", ["event", "pinned", "key_id", "token_id", "reason", "registration_id"])
def test_other_values_are_written(name: str) -> None:
    assert withhold_secrets(None, "info", {name: "value"}) == {name: "value"}


@pytest.mark.parametrize("log_format", ["auto", "json", "text"])
def test_formats(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format, "info")
    try:
        log = structlog.get_logger("test")
        log.debug("not written")
        log.info("written", answer=42, password="hush")
    finally:
        structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    assert "hush" not in line
    if log_format == "text":
        assert "written" in line
        assert "answer=42" in line
        assert "\x1b" not in line  # colours are for terminals
    else:
        said = json.loads(line)
        assert (said["event"], said["answer"], said["level"]) == ("written", 42, "info")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_shows_no_local_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(given: str) -> None:
        raise RuntimeError(len(given))

    configure_logging(log_format, "info")
    try:
        fails("HUSH".lower())
    except RuntimeError as error:
        structlog.get_logger("test").error("failed", exc_info=error)
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert "RuntimeError: 4" in written
    assert "hush" not in written


SAYS = """
import logging
from ringback.observe import configure_logging
configure_logging("json", "info")
logging.getLogger("ringback.outbox").warning("%s failed", "push")
try:
    raise RuntimeError("why")
except RuntimeError:
    logging.getLogger("ringback.outbox").exception("broke")
"""


def test_what_is_said_to_logging_is_json_as_well() -> None:
    done = subprocess.run([sys.executable, "-c", SAYS], check=True, capture_output=True, text=True, timeout=60)
    first, second = map(json.loads, done.stderr.splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("push failed", "warning", "ringback.outbox")
    assert first["timestamp"]
    assert second["event"] == "broke"
    assert "RuntimeError: why" in second["exception"]


def test_what_a_stranger_wrote_cannot_steer_the_terminal_that_shows_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(text: str) -> None:
        raise RuntimeError(text)

    configure_logging("text", "info")
    try:
        log = structlog.get_logger("test")
        log.info("asked", path="/\x1b[2J\x9b5m\u202e")
        try:
            fails("\x1b[2J\nsecond line")
        except RuntimeError:
            log.exception("failed")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert "\\x1b[2J\\x9b5m\\u202e" in written
    assert "RuntimeError: \\x1b[2J\nsecond line" in written
    assert all(letter.isprintable() or letter == "\n" for letter in written)
