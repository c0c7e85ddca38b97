"""A real `ringback serve` as a process of its own, which a test may stop, kill and start again on the same data."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 60
STOP_SECONDS = 40


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class ServerProcess:
    """A server on free ports of this machine. `settings` by name, as the environment would give them."""

    folder: Path
    database_url: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    public_port: int = field(default_factory=free_port)
    internal_port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    ready_line: str = ""
    _started_before: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What the server and the command line are started with."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")},
            "RINGBACK_DATA_DIR": str(self.folder),
            "RINGBACK_DATABASE_URL": self.database_url,
            "RINGBACK_PUBLIC_LISTEN": f"127.0.0.1:{self.public_port}",
            "RINGBACK_INTERNAL_LISTEN": f"127.0.0.1:{self.internal_port}",
            **{f"RINGBACK_{name.upper()}": value for name, value in self.settings.items()},
        }

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    @property
    def internal(self) -> str:
        """Base URL of the internal listener."""
        return f"http://127.0.0.1:{self.internal_port}"

    @property
    def public(self) -> str:
        """Base URL of the public listener."""
        return f"http://127.0.0.1:{self.public_port}"

    def start(self) -> None:
        """Starts it and waits for the line that says that it is ready.

        A port that was free a moment ago may be taken by now; the first start then tries others.
        """
        for _ in range(3):
            self._start()
            if "ready" in self.ready_line:
                self._started_before = True
                return
            self._running().wait(START_SECONDS)
            self._close()
            if self._started_before or "Address already in use" not in self.log():
                break
            self.public_port, self.internal_port = free_port(), free_port()
        raise AssertionError(f"The server did not start: {self.log()}")

    def _start(self) -> None:
        log = (self.folder.parent / f"{self.folder.name}.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ringback", "serve"],
            env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        log.close()
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()

    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def kill(self) -> None:
        """kill -9."""
        self._running().kill()
        self._running().wait(STOP_SECONDS)
        self._close()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
            raise
        finally:
            self._close()
        return code

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a `ringback` command on the same installation."""
        return subprocess.run(
            [sys.executable, "-m", "ringback", *arguments],
            env=self.environment, check=check, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def call(self, method: str, path: str, body: Any = None, authorization: str = "") -> Any:
        """One JSON request to the internal listener; raises urllib's HTTPError for an error status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        request = urllib.request.Request(self.internal + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def furnish(self, app: str = "bank", user: str = "bank-back-end") -> Furnished:
        """An admin, an app, and an integration user that may use it."""
        made = json.loads(self.cli("admin", "create-user", f"root-of-{app}", "--role", "admin", "--json").stdout)
        admin = basic(made["username"], made["password"])
        application = self.call("POST", "/powerauth-cloud/admin/applications", {"id": app}, admin)
        created = self.call("POST", "/powerauth-cloud/admin/users", {"username": user}, admin)
        self.call("POST", f"/powerauth-cloud/admin/users/{user}/applications/{app}", None, admin)
        return Furnished(admin, basic(user, created["password"]), application)

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Until /health/ready answers 200."""
        gives_up_at = time.monotonic() + seconds
        while time.monotonic() < gives_up_at:
            with contextlib.suppress(OSError, urllib.error.HTTPError):
                self.call("GET", "/health/ready")
                return
            time.sleep(0.05)
        raise AssertionError(f"The server is not ready: {self.log()[-2000:]}")

    def _running(self) -> subprocess.Popen[str]:
        assert self.process is not None
        return self.process

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(frozen=True)
class Furnished:
    """Basic headers of the admin and of the integration user, and the app as it was created."""

    admin: str
    integration: str
    app: dict[str, Any]
