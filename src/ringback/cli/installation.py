"""How the administrative commands reach the installation: through the running server, else by opening it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
from collections.abc import Callable, Iterator
from typing import Any

from ringback.settings import Settings, load_settings


def run_command(name: str, /, **arguments: Any) -> Any:
    """Runs one of `ringback.commands`; raises RingbackError with the sentence to print."""
    from ringback.control import ask_running_server

    settings, _ = load_settings()
    try:
        return ask_running_server(settings.control_socket, name, arguments)
    except ConnectionError:
        return asyncio.run(_run_here(settings, name, arguments))


@contextlib.contextmanager
def open_commands() -> Iterator[Callable[..., Any]]:
    """Runs many commands, as `run_command` runs one; where no server runs, the installation is opened once for all."""
    from ringback.control import ask_running_server, is_served

    settings, _ = load_settings()
    if is_served(settings.control_socket):
        yield lambda name, /, **arguments: ask_running_server(settings.control_socket, name, arguments)
        return
    from ringback.commands import COMMANDS
    from ringback.installation import open_installation
    from ringback.server import wire

    async def run(name: str, arguments: dict[str, Any]) -> Any:
        return await COMMANDS[name](installation, rooms, **arguments)

    async def begin() -> tuple[Any, Any]:
        installation = await opened.enter_async_context(open_installation(settings))
        return installation, wire(installation)

    with asyncio.Runner() as runner:
        opened = contextlib.AsyncExitStack()
        try:
            installation, rooms = runner.run(begin())
            yield lambda name, /, **arguments: runner.run(run(name, arguments))
        finally:
            runner.run(opened.aclose())


def somebody_serves() -> bool:
    """Whether a server runs on this data folder, or may run elsewhere on the same PostgreSQL."""
    from ringback.control import is_served

    settings, _ = load_settings()
    if settings.database_url:
        return True
    return is_served(settings.control_socket)


async def _run_here(settings: Settings, name: str, arguments: dict[str, Any]) -> Any:
    from ringback.commands import COMMANDS
    from ringback.installation import open_installation
    from ringback.server import wire

    async with open_installation(settings) as installation:
        return await COMMANDS[name](installation, wire(installation), **arguments)


def operating_system_user() -> str:
    """Who types, for the audit log."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
