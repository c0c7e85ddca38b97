"""A server as a child process: started, asked for an administrator, stopped. Nothing here waits without an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from ringback.demo.errors import DemoFailed
from ringback.demo.stage import Credentials

START_SECONDS = 60.0
STOP_SECONDS = 20.0
COMMAND_SECONDS = 30.0
WAKE_SECONDS = "2"
"""How long a caller waits for a phone, where no preference says it: nobody wants to watch a phone that sleeps."""

_READY = re.compile(r"ready: phones (\S+?), back ends (\S+?)[\s,(]")


class ServerProcess:
    """A running `ringback serve`. Its log is `log_path`."""

    def __init__(
        self, process: asyncio.subprocess.Process, environment: dict[str, str], urls: tuple[str, str], log_path: Path
    ) -> None:
        self._process = process
        self._environment = environment
        self.public_url, self.internal_url = urls
        self.sip_address = environment["RINGBACK_SIP_LISTEN"]
        self.log_path = log_path

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ended(self) -> int:
        """Waits until the process ends by itself; its exit code."""
        return await self._process.wait()

    async def create_admin(self, name: str) -> Credentials:
        """A system user with the role admin, made as its operator would make it. Raises DemoFailed."""
        command = [sys.executable, "-m", "ringback", "admin", "create-user", name, "--role", "admin", "--json"]
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise DemoFailed("`ringback admin create-user` did not end.", cause=error) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise DemoFailed(f"`ringback admin create-user` failed: {err.decode('utf-8', 'replace').strip()}")
        return msgspec.json.decode(out, type=Credentials)

    async def stop(self) -> int:
        """SIGTERM and, when it does not drain in time, SIGKILL. The exit code; 0 when it stopped as it should."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()
        except BaseException:  # somebody is in a hurry: then at least nothing is left running
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            raise


@contextlib.asynccontextmanager
async def running_server(
    data_folder: Path, *, default_ports: bool, settings: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """`python -m ringback serve` on this data folder, stopped at the end. Raises DemoFailed when it cannot start.

    `default_ports`: 8080, 8081 and 5070 where they are free; else, and otherwise, free ones. `settings`: more
    variables.
    """
    data_folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs in this loop yet
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    environment |= {
        "RINGBACK_DATA_DIR": str(data_folder),
        "RINGBACK_PUBLIC_LISTEN": f"127.0.0.1:{_port(8080) if default_ports else 0}",
        "RINGBACK_INTERNAL_LISTEN": f"127.0.0.1:{_port(8081) if default_ports else 0}",
        "RINGBACK_SIP_LISTEN": f"127.0.0.1:{_sip_port(5070 if default_ports else 0)}",
        "RINGBACK_WAKE_SECONDS": WAKE_SECONDS,
        "PYTHONUNBUFFERED": "1",
        **(settings or {}),
    }
    log_path = data_folder / "server.log"
    with log_path.open("ab") as log, _lifeline() as lifeline:
        log_starts_at = log.tell()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "serve", "--lifeline-descriptor", str(lifeline)),
            pass_fds=[lifeline],
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, when the story is told to its end
        )
        reading: asyncio.Task[None] | None = None
        server = ServerProcess(process, environment, ("", ""), log_path)
        try:
            try:
                async with asyncio.timeout(START_SECONDS):
                    server.public_url, server.internal_url = await _ready(process, log)
            except TimeoutError as error:
                raise DemoFailed(f"The server was not ready after {START_SECONDS:g} s.", cause=error) from error
            except EOFError as error:
                said = log_path.read_bytes()[log_starts_at:].decode("utf-8", "replace").strip().splitlines()[-3:]
                raise DemoFailed(f"The server did not start: {' / '.join(said) or 'it said nothing'}") from error
            reading = asyncio.create_task(_copy(process, log))
            yield server
        finally:
            await asyncio.shield(server.stop())
            if reading is not None:
                reading.cancel()


@contextlib.contextmanager
def _lifeline() -> Iterator[int]:
    """A pipe that nobody writes to: it is closed when this process ends, however it ends, and the server notices."""
    lifeline, held = os.pipe()
    try:
        yield lifeline
    finally:
        os.close(lifeline)
        os.close(held)


async def _ready(process: asyncio.subprocess.Process, log: IO[bytes]) -> tuple[str, str]:
    """The two URLs of the line that says that it is ready. Raises EOFError when the process ends before."""
    while True:
        line = await _line(process)
        log.write(line)
        log.flush()
        found = _READY.search(line.decode("utf-8", "replace"))
        if found:
            return found.group(1), found.group(2)


async def _copy(process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
    """Keeps the pipe empty: a full one would stop the server."""
    with contextlib.suppress(EOFError):
        while True:
            log.write(await _line(process))
            log.flush()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise EOFError
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    return line


def _port(wanted: int) -> int:
    """The wanted port, or 0 (any free one) when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return wanted


def _sip_port(wanted: int) -> int:
    """The wanted port, or any other one, that is free for UDP and for TCP; unlike the others it is known beforehand."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
            streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                datagrams.bind(("127.0.0.1", wanted))
                port: int = datagrams.getsockname()[1]
                streams.bind(("127.0.0.1", port))
            except OSError:
                wanted = 0
                continue
            return port
