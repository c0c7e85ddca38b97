"""What a double has received: for tests, for the demo, for the lines that `ringback testing providers` prints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec


class Received(msgspec.Struct, kw_only=True):
    """One push as it came in. `status` is 0 until it was answered, and stays 0 if it never is."""

    provider: str
    """`apns`, `apns-sandbox`, `fcm` or `webpush`."""
    number: int
    """1 for the first one of this double."""
    at_ms: int
    connection: int
    stream: int
    http: str
    """`h2` or `http/1.1`."""
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    push_token: str = ""
    topic: str = ""
    push_type: str = ""
    payload: Any = None
    """The decoded JSON; of Web Push what was decrypted; None where it is neither."""
    push_id: str = ""
    """What the provider calls it: `apns-id`, the name of the FCM message, the path of the Web Push message."""
    status: int = 0
    reason: str = ""
    """Of a refusal, the provider's word for it; of what got no answer, what was done instead."""

    @property
    def accepted(self) -> bool:
        """The client was told that it arrived."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP statuses


class Record:
    """All that was received, in order, and a way to wait for more."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._listeners: list[Callable[[Received], None]] = []
        self._changed = asyncio.Event()

    @property
    def accepted(self) -> list[Received]:
        """Those that the client was told to have arrived."""
        return [received for received in self.received if received.accepted]

    def on_outcome(self, listener: Callable[[Received], None]) -> None:
        """Is called once for each push, when it was answered or when it is known that it will not be."""
        self._listeners.append(listener)

    def add(self, received: Received) -> None:
        """A push has come in."""
        self.received.append(received)
        self._wake()

    def close(self, received: Received, status: int, reason: str) -> None:
        """It was answered; or, with status 0, will not be."""
        received.status, received.reason = status, reason
        self._wake()
        for listener in self._listeners:
            listener(received)

    async def wait_for(
        self,
        count: int = 1,
        *,
        push_token: str | None = None,
        status: int | None = None,
        where: Callable[[Received], bool] | None = None,
        seconds: float = 30,
    ) -> list[Received]:
        """All that fit, as soon as they are at least `count`. TimeoutError says what came instead."""

        def fits(received: Received) -> bool:
            return (
                (push_token is None or received.push_token == push_token)
                and (status is None or received.status == status)
                and (where is None or where(received))
            )

        found: list[Received] = []
        try:
            async with asyncio.timeout(seconds):
                while len(self.received) < count or len(found := list(filter(fits, self.received))) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            latest = [f"{one.push_token or one.path} {one.status} {one.reason}" for one in self.received[-5:]]
            raise TimeoutError(
                f"{len(found)} of {count} came, {len(self.received)} in all; the latest: {latest}"
            ) from None
        return found

    def _wake(self) -> None:
        self._changed.set()
