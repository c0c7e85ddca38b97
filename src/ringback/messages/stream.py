"""The connections over which phones hear `local` pushes: Server-Sent Events (HTML Living Standard §9.2)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from ringback.errors import RingbackError
from ringback.push import LocalMailbox, LocalPush, wake_channel
from ringback.store import Store, Tx

if TYPE_CHECKING:
    from ringback.devices import Registration

_EVENT_ID = re.compile(r"[0-9a-f-]{36}")
_BATCH = 100


class Registrations(Protocol):
    """Who knows whether a phone may still listen; the `devices` room does."""

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        """The registration, or None."""
        ...


class StreamLimits(msgspec.Struct, frozen=True):
    """The streams' figures."""

    keep_alive_seconds: float = 15
    shortest_pause_seconds: float = 0.05
    per_registration: int = 4


class _Seat:
    """One open stream."""

    __slots__ = ("ended", "wake")

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.ended = False

    def end(self) -> None:
        self.ended = True
        self.wake.set()


class _Phone:
    """The streams that one phone has open; a push to another phone does not wake them."""

    __slots__ = ("seats", "unsubscribe")

    def __init__(self) -> None:
        self.seats: list[_Seat] = []
        self.unsubscribe: Callable[[], None] = lambda: None

    def wake(self) -> None:
        for seat in self.seats:
            seat.wake.set()


class LocalStreams:
    """All open streams of this process."""

    def __init__(
        self,
        *,
        store: Store,
        mailbox: LocalMailbox,
        registrations: Registrations,
        limits: StreamLimits | None = None,
    ) -> None:
        self._store = store
        self._mailbox = mailbox
        self._registrations = registrations
        self._limits = limits or StreamLimits()
        self._phones: dict[str, _Phone] = {}
        self._closed = False

    def count(self) -> int:
        """How many are open."""
        return sum(len(phone.seats) for phone in self._phones.values())

    def close(self) -> None:
        """Ends every stream, those that are opened later at once: the server stops."""
        self._closed = True
        for phone in self._phones.values():
            phone.unsubscribe()
            for seat in phone.seats:
                seat.end()

    def open(self, registration_id: str, last_event_id: str | None) -> AsyncIterator[bytes]:
        """The stream of one phone: what came after `last_event_id`, or all of the last day, and then what comes.

        It ends when the registration is no longer ACTIVE, when the server stops, and when the same phone has opened too
        many others since: a phone that lost its connection must not be kept out by the one that it lost.
        """
        last_id = last_event_id if last_event_id is not None and _EVENT_ID.fullmatch(last_event_id) else ""
        return self._stream(registration_id, last_id)

    async def _stream(self, registration_id: str, last_id: str) -> AsyncIterator[bytes]:
        seat = self._sit_down(registration_id)
        try:
            yield b"retry: 1000\n\n"
            while not seat.ended:
                seat.wake.clear()
                looked_at = time.monotonic()
                try:
                    pushes = await self._store.read(self._look, registration_id, last_id)
                except RingbackError:
                    # The phone comes back, with the id of what it has.
                    return
                if pushes is None:
                    return
                for push in pushes:
                    yield _frame(push)
                    last_id = push.id
                if len(pushes) == _BATCH or seat.ended:
                    continue
                if not await _woken(seat.wake, self._limits.keep_alive_seconds):
                    yield b": keep-alive\n\n"
                pause = looked_at + self._limits.shortest_pause_seconds - time.monotonic()
                if pause > 0 and not seat.ended:
                    await asyncio.sleep(pause)
        finally:
            self._stand_up(registration_id, seat)

    async def _look(self, tx: Tx, registration_id: str, last_id: str) -> list[LocalPush] | None:
        """What is new; None when the phone may no longer listen."""
        registration = await self._registrations.registration(tx, registration_id)
        if registration is None or registration.status != "ACTIVE":
            return None
        return await self._mailbox.after(tx, registration_id, last_id, _BATCH)

    def _sit_down(self, registration_id: str) -> _Seat:
        phone = self._phones.get(registration_id)
        if phone is None:
            phone = self._phones[registration_id] = _Phone()
            phone.unsubscribe = self._store.subscribe(wake_channel(registration_id), phone.wake)
        for oldest in phone.seats[: max(0, len(phone.seats) + 1 - self._limits.per_registration)]:
            oldest.end()
        seat = _Seat()
        seat.ended = self._closed
        phone.seats.append(seat)
        return seat

    def _stand_up(self, registration_id: str, seat: _Seat) -> None:
        phone = self._phones[registration_id]
        phone.seats.remove(seat)
        if not phone.seats:
            phone.unsubscribe()
            del self._phones[registration_id]


def _frame(push: LocalPush) -> bytes:
    # The payload is JSON on one line, so it is one data field.
    return f"id: {push.id}\nevent: push\ndata: {push.payload}\n\n".encode()


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
