"""The control socket: how the command line speaks to a running server instead of opening its database file.

A Unix socket in the data folder, mode 0600; the peer must be the same operating-system user or root. One request a
connection: a line of JSON `{"command", "arguments"}`, answered by a line `{"result"}` or `{"error"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import structlog

from ringback.errors import RingbackError, StartRefused

if TYPE_CHECKING:
    from ringback.installation import Installation
    from ringback.server import Rooms

_log = structlog.get_logger("ringback.control")
MAX_LINE = 65_536
_PEER_CREDENTIALS = struct.Struct("3i")
_TIMEOUT_SECONDS = 3600


class ControlServer:
    """Answers the command line while the server runs."""

    def __init__(self, installation: Installation, rooms: Rooms) -> None:
        # Not at the top: who only asks need not load the server. Not later: the files may be of another version then.
        from ringback.commands import COMMANDS  # noqa: PLC0415

        self._commands = COMMANDS
        self._installation = installation
        self._rooms = rooms
        self._path = installation.settings.control_socket
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o177)
        try:
            with _short_name(self._path) as name:
                listening.bind(name)
        except OSError as error:
            listening.close()
            raise StartRefused(f"The control socket {self._path} cannot be made: {error}.", cause=error) from error
        finally:
            os.umask(previous)
        self._server = await asyncio.start_unix_server(self._answer, sock=listening, limit=MAX_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            if _peer_uid(writer) not in (0, os.geteuid()):
                return
            writer.write(msgspec.json.encode(await self._run(reader)) + b"\n")
            await writer.drain()

    async def _run(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(await reader.readline())
            command = self._commands[request["command"]]
            return {"result": await command(self._installation, self._rooms, **request["arguments"])}
        except RingbackError as error:
            return {"error": error.message}
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            return {"error": f"This server does not understand the command: {error}. Is it another version?"}


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    uid: int = _PEER_CREDENTIALS.unpack(raw)[1]
    return uid


@contextlib.contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """A name for the socket that the kernel takes: 107 bytes at most, however deep the data folder is.

    Raises OSError when the folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def is_served(path: Path) -> bool:
    """Whether a server listens at its control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with _short_name(path) as name:
                connection.connect(name)
        except OSError:
            return False
    return True


def ask_running_server(path: Path, command: str, arguments: dict[str, Any]) -> Any:
    """Sends one command; returns its result.

    Raises ConnectionError when no server listens, StartRefused with the
    server's sentence when it refused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        try:
            with _short_name(path) as name:
                connection.connect(name)
        except OSError as error:
            raise ConnectionError(str(path)) from error
        connection.sendall(msgspec.json.encode({"command": command, "arguments": arguments}) + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise StartRefused("The running server did not answer. It belongs to another user, or it is stopping.")
    answer = msgspec.json.decode(line)
    if "error" in answer:
        raise StartRefused(answer["error"])
    return answer["result"]
