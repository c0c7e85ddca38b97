"""The loop that claims, attempts and settles the deliveries of one channel.

Units of work take many deliveries at once, since a unit costs as much as several deliveries: what is due is claimed in
batches, and what has ended while a batch was being settled makes up the next one. Each attempt is a task of its own, so
that a slow one holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ringback.clock import Clock
from ringback.errors import RingbackError, UniqueViolation
from ringback.outbox.claiming import Claim
from ringback.outbox.destinations import Destinations
from ringback.outbox.model import BROKEN, Delivery, GiveUp, OutboxLimits, Outcome, Result, RetryLater, Settled
from ringback.outbox.plug import Plug
from ringback.store import Store, Tx

logger = logging.getLogger(__name__)

# A lane that is nearly full waits until this part of its places is free, rather than claim one delivery at a time.
_STRIDES = 8


class _Running(msgspec.Struct, frozen=True, gc=False):
    """An attempt under way, and when the loop's clock says that it has taken too long."""

    delivery: Delivery
    ends_at: float


class Units(Protocol):
    """The units of work that the loop needs (`Outbox` has them)."""

    async def claim(
        self, tx: Tx, channel: str, count: int, places_left: Mapping[str, int], places: int, start: str
    ) -> Claim:
        """Leases what is due."""
        ...

    async def settle(self, tx: Tx, outcomes: Sequence[Outcome]) -> list[Settled]:
        """Records attempts."""
        ...

    async def release(self, tx: Tx, deliveries: list[Delivery]) -> None:
        """Gives leases back."""
        ...

    def is_late(self, delivery: Delivery) -> bool:
        """Whether the deadline has passed."""
        ...


class Lane:
    """Claims what is due, delivers it with a bulkhead for each destination, and settles it."""

    def __init__(self, store: Store, units: Units, limits: OutboxLimits, plug: Plug, clock: Clock) -> None:
        self.name = plug.name
        self._store = store
        self._units = units
        self._limits = limits
        self._plug = plug
        self._clock = clock
        self._stride = max(1, plug.in_flight // _STRIDES)
        self._destinations = Destinations(plug, clock)
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._start = ""
        self._may_be_more = False
        self._running: dict[asyncio.Task[None], _Running] = {}
        self._overdue: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outcomes: list[Outcome] = []
        self._settling: asyncio.Task[None] | None = None
        self._store_is_away = False
        self._hurries = 0

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def hurry(self) -> None:
        """A destination that failed may be well again."""
        self._hurries += 1
        self._destinations.forgive()
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`, then drains."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                # A round of looks that stopped half-way goes on there, and is followed by another: it missed news.
                self._may_be_more = bool(self._start)
                try:
                    while not stop.is_set() and await self._claim():
                        pass
                except RingbackError as error:
                    if not self._store_is_away:
                        logger.warning("%s: no deliveries can be claimed, until this is over: %s", self.name, error)
                    self._store_is_away = True
                    await _first_of(stopping, seconds=self._limits.poll_seconds)
                    continue
                if self._store_is_away:
                    logger.warning("%s: deliveries are claimed again", self.name)
                    self._store_is_away = False
                woken = asyncio.create_task(self._wake.wait())
                await _first_of(stopping, woken, seconds=self._limits.poll_seconds)
                woken.cancel()
        finally:
            stopping.cancel()
            await self._drain()

    # claiming ---------------------------------------------------------------------------------------------------------

    async def _claim(self) -> bool:
        """Claims a batch and begins its attempts; returns whether there may be more that could begin now.

        A round of such looks comes to every destination; a single one does, where they are not many.
        """
        room = self._plug.in_flight - self._in_flight
        if room < self._stride:
            return False
        count = min(room, self._limits.batch)
        claim, work = await self._store.write(self._claim_unit, count, self._destinations.places_left())
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._limits.attempt_seconds
        for delivery, one in zip(claim.deliveries, work, strict=True):
            self._destinations.enter(delivery.destination)
            self._in_flight += 1
            task = loop.create_task(self._attempt(delivery, one))
            self._running[task] = _Running(delivery, ends_at)
            task.add_done_callback(self._ended)
        if claim.deliveries and self._timer is None:
            self._timer = loop.call_at(ends_at, self._end_overdue)
        self._start = claim.go_on_at
        self._may_be_more = self._may_be_more or any(self._destinations.left(one) for one in claim.filled)
        if self._start:
            return True
        again, self._may_be_more = self._may_be_more, False
        return again

    async def _claim_unit(self, tx: Tx, count: int, places_left: Mapping[str, int]) -> tuple[Claim, Sequence[Any]]:
        plug = self._plug
        claim = await self._units.claim(tx, plug.name, count, places_left, plug.per_destination, self._start)
        return claim, await plug.channel.load(tx, claim.deliveries) if claim.deliveries else ()

    # attempting -------------------------------------------------------------------------------------------------------

    async def _attempt(self, delivery: Delivery, work: Any) -> None:
        began, hurries = time.monotonic(), self._hurries
        result = await self._result(delivery, work)
        if isinstance(result, RetryLater) and result.leave_alone_seconds is not None and hurries != self._hurries:
            # What it failed for may have been put right meanwhile, so it is no reason to leave anybody alone.
            result = msgspec.structs.replace(result, leave_alone_seconds=None, pause_seconds=0)
        self._destinations.note(delivery.destination, result)
        duration_ms = round((time.monotonic() - began) * 1000)
        self._outcomes.append(Outcome(delivery, result, self._clock.now_ms(), duration_ms))
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle_all(), name=f"settle {self.name}")

    async def _result(self, delivery: Delivery, work: Any) -> Result:
        if self._units.is_late(delivery):
            return GiveUp("deadline", destination_was_asked=False)
        try:
            return await self._plug.channel.attempt(delivery, work)
        except asyncio.CancelledError:
            if asyncio.current_task() not in self._overdue:
                raise
            return RetryLater(f"no answer within {self._limits.attempt_seconds:g} s")
        except Exception:
            logger.exception("channel %s failed on delivery %s", self.name, delivery.id)
            return RetryLater(BROKEN)

    def _end_overdue(self) -> None:
        """Ends the attempts that have had their time. One timer for all of them: they end in the order they began."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, running in self._running.items():
            if running.ends_at > loop.time():
                self._timer = loop.call_at(running.ends_at, self._end_overdue)
                return
            if task not in self._overdue:
                self._overdue.add(task)
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery = self._running.pop(task).delivery
        self._overdue.discard(task)
        if task.cancelled():
            self._free(delivery)
        elif (error := task.exception()) is not None:
            # Its lease runs out, and it is tried again.
            logger.error("delivery %s broke", delivery.id, exc_info=error)
            self._free(delivery)

    def _free(self, delivery: Delivery) -> None:
        """A delivery is over: its place is free."""
        was_full = self._plug.in_flight - self._in_flight < self._stride
        self._in_flight -= 1
        opened = self._destinations.leave(delivery.destination)
        if opened or (was_full and self._plug.in_flight - self._in_flight >= self._stride):
            self._wake.set()

    # settling ---------------------------------------------------------------------------------------------------------

    async def _settle_all(self) -> None:
        """Settles what has ended, until nothing has."""
        size = self._limits.batch
        try:
            while self._outcomes:
                ended, self._outcomes = self._outcomes, []
                batches = [ended[start : start + size] for start in range(0, len(ended), size)]
                await asyncio.gather(*(self._settle(batch) for batch in batches))
                for outcome in ended:
                    self._free(outcome.delivery)
        finally:
            self._settling = None

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        gives_up_at = time.monotonic() + self._limits.lease_seconds
        while True:
            try:
                await self._store.write(self._settle_unit, outcomes)
            except UniqueViolation as error:  # another try would end in the same way
                await self._settle_apart(outcomes, error)
                return
            except RingbackError as error:
                if time.monotonic() > gives_up_at:
                    logger.warning(
                        "%d deliveries could not be settled, they may go out again: %s", len(outcomes), error
                    )
                    return
                await asyncio.sleep(min(1.0, self._limits.poll_seconds))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is logged
                await self._settle_apart(outcomes, error)
                return
            else:
                return

    async def _settle_apart(self, outcomes: Sequence[Outcome], error: Exception) -> None:
        """After a unit that broke: by one of them, for which the others must not go out again."""
        if len(outcomes) > 1:
            for outcome in outcomes:
                await self._settle([outcome])
        else:
            # Its lease runs out, and it is tried again.
            logger.error("delivery %s broke", outcomes[0].delivery.id, exc_info=error)

    async def _settle_unit(self, tx: Tx, outcomes: Sequence[Outcome]) -> None:
        settled = await self._units.settle(tx, outcomes)
        if settled:
            await self._plug.channel.settled(tx, settled)

    # stopping ---------------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Ends what is under way; what takes too long is given back to whoever runs next."""
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=self._limits.drain_seconds)
            given_back = [self._running[task].delivery for task in late]
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
                try:
                    await self._store.write(self._units.release, given_back)
                except RingbackError as error:
                    logger.warning("%d leases were not given back, they run out: %s", len(given_back), error)
        if self._settling is not None:
            await self._settling
        if self._timer is not None:
            self._timer.cancel()


async def _first_of(*tasks: asyncio.Task[bool], seconds: float) -> None:
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
