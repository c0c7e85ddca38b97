"""A back end's web hook: a real HTTP server that remembers what it was told and answers as the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Answer = Callable[["Told"], Awaitable[web.Response]]


@dataclass(frozen=True)
class Told:
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


class Receiver:
    """Answers 204, or whatever `answer` gives for the request."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answer: Answer | None = None
        self.url = ""
        self._news = asyncio.Condition()

    def at(self, path: str) -> list[Told]:
        return [one for one in self.told if one.path == path]

    async def wait_for(self, count: int, path: str = "/hook", seconds: float = 60) -> list[Told]:
        """What was told at this path, once there are so many."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: len(self.at(path)) >= count)
        return self.at(path)

    async def handle(self, request: web.Request) -> web.Response:
        one = Told(request.path, dict(request.headers), await request.json())
        self.told.append(one)
        async with self._news:
            self._news.notify_all()
        return web.Response(status=204) if self.answer is None else await self.answer(one)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def status(code: int, **headers: str) -> Answer:
    """Always this status."""

    async def answer(_: Told) -> web.Response:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def in_turn(*codes: int) -> Answer:
    """These statuses one after the other, then the last one again and again."""
    left = list(codes)

    async def answer(_: Told) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0])

    return answer


async def never(_: Told) -> web.Response:
    """No answer."""
    await asyncio.sleep(60)
    return web.Response()
