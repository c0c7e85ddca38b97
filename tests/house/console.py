"""Plays the ```console blocks of a documentation page, as a reader would type them, in one shell.

A page is one session: variables and the working directory last from block to block. A line `$ command` is typed (a
backslash at its end continues it on the next line); the lines under it must appear in what it prints, in this order,
where … stands for anything. A word after `console` says what the block is:

- `console`           must exit 0
- `console serve`     starts a server, waits until it answers, and leaves it running for the rest of the page
- `console stopped`   the reader was told to stop the server first
- `console elsewhere` belongs on another machine or needs root: only its grammar is checked
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"", "serve", "stopped", "elsewhere"}
COMMAND_SECONDS = 120
START_SECONDS = 60
_FENCE = re.compile(r"^```console *(?P<kind>.*)$")
_ADDRESS = re.compile(r"(?P<host>127\.0\.0\.1|localhost):(?P<port>8080|8081|5070)\b")


@dataclass
class Command:
    """One typed command with the lines that must appear."""

    page: str
    line: int
    kind: str
    text: str
    expected: list[str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: $ {self.text}"


def commands(page: Path) -> list[Command]:
    """Every command of a page, in order. Raises AssertionError for a block that the mechanism does not know."""
    found: list[Command] = []
    kind: str | None = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if kind is None:
            fence = _FENCE.match(line)
            kind = fence["kind"].strip() if fence else None
            assert kind is None or kind in KINDS, f"{page.name}:{number}: unknown kind of block: {kind}"
            assert not re.match(r"^```(sh|bash|shell)\b", line), f"{page.name}:{number}: use ```console, it is executed"
        elif line.startswith("```"):
            kind = None
        elif line.startswith("$ "):
            found.append(Command(page.name, number, kind, line[2:], []))
        else:
            assert found, f"{page.name}:{number}: a console block starts with `$ `"
            if found[-1].text.endswith("\\"):
                found[-1].text += "\n" + line
            elif line.strip():
                found[-1].expected.append(line.strip())
    return found


def missing_line(printed: str, expected: list[str]) -> str | None:
    """The first expected line that does not follow the ones before it; None when all are there."""
    lines = iter(printed.splitlines())
    for wanted in expected:
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("…")))
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            return wanted
    return None


class Session:
    """One shell in an empty folder, with the servers that its page starts; all gone when it is closed."""

    def __init__(self, folder: Path, environment: dict[str, str], ports: tuple[int, int]) -> None:
        self._ports = {"8080": ports[0], "8081": ports[1]}
        self._moved = {**self._ports, "5070": _free_sip_port()}
        self._folder = folder
        self._server_log = folder / ".server.log"
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment
            | {"RINGBACK_PUBLIC_LISTEN": f"127.0.0.1:{ports[0]}", "RINGBACK_INTERNAL_LISTEN": f"127.0.0.1:{ports[1]}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._serving = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and (self._shell.poll() is None or self._answers()):
                time.sleep(0.05)
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()

    def play(self, command: Command) -> None:
        """Types one command and holds it to what the page says. Raises AssertionError with all that was printed."""
        if command.kind in {"serve", "stopped"} and self._serving:
            self._type("kill -TERM $! && wait $!", command)
            self._serving = False
        if command.kind == "serve":
            self._serve(command)
            return
        printed = self._type(self._move(command.text), command)
        missing = missing_line(printed, [self._move(line) for line in command.expected])
        assert missing is None, f"{command}\nprinted:\n{printed}\nand this line of the page is missing: {missing}"

    def _serve(self, command: Command) -> None:
        self._type(f"{self._move(command.text)} >'{self._server_log}' 2>&1 &", command)
        self._serving = True
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            printed = self._server_log.read_text() if self._server_log.exists() else ""
            if self._answers() and missing_line(printed, [self._move(line) for line in command.expected]) is None:
                return
            time.sleep(0.05)
        raise AssertionError(f"{command}\ndid not start as the page says; it printed:\n{self._server_log.read_text()}")

    def _answers(self) -> bool:
        for port in self._ports.values():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
        return True

    def _move(self, text: str) -> str:
        """The pages use the built-in ports; a test must not."""
        return _ADDRESS.sub(lambda match: f"{match['host']}:{self._moved[match['port']]}", text)

    def _type(self, text: str, command: Command) -> str:
        assert self._shell.stdin is not None
        end = f"-- end of {command.page}:{command.line} --"
        self._shell.stdin.write(f"{text}\nprintf '\\n%s %s\\n' '{end}' $?\n".encode())
        self._shell.stdin.flush()
        printed, status = self._read_until(end, command)
        server = self._server_log.read_text() if self._server_log.exists() else "none was started"
        assert status == 0, f"{command}\nended with {status} and printed:\n{printed}\nthe server's output:\n{server}"
        return printed

    def _read_until(self, end: str, command: Command) -> tuple[str, int]:
        assert self._shell.stdout is not None
        printed = b""
        os.set_blocking(self._shell.stdout.fileno(), False)
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            printed += self._shell.stdout.read() or b""
            text = printed.decode(errors="replace")
            done = re.search(rf"\n?^{re.escape(end)} (\d+)\n", text, re.MULTILINE)
            if done:
                return text[: done.start()], int(done[1])
            assert self._shell.poll() is None, f"{command}\nended the shell, which printed:\n{text}"
            time.sleep(0.01)
        raise AssertionError(f"{command}\nwas not done after {COMMAND_SECONDS} s; it printed:\n{printed.decode()}")


def _free_sip_port() -> int:
    """One that is free for UDP and for TCP, and that no connection of somebody else takes before the server starts."""
    while True:
        port = random.randrange(31_000, 32_700)
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port))
            return port
