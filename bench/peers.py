"""What the benches measure: the product and the reference, each a process of its own on a free port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server. `authorization` is the Basic header of its integration user."""

    pid: int
    public_port: int
    internal_port: int
    authorization: str
    app: dict[str, Any]

    def call(self, method: str, path: str, body: Any = None, authorization: str = "") -> Any:
        """One request to the internal listener; the decoded answer."""
        return call(f"http://127.0.0.1:{self.internal_port}{path}", method, body, authorization or self.authorization)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def call(url: str, method: str, body: Any, authorization: str) -> Any:
    """One JSON request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@contextlib.asynccontextmanager
async def product(database_url: str = "") -> AsyncIterator[Server]:
    """`ringback serve` in a folder of its own, with an app `bank` and an integration user `bench`."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        public, internal = free_port(), free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")},
            "RINGBACK_DATA_DIR": folder,
            "RINGBACK_DATABASE_URL": database_url,
            "RINGBACK_PUBLIC_LISTEN": f"127.0.0.1:{public}",
            "RINGBACK_INTERNAL_LISTEN": f"127.0.0.1:{internal}",
            "RINGBACK_ACTIVATION_VALIDITY_SECONDS": "3600",
        }
        command = [sys.executable, "-m", "ringback"]
        with _running([*command, "serve"], environment) as process:
            await _until_answers(f"http://127.0.0.1:{internal}/health/ready", process)
            made = subprocess.run(
                [*command, "admin", "create-user", "root", "--role", "admin", "--json"],
                env=environment, check=True, capture_output=True,
            )  # fmt: skip
            admin = basic("root", json.loads(made.stdout)["password"])
            base = f"http://127.0.0.1:{internal}/powerauth-cloud/admin"
            app = call(f"{base}/applications", "POST", {"id": "bank"}, admin)
            user = call(f"{base}/users", "POST", {"username": "bench"}, admin)
            call(f"{base}/users/bench/applications/bank", "POST", None, admin)
            yield Server(process.pid, public, internal, basic("bench", user["password"]), app)


@contextlib.asynccontextmanager
async def reference(database_url: str) -> AsyncIterator[Server]:
    """The reference endpoint; `database_url` as SQLAlchemy writes it."""
    port = free_port()
    with _running([sys.executable, "-m", "bench.reference", str(port), database_url], dict(os.environ)) as process:
        await _until_answers(f"http://127.0.0.1:{port}/", process)
        yield Server(process.pid, port, port, basic("bench", "bench"), {})


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    folder = Path(__file__).parents[1]
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


async def _until_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    gives_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < gives_up_at and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")
