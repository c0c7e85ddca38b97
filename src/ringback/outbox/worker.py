"""The loop that claims and delivers. One per process; many processes may run it on one PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import msgspec

from ringback.clock import Clock
from ringback.errors import RingbackError
from ringback.outbox.model import (
    Channel,
    Circuit,
    Delivery,
    Ending,
    GiveUp,
    LeaseLost,
    OutboxLimits,
    Result,
    RetryLater,
    State,
)
from ringback.store import Store, Tx

logger = logging.getLogger(__name__)

# A destination that failed gets one place until it succeeds; more failing destinations than this are forgotten.
_FAILING_LIMIT = 1_000


class Plug(msgspec.Struct, frozen=True):
    """A channel as it was plugged in."""

    name: str
    channel: Channel
    per_destination: int
    on_end: Ending | None
    circuit: Circuit | None = None


class _Failing(msgspec.Struct):
    """A destination that does not take deliveries now: how often in a row, and until when it is left alone."""

    failures: int = 0
    open_until: int = 0


class Units(Protocol):
    """The units of work that the loop needs (`Outbox` has them)."""

    async def claim(
        self, tx: Tx, channel: str, count: int, places_left: Mapping[str, int], places: int
    ) -> list[Delivery]:
        """Leases what is due."""
        ...

    async def settle(
        self, tx: Tx, delivery: Delivery, result: Result, duration_ms: int, on_end: Ending | None
    ) -> State:
        """Records an attempt."""
        ...

    async def release(self, tx: Tx, deliveries: list[Delivery]) -> None:
        """Gives leases back."""
        ...

    def is_late(self, delivery: Delivery) -> bool:
        """Whether the deadline has passed."""
        ...


class Worker:
    """Claims what is due, delivers it with a bulkhead for each destination, and settles it."""

    def __init__(
        self, store: Store, units: Units, limits: OutboxLimits, plugs: Mapping[str, Plug], clock: Clock
    ) -> None:
        self._store = store
        self._units = units
        self._limits = limits
        self._plugs = plugs
        self._clock = clock
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Delivery] = {}
        self._busy: Counter[tuple[str, str]] = Counter()
        self._failing: dict[tuple[str, str], _Failing] = {}

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`, then drains."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    for plug in self._plugs.values():
                        await self._claim(plug, stop)
                except RingbackError as error:
                    logger.warning("the outbox could not claim deliveries, tries again: %s", error)
                    await _first_of(stopping, seconds=self._limits.poll_seconds)
                    continue
                woken = asyncio.create_task(self._wake.wait())
                await _first_of(stopping, woken, seconds=self._limits.poll_seconds)
                woken.cancel()
        finally:
            stopping.cancel()
            await self._drain()

    async def _claim(self, plug: Plug, stop: asyncio.Event) -> None:
        room = self._limits.in_flight - len(self._running)
        if room <= 0 or stop.is_set():
            return
        special = self._busy.keys() | self._failing.keys()
        places_left = {
            place[1]: self._places(plug, place) - self._busy.get(place, 0) for place in special if place[0] == plug.name
        }
        claimed = await self._store.write(self._units.claim, plug.name, room, places_left, plug.per_destination)
        for delivery in claimed:
            self._busy[plug.name, delivery.destination] += 1
            task = asyncio.create_task(self._attempt(plug, delivery), name=f"deliver {delivery.id}")
            self._running[task] = delivery
            task.add_done_callback(self._ended)

    def _places(self, plug: Plug, place: tuple[str, str]) -> int:
        """How many attempts at a time a destination gets: all, one that is failing 1, one left alone 0."""
        failing = self._failing.get(place)
        if failing is None:
            return plug.per_destination
        return 0 if self._clock.now_ms() < failing.open_until else 1

    def _note(self, plug: Plug, destination: str, result: Result) -> None:
        """Remembers what the result says about its destination."""
        place = (plug.name, destination)
        if not isinstance(result, RetryLater):
            self._failing.pop(place, None)
            return
        if place not in self._failing and len(self._failing) >= _FAILING_LIMIT:
            self._failing.clear()
        failing = self._failing.setdefault(place, _Failing())
        failing.failures += 1
        if plug.circuit is not None and failing.failures >= plug.circuit.failures:
            failing.open_until = self._clock.now_ms() + round(plug.circuit.pause_seconds * 1000)
            logger.warning(
                "%s %s failed %d times in a row, and is left alone for %g s",
                plug.name,
                destination,
                failing.failures,
                plug.circuit.pause_seconds,
            )

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery = self._running.pop(task)
        place = (delivery.channel, delivery.destination)
        self._busy[place] -= 1
        if self._busy[place] <= 0:
            del self._busy[place]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, and it is tried again.
            logger.error("delivery %s broke", delivery.id, exc_info=error)
        self._wake.set()

    async def _attempt(self, plug: Plug, delivery: Delivery) -> None:
        began = time.monotonic()
        result = await self._deliver(plug, delivery)
        self._note(plug, delivery.destination, result)
        duration_ms = round((time.monotonic() - began) * 1000)
        gives_up_at = began + self._limits.lease_seconds
        while True:
            try:
                await self._store.write(self._units.settle, delivery, result, duration_ms, plug.on_end)
            except LeaseLost:
                logger.info("delivery %s took longer than its lease; somebody else has it", delivery.id)
                return
            except RingbackError as error:
                if time.monotonic() > gives_up_at:
                    logger.warning("delivery %s could not be settled, it may go out again: %s", delivery.id, error)
                    return
                await asyncio.sleep(min(1.0, self._limits.poll_seconds))
            else:
                return

    async def _deliver(self, plug: Plug, delivery: Delivery) -> Result:
        if self._units.is_late(delivery):
            return GiveUp("deadline")
        try:
            async with asyncio.timeout(self._limits.attempt_seconds):
                return await plug.channel.deliver(delivery)
        except TimeoutError:
            return RetryLater(f"no answer within {self._limits.attempt_seconds:g} s")
        except Exception as error:
            logger.exception("channel %s failed on delivery %s", plug.name, delivery.id)
            return RetryLater(f"{type(error).__name__}: {error}")

    async def _drain(self) -> None:
        """Ends what is under way; what takes too long is given back to whoever runs next."""
        if not self._running:
            return
        _, late = await asyncio.wait(list(self._running), timeout=self._limits.drain_seconds)
        given_back = [self._running[task] for task in late]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            try:
                await self._store.write(self._units.release, given_back)
            except RingbackError as error:
                logger.warning("%d leases were not given back, they run out: %s", len(given_back), error)


async def _first_of(*tasks: asyncio.Task[bool], seconds: float) -> None:
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
