"""The processes of a server: the one that was started and, with several workers, its children."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import psutil

from tests.peers.server import STOP_SECONDS, ServerProcess


def children(server: ServerProcess) -> list[psutil.Process]:
    """The processes that the supervisor started."""
    return psutil.Process(server.pid).children(recursive=True)


def kill_all(server: ServerProcess) -> None:
    """kill -9 for every process at once, as a power cut would."""
    process = server.process
    if process is None or process.poll() is not None:
        return
    everybody = [psutil.Process(server.pid), *children(server)]
    for one in everybody:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    server.kill()
    wait_until_ended(everybody)


def wait_until_ended(processes: list[psutil.Process], seconds: float = STOP_SECONDS) -> None:
    """Until all of them have ended, also where nobody collects what an orphan leaves behind."""
    gives_up_at = time.monotonic() + seconds
    while living := [one for one in processes if _lives(one)]:
        assert time.monotonic() < gives_up_at, living
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def refused(server: ServerProcess, *arguments: str) -> str:
    """The one line with which the program refuses and exits 1."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", *(arguments or ("serve",))],
        env=server.environment, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert not done.stdout, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("ringback: "), line
    return line
