"""The HTTP/2 engine: pushes a CPU-second of the sender, beside `@parse/node-apn` on the same sink in the same run.

The sink is nginx, pinned to the second core; the senders are pinned to the first, one after the other, in rounds. One
of them is a bare loop around the library that the engine is built on: what this machine can make of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figure import Figure
from ringback.testing.certificates import Authority
from tests.peers.server import free_port

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "tests" / "peers" / "node_modules"
COUNT = 60_000
COUNT_OF_REFERENCE = 12_000
IN_FLIGHT = 1_000
ROUNDS = 6
START_SECONDS = 20
RUN_SECONDS = 90


class Sink(msgspec.Struct, frozen=True):
    """A running nginx."""

    port: int
    authority: Path
    key: Path


class Sent(msgspec.Struct, frozen=True, rename="camel"):
    """What a sender prints."""

    requests: int
    cpu_seconds: float


async def requests_per_cpu_second() -> list[Figure]:
    """The engine's rate, with Apple's HPACK rule, every answer awaited by a coroutine of its own."""
    ours, bare, theirs = [], [], []
    with sink() as running:
        for _ in range(ROUNDS):
            ours.append(_rate(_engine(running)))
            bare.append(_rate(_engine(running, "engine_bare")))
            theirs.append(_rate(_node_apn(running)))
    detail = f"{IN_FLIGHT} in flight, 2 connections, TLS 1.3, best of {ROUNDS}; the reference is @parse/node-apn"
    medians = [f"{statistics.median(rates):,.0f}" for rates in (ours, theirs, bare)]
    spread = "median {} beside {}; a bare ngh2 loop on this machine: median {}".format(*medians)
    return [
        Figure(
            name="engine", figure=max(ours), unit="requests/CPU-s", target=80_000, reference=max(theirs),
            ratio_target=4, detail=f"{detail}; {spread}",
        )
    ]  # fmt: skip


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """nginx on a free port, with a certificate made for it."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is missing. On Debian:  apt-get install nginx")
    with tempfile.TemporaryDirectory(prefix="ringback-sink-") as folder:
        files = Authority(Path(folder)).server()
        port = free_port()
        values = {
            "{port}": str(port), "{certificate}": str(files.certificate), "{key}": str(files.key),
            "{affinity}": "worker_cpu_affinity 10;" if (os.cpu_count() or 1) > 1 else "",
        }  # fmt: skip
        configuration = (HERE / "sink" / "nginx.conf").read_text()
        for name, value in values.items():
            configuration = configuration.replace(name, value)
        path = Path(folder) / "nginx.conf"
        path.write_text(configuration)
        if os.geteuid() == 0:
            path.write_text("user root;\n" + configuration)
        process = subprocess.Popen([program, "-p", folder, "-c", path, "-e", "stderr"])
        try:
            _wait_for(port, process)
            yield Sink(port, files.authority, files.key)
        finally:
            process.terminate()
            process.wait(10)


def engine_rate(running: Sink) -> float:
    """One run of the engine alone, for others that use the sink."""
    return _rate(_engine(running))


def _engine(running: Sink, sender: str = "engine_sender") -> list[str]:
    arguments = [str(running.port), str(running.authority), str(COUNT), str(IN_FLIGHT)]
    return [sys.executable, "-m", f"bench.{sender}", *arguments]


def _node_apn(running: Sink) -> list[str]:
    arguments = [str(running.port), str(running.authority), str(running.key), str(COUNT_OF_REFERENCE), str(IN_FLIGHT)]
    return ["node", str(HERE / "sink" / "node_apn.cjs"), *arguments, str(NODE_MODULES)]


def _rate(command: list[str]) -> float:
    """Requests a CPU-second; the sender has the first core for itself."""

    def pin() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    done = subprocess.run(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, timeout=RUN_SECONDS, check=True, preexec_fn=pin
    )
    sent = msgspec.json.decode(done.stdout, type=Sent)
    return sent.requests / sent.cpu_seconds


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    gives_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < gives_up_at and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start")
