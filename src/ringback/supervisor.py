"""Several processes on one machine: N `http` roles and one `worker` share the sockets and PostgreSQL; one takes calls.

The supervisor binds the sockets, prepares the database, starts the children, starts again what died, and at the end
lets them drain. It serves nothing itself. A child notices by a pipe when the supervisor is gone, and stops too. All
keep their metrics in one folder, so that whichever of them is asked answers for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence

import structlog
from prometheus_client.multiprocess import mark_process_dead

from ringback.errors import StartRefused
from ringback.installation import open_installation
from ringback.observe import METRICS_FOLDER
from ringback.serving import Sockets
from ringback.settings import Settings

_log = structlog.get_logger("ringback.supervisor")
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
START_SECONDS = 30.0
DRAIN_SECONDS = 30.0
REFUSED_TO_START = 1


async def supervise(settings: Settings, sockets: Sockets, announce: Callable[[Sequence[str]], None]) -> None:
    """Runs until SIGTERM or SIGINT. Raises StartRefused when the children cannot start."""
    async with open_installation(settings):
        pass  # The schema and the keys exist before several processes look for them.
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Nobody writes to it: it is closed when the supervisor ends, however it ends.
    lifeline, held = os.pipe()
    metrics = tempfile.TemporaryDirectory(prefix="ringback-metrics-", ignore_cleanup_errors=True)
    children = [_Child("http", sockets, lifeline, metrics.name) for _ in range(settings.workers)]
    children.append(_Child("worker", None, lifeline, metrics.name))
    if settings.speaks_sip:
        children.append(_Child("sip", None, lifeline, metrics.name))
    tasks = [asyncio.create_task(child.keep_running(stop)) for child in children]
    try:
        ready = asyncio.create_task(_all_ready(children))
        finished, _ = await asyncio.wait({ready, *tasks}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if ready not in finished:
            ready.cancel()
            raise StartRefused("A process could not start; the line above says why.")
        announce(settings.sip_addresses)
        await stop.wait()
    finally:
        stop.set()
        await asyncio.gather(*(child.end() for child in children))
        await asyncio.gather(*tasks, return_exceptions=True)
        os.close(lifeline)
        os.close(held)
        metrics.cleanup()


async def _all_ready(children: list[_Child]) -> None:
    for child in children:
        await child.ready.wait()


class _Child:
    """One process, started again when it dies."""

    def __init__(self, role: str, sockets: Sockets | None, lifeline: int, metrics_folder: str) -> None:
        self._role = role
        self._sockets = sockets
        self._lifeline = lifeline
        self._metrics_folder = metrics_folder
        self._process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()

    async def keep_running(self, stop: asyncio.Event) -> None:
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            code = await self._run_once()
            if stop.is_set():
                return
            if loop.time() - began > LONGEST_PAUSE_SECONDS:  # it had run well: calls wait for it
                pause = FIRST_PAUSE_SECONDS
            if not self.ready.is_set() and code == REFUSED_TO_START:
                raise StartRefused("A process could not start; the line above says why.")
            _log.error("a process ended and is started again", role=self._role, exit_code=code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        read_end, write_end = os.pipe()
        shared = [write_end, self._lifeline]
        command = [sys.executable, "-m", "ringback", "role", self._role, "--ready-descriptor", str(write_end)]
        command += ["--lifeline-descriptor", str(self._lifeline)]
        if self._sockets is not None:
            public, internal = self._sockets.public.fileno(), self._sockets.internal.fileno()
            command += ["--public-descriptor", str(public), "--internal-descriptor", str(internal)]
            shared += [public, internal]
        # A session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then lets all drain.
        environment = {**os.environ, METRICS_FOLDER: self._metrics_folder}
        self._process = await asyncio.create_subprocess_exec(
            *command, env=environment, pass_fds=shared, start_new_session=True
        )
        os.close(write_end)
        watch = asyncio.get_running_loop()
        watch.add_reader(read_end, self._became_ready, read_end)
        try:
            return await self._process.wait()
        finally:
            mark_process_dead(self._process.pid, self._metrics_folder)  # type: ignore[no-untyped-call]
            watch.remove_reader(read_end)
            os.close(read_end)

    def _became_ready(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        if os.read(descriptor, 1):
            self.ready.set()

    async def end(self) -> None:
        """SIGTERM, then time to drain, then SIGKILL."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), DRAIN_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
