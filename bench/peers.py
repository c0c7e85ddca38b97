"""What the benches measure: the product and the reference, each a process of its own on a free port."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.server import ServerProcess, basic, free_port

START_SECONDS = 60
SETTINGS = {"activation_validity_seconds": "3600", "activation_attempts_per_minute": "1000000"}


@dataclass(frozen=True)
class Server:
    """A running server. `authorization` is the Basic header of its integration user."""

    pid: int
    public_port: int
    internal_port: int
    authorization: str
    app: dict[str, Any]


def now_ms() -> int:
    """The time as the servers have it: they run on this machine."""
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def product(database_url: str = "") -> AsyncIterator[Server]:
    """`ringback serve` in a folder of its own, with an app `bank` and an integration user."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        server = ServerProcess(Path(folder) / "data", database_url, SETTINGS)
        server.start()
        try:
            made = server.furnish()
            yield Server(server.pid, server.public_port, server.internal_port, made.integration, made.app)
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def reference(database_url: str) -> AsyncIterator[Server]:
    """The reference endpoint; `database_url` as SQLAlchemy writes it."""
    port = free_port()
    command = [sys.executable, "-m", "bench.reference", str(port), database_url]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        _wait_for(f"http://127.0.0.1:{port}/", process)
        yield Server(process.pid, port, port, basic("bench", "bench"), {})
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    gives_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < gives_up_at and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")
