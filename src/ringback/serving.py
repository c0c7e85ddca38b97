"""One process that serves: listeners, deliveries, jobs, control socket; started, drained and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from ringback.collector import calm_collector
from ringback.control import ControlServer
from ringback.errors import StoreUnavailable, UniqueViolation
from ringback.http import Certificate, Listener
from ringback.installation import Installation, open_installation
from ringback.jobs import run_jobs
from ringback.server import Rooms, make_apps, wire
from ringback.settings import Settings

_log = structlog.get_logger("ringback.serving")
STARTED_POLL_SECONDS = 0.01
OUTBOX_DRAIN_SECONDS = 10
SPARE_FILES = 1_024
"""Open files for the database, calls, pushes and callbacks, which clients of the listeners may not use up."""
GROUP_SECONDS = 0.005
"""How long the writer of SQLite may hold the loop for the units of one COMMIT."""
GROUP_SECONDS_WITH_SIP = 0.002
"""The same where calls wait in the loop: a caller, and 20 ms of sound, wait no longer than that."""


@dataclass(frozen=True)
class Sockets:
    """The two listening sockets, bound before anything else starts."""

    public: socket.socket
    internal: socket.socket


@dataclass(frozen=True)
class Roles:
    """What this process plays: `http` serves requests, `worker` delivers and runs the jobs, `sip` takes calls."""

    http: bool = True
    worker: bool = True
    sip: bool = True


async def serve(
    settings: Settings,
    sockets: Sockets | None,
    *,
    roles: Roles,
    lock: bool,
    announce: Callable[[Sequence[str]], None],
) -> None:
    """Serves until SIGTERM or SIGINT, then drains and returns.

    `announce` is called once it is ready, with the addresses of SIP, such as `udp:127.0.0.1:5070`.

    Raises StartRefused.
    """
    files = _raise_file_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    group = GROUP_SECONDS_WITH_SIP if roles.sip and settings.speaks_sip else GROUP_SECONDS
    async with open_installation(settings, lock=lock, max_group_seconds=group) as installation:
        rooms = wire(installation)
        with contextlib.suppress(UniqueViolation):  # another process that starts at this moment was first
            await installation.store.write(rooms.seed)
        async with contextlib.AsyncExitStack() as running:
            running.push_async_callback(rooms.close)
            await running.enter_async_context(_beside(rooms.push.ready.run()))
            if roles.worker:
                await running.enter_async_context(_worker(installation, rooms))
            if roles.http and sockets is not None:
                await running.enter_async_context(_listeners(settings, sockets, installation, rooms, files))
            addresses: Sequence[str] = ()
            if roles.sip and settings.speaks_sip:
                from ringback.server_sip import take_calls  # noqa: PLC0415 - most servers speak no SIP

                addresses = await running.enter_async_context(take_calls(installation, rooms.calls))
            if lock and not settings.database_url:
                await running.enter_async_context(ControlServer(installation, rooms))
            calm_collector()
            announce(addresses)
            await stop.wait()
            rooms.stop_streams()
            _log.info("stopping: running requests are answered first")


def _raise_file_limit() -> int:
    """As many open files as this user may have: each connection is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connections_that_fit(wanted: int, files: int) -> int:
    """How many connections each of the two listeners may have, so that files are left for all else that is opened."""
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (files - min(SPARE_FILES, files // 3)) // 2))


@contextlib.asynccontextmanager
async def _listeners(
    settings: Settings, sockets: Sockets, installation: Installation, rooms: Rooms, files: int
) -> AsyncIterator[None]:
    certificate = Certificate(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
    public_app, internal_app = make_apps(installation, rooms)
    most = connections_that_fit(settings.max_connections, files)
    if most < settings.max_connections:
        _log.warning("fewer connections than RINGBACK_MAX_CONNECTIONS: too few open files are allowed", most=most)
    listeners = [
        Listener(app, listening, certificate, max_connections=most)
        for app, listening in ((public_app, sockets.public), (internal_app, sockets.internal))
    ]
    tasks = [asyncio.create_task(listener.serve()) for listener in listeners]
    watch = asyncio.create_task(certificate.watch()) if certificate else None
    try:
        while not all(listener.ready for listener in listeners):  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(STARTED_POLL_SECONDS)
        yield
    finally:
        if watch is not None:
            watch.cancel()
        for listener in listeners:
            listener.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What goes on until the process stops, and nothing waits for."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def _worker(installation: Installation, rooms: Rooms) -> AsyncIterator[None]:
    stop = asyncio.Event()
    deliveries = asyncio.create_task(_keep_delivering(rooms, stop))
    jobs = asyncio.create_task(run_jobs(installation.store, rooms.jobs))
    try:
        yield
    finally:
        jobs.cancel()
        stop.set()
        _, late = await asyncio.wait([deliveries], timeout=OUTBOX_DRAIN_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(deliveries, jobs, return_exceptions=True)


async def _keep_delivering(rooms: Rooms, stop: asyncio.Event) -> None:
    """The delivery loop survives a database that is away for a while."""
    while not stop.is_set():
        try:
            await rooms.outbox.run(stop)
        except StoreUnavailable:
            await asyncio.sleep(1)
        except Exception as error:  # noqa: BLE001 - deliveries must go on
            _log.exception("the delivery loop failed and starts again", reason=str(error))
            await asyncio.sleep(1)
