"""A whole server inside the test's own event loop: real sockets, real HTTP, and a clock that the test may move."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from ringback.clock import Clock
from ringback.http import Listener, bind_address
from ringback.installation import Installation, open_installation
from ringback.jobs import run_jobs
from ringback.principal import Principal
from ringback.server import Rooms, make_apps, wire
from ringback.settings import load_settings
from tests.peers.server import basic


class Login(NamedTuple):
    """A system user's name and password."""

    login: str
    password: str

    @property
    def header(self) -> str:
        """The value of the Authorization header field."""
        return basic(self.login, self.password)


@dataclass
class Answer:
    """Status, decoded JSON (None without a body) and header fields."""

    status: int
    body: Any
    headers: dict[str, str]


class WhenAsked:
    """An application that is made when its first request comes; to make one takes a quarter of a second."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = functools.cache(make)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        await self._make()(scope, receive, send)


@dataclass
class Served:
    """A running server with an admin, an integration user `bank-back-end` and its app `bank`."""

    public: str
    internal: str
    admin: Login
    integration: Login
    app: dict[str, Any]
    installation: Installation
    rooms: Rooms
    session: aiohttp.ClientSession

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        folder: Path,
        database_url: str,
        clock: Clock | None = None,
        worker: bool = True,
        by_http: bool = True,
        **settings: str,
    ) -> AsyncIterator[Served]:
        """Starts on free ports; `settings` by name, as the environment would give them.

        `by_http`: without it there is no integration user, and `app` is empty; for tests that ask nothing over HTTP.
        """
        sockets = [bind_address("test", "127.0.0.1", 0) for _ in range(2)]
        addresses = [f"127.0.0.1:{listening.getsockname()[1]}" for listening in sockets]
        environment = {
            "RINGBACK_DATA_DIR": str(folder),
            "RINGBACK_DATABASE_URL": database_url,
            "RINGBACK_PUBLIC_LISTEN": addresses[0],
            "RINGBACK_INTERNAL_LISTEN": addresses[1],
            **{f"RINGBACK_{name.upper()}": value for name, value in settings.items()},
        }
        configured, _ = load_settings(environment)
        async with contextlib.AsyncExitStack() as running:
            installation = await running.enter_async_context(open_installation(configured, clock=clock))
            rooms = wire(installation)
            await installation.store.write(rooms.seed)
            apps = functools.cache(functools.partial(make_apps, installation, rooms))
            listeners = [
                Listener(WhenAsked(lambda place=place: apps()[place]), listening, None)
                for place, listening in enumerate(sockets)
            ]
            tasks = [asyncio.create_task(listener.serve()) for listener in listeners]
            stop = asyncio.Event()
            if worker:
                tasks.append(asyncio.create_task(rooms.outbox.run(stop)))
            jobs = asyncio.create_task(run_jobs(installation.store, rooms.jobs)) if worker else None
            while not all(listener.ready for listener in listeners):  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
            session = await running.enter_async_context(aiohttp.ClientSession())
            try:
                yield await _furnish(addresses, installation, rooms, session, by_http=by_http)
            finally:
                rooms.stop_streams()
                stop.set()
                if jobs is not None:
                    jobs.cancel()
                await session.close()
                for listener in listeners:
                    listener.stop()
                await asyncio.wait(tasks, timeout=10)
                await rooms.close()

    async def call(
        self, method: str, path: str, body: Any = None, *, auth: Login | None = None, **options: Any
    ) -> Answer:
        """A back end's request to the internal listener, as the integration user unless `auth` says otherwise."""
        return await self._send(method, self.internal + path, body, auth or self.integration, options)

    async def phone_call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """A phone's request to the public listener (path without /enrollment-server)."""
        return await self._send(method, f"{self.public}/enrollment-server{path}", body, None, options)

    async def _send(self, method: str, url: str, body: Any, auth: Login | None, options: dict[str, Any]) -> Answer:
        if body is not None:
            options["json"] = body
        if auth is not None:
            options["headers"] = {"Authorization": auth.header, **(options.get("headers") or {})}
        async with self.session.request(method, url, **options) as answer:
            text = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            decoded = await answer.json(content_type=None) if text and is_json else None
            return Answer(answer.status, decoded, dict(answer.headers))

    async def new_tenant(self, name: str) -> tuple[dict[str, Any], Login]:
        """Another app with an integration user of its own."""
        app = (await self.call("POST", "/powerauth-cloud/admin/applications", {"id": name}, auth=self.admin)).body
        user = f"{name}-back-end"
        made = await self.call("POST", "/powerauth-cloud/admin/users", {"username": user}, auth=self.admin)
        await self.call("POST", f"/powerauth-cloud/admin/users/{user}/applications/{name}", auth=self.admin)
        return app, Login(user, made.body["password"])


async def _furnish(
    addresses: list[str], installation: Installation, rooms: Rooms, session: aiohttp.ClientSession, *, by_http: bool
) -> Served:
    by = Principal("cli", "test")
    created = await installation.store.write(rooms.access.create_user, by, "root", "admin")
    admin = Login("root", created.password)
    public, internal = (f"http://{address}" for address in addresses)
    served = Served(public, internal, admin, admin, {}, installation, rooms, session)
    if by_http:
        served.app, served.integration = await served.new_tenant("bank")
    else:
        await installation.store.write(rooms.apps.create, by, "bank", ())
    return served
