"""Wake-ups between processes by LISTEN and NOTIFY, coalesced, over a connection that comes back by itself."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from ringback.store.channels import Channels
from ringback.store.connections import Connections

logger = logging.getLogger(__name__)

PG_CHANNEL = "ringback"
_SEND = "SELECT pg_notify('ringback', payload) FROM unnest($1::text[]) AS payload"
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_CHECK_SECONDS = 15.0


class Notices:
    """Sends the notices of this process and wakes its subscribers.

    Subscribers here are called at once; other processes get at most one notice per channel in `interval_seconds`, since
    NOTIFY takes a lock of the whole database at COMMIT.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        connections: Connections,
        channels: Channels,
        *,
        interval_seconds: float = 0.02,
    ) -> None:
        self._connect = connect
        self._connections = connections
        self._channels = channels
        self._interval_seconds = interval_seconds
        self._origin = secrets.token_hex(8)
        self._unsent: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._missed = False

    async def start(self) -> None:
        """Starts to listen, and returns when the connection listens (or after two seconds without)."""
        self._listener = asyncio.get_running_loop().create_task(self._listen(), name="postgres listener")
        try:
            await asyncio.wait_for(self._listening.wait(), 2)
        except TimeoutError:
            logger.warning("the listening connection is not there yet; wake-ups between processes come late")

    async def stop(self) -> None:
        """Sends what is unsent, then ends."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=2)
        for task in (self._sender, self._listener):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=2)

    def send(self, channels: set[str]) -> None:
        """Wakes the subscribers of these channels here and elsewhere. Called after COMMIT."""
        self._channels.wake(channels)
        self._unsent |= channels
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="postgres notices")

    async def _send(self) -> None:
        while self._unsent:
            payloads = [f"{self._origin} {channel}" for channel in sorted(self._unsent)]
            self._unsent.clear()
            try:
                await self._connections.execute(_SEND, payloads)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and the next notice is tried
                # A hint only: whoever waits for it polls as well.
                logger.warning("a notice to other processes was not sent: %s", error)
            await asyncio.sleep(self._interval_seconds)

    async def _listen(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._listen_until_lost()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and the connection made anew
                if pause == _FIRST_PAUSE_SECONDS or self._listening.is_set():  # once, and not for every new try
                    logger.warning("listening for notices of other processes failed: %s", error)
            if self._listening.is_set():
                self._listening.clear()
                pause = _FIRST_PAUSE_SECONDS
            self._missed = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _listen_until_lost(self) -> None:
        connection = await self._connect()
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(PG_CHANNEL, self._received)
            self._listening.set()
            if self._missed:
                self._channels.wake_all()
            while not lost.is_set():
                try:
                    await asyncio.wait_for(lost.wait(), _CHECK_SECONDS)
                except TimeoutError:
                    # A dead network says nothing, so ask.
                    await connection.execute("SELECT 1", timeout=_CHECK_SECONDS)
        finally:
            connection.terminate()

    def _received(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        origin, _, channel = str(payload).partition(" ")
        if origin != self._origin:
            self._channels.wake((channel,))
