"""Real programs beside the test: found, started in a process group of their own, and surely ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

_END_SECONDS = 10


def find_program(name: str, package: str) -> str:
    """Its path, also where root's programs are; fails with the command that installs it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"]))
    assert found is not None, f"{name} is not installed, and these tests need it. Run: apt-get install -y {package}"
    return found


_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """A test process that is killed leaves nothing behind (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A program that runs; `log` is what it wrote to both of its outputs."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @classmethod
    async def start(cls, command: list[str], folder: Path, log: Path) -> Program:
        """Starts it in `folder`."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        return cls(process, log)

    @property
    def log(self) -> str:
        """All that it said so far."""
        return self._log.read_text("utf-8", errors="replace") if self._log.exists() else ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.returncode is not None

    async def until(self, said: str | Callable[[str], bool], seconds: float = 60) -> None:
        """Waits until it has said something; fails with the log when it ends before, or when the time is over."""
        has = (lambda log: said in log) if isinstance(said, str) else said
        gives_up_at = asyncio.get_running_loop().time() + seconds
        while not has(self.log):
            ended = self.is_over
            if (ended and not has(self.log)) or asyncio.get_running_loop().time() > gives_up_at:
                raise AssertionError(
                    f"It ended ({self.process.returncode}) or did not say {said!r}:\n{self.log[-4000:]}"
                )
            await asyncio.sleep(0.02)

    async def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and whatever it started: asked first, then killed."""
        group = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, first)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), _END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        await self.process.wait()
