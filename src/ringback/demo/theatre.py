"""Server, stage and story together: what `ringback demo` runs."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from ringback.demo.errors import DemoFailed
from ringback.demo.server_process import ServerProcess, running_server
from ringback.demo.stage import Stage
from ringback.demo.story import Chapter, Narrator, Report, play
from ringback.errors import RingbackError
from ringback.testing import Providers

WHOLE_SECONDS = 300.0


async def perform(
    chapters: Sequence[Chapter],
    narrator: Narrator,
    data_folder: Path,
    *,
    default_ports: bool,
    afterwards: Callable[[Report, Stage, ServerProcess], Awaitable[None]] | None = None,
    whole_seconds: float = WHOLE_SECONDS,
) -> Report:
    """Starts a server, plays, lets `afterwards` do what it likes while the server runs, and stops the server.

    The report says ok only when every step was verified and the server stopped cleanly. Failures are never raised, and
    start and story together end after `whole_seconds` at the latest.
    """
    report = Report()
    try:
        async with contextlib.AsyncExitStack() as scene:
            try:
                async with asyncio.timeout(whole_seconds):
                    data_folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs in this loop yet
                    providers = await scene.enter_async_context(Providers(data_folder / "providers"))
                    server = await scene.enter_async_context(
                        running_server(data_folder, default_ports=default_ports, settings=providers.settings)
                    )
                    stage = await scene.enter_async_context(_stage(server, data_folder, providers))
                    await play(chapters, stage, narrator, report)
            except TimeoutError as error:
                raise DemoFailed(f"The story took longer than {whole_seconds:g} seconds.", cause=error) from error
            if afterwards is not None:
                await afterwards(report, stage, server)
            code = await server.stop()
            if code != 0:
                report.fail("Stopping the server", f"The server ended with exit code {code} instead of 0.")
    except RingbackError as error:
        report.fail(report.where(), error.message)
    return report


@contextlib.asynccontextmanager
async def _stage(server: ServerProcess, folder: Path, providers: Providers) -> AsyncIterator[Stage]:
    suffix = secrets.token_hex(2)  # so that a data folder that is kept can see the story again
    admin = await server.create_admin(f"demo-admin-{suffix}")
    async with aiohttp.ClientSession() as session:
        yield Stage(
            session=session,
            public_url=server.public_url,
            internal_url=server.internal_url,
            admin=admin,
            folder=folder,
            suffix=suffix,
            providers=providers,
            sip_address=server.sip_address,
        )
