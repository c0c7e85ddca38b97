"""Calls on their way into the store: by one writer, in batches, without anybody waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from ringback.calls import metrics, queries
from ringback.calls.model import CallPush, CallRow, ChangedCall, Outcome
from ringback.errors import RingbackError
from ringback.events import CallChanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.live_call import LiveCall
    from ringback.calls.needs import Publisher
    from ringback.store import Store, Tx

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
"""How long a change waits for others: a call that begins and ends at once is one row, written once."""
BATCH = 32
"""Calls that one unit writes: it holds the loop for as long as that takes, some two milliseconds."""
_LOOKED_AT = 100
"""Calls that one unit looks at."""
MOST_KEPT = 50_000
"""Calls that are kept for a database that is away."""
_PAUSE_SECONDS = 0.5
_CLOSE_SECONDS = 5
_encode = msgspec.json.Encoder().encode


def changed_channel(call_id: str) -> str:
    """The store's channel that is notified when a call that somebody may wait for has changed."""
    return f"call:{call_id}"


def holder_channel(call_id: str) -> str:
    """The one by which the process that holds a call hears that somebody has changed it elsewhere.

    A 256th of all calls share one, by the random end of their ids: to listen to 20,000 would cost more than to look at
    those 80 when one of them is meant.
    """
    return f"call_holder:{call_id[-2:]}"


class Batch(msgspec.Struct, frozen=True):
    """What one unit writes: rows that may be new, rows that are stored, and who may ask about them."""

    new: list[CallRow]
    stored: list[CallRow]
    pushes: list[CallPush]


class Recorder:
    """Writes the rows of the calls of this process."""

    def __init__(self, *, store: Store, events: Publisher) -> None:
        self._store = store
        self._events = events
        self._changed: dict[str, LiveCall] = {}
        self._by_push: dict[str, LiveCall] = {}
        self._held: dict[str, set[LiveCall]] = {}
        self._listening: list[Callable[[], None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._asked: dict[str, LiveCall] = {}
        self._asking: asyncio.Task[None] | None = None
        self._is_away = False

    def changed(self, live: LiveCall) -> None:
        """The call has begun, goes on or has ended: what it is then will be written."""
        self._changed[live.id] = live
        if not live.pushes_stored:
            for push_id in live.push_ids:
                self._by_push[push_id] = live
        if live.outcome is not None:
            self._held.get(holder_channel(live.id), set()).discard(live)
        else:
            self._listen(live)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="call records")

    def pushed_with(self, push_id: str) -> LiveCall | None:
        """The call of a push that the store does not know yet."""
        return self._by_push.get(push_id)

    async def idle(self) -> None:
        """Returns when everything is written."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])

    async def close(self) -> None:
        """Writes what is not written yet; gives up when the database is away."""
        for stop in self._listening:
            stop()
        self._listening.clear()
        self._held.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.idle()
        late = [task for task in (self._writer, self._asking) if task is not None and not task.done()]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _write(self) -> None:
        while self._changed:
            await asyncio.sleep(GATHER_SECONDS)
            while self._changed:
                taken = [self._changed.pop(call_id) for call_id in list(islice(self._changed, BATCH))]
                if not await self._write_batch(taken):
                    await asyncio.sleep(_PAUSE_SECONDS)
                    break

    async def _write_batch(self, taken: list[LiveCall]) -> bool:
        """Writes some calls as they are now; False when that has to be tried again."""
        pushed = [live for live in taken if live.push_ids and not live.pushes_stored]
        batch = Batch(
            [live.row() for live in taken if not live.stored],
            [live.row() for live in taken if live.stored],
            [row for live in pushed for row in live.push_rows()],
        )
        try:
            found = await self._store.write(write_batch, batch, self._events)
        except RingbackError as error:
            self._put_back(taken)
            if not self._is_away:  # said once, not at every attempt
                logger.warning("records of calls wait for the database: %s", error)
            self._is_away = True
            return False
        except Exception:
            found = []
            logger.exception("records of %d calls cannot be written", len(taken))
            metrics.not_recorded.inc(len(taken))
        if self._is_away:
            self._is_away = False
            logger.warning("records of calls are written again")
        for live in taken:
            live.stored = True
        for live in pushed:
            live.pushes_stored = True
        for row in batch.pushes:
            self._by_push.pop(row.push_id, None)
        by_id = {live.id: live for live in pushed}
        for one in found:
            if one.outcome is not None:
                by_id[one.id].ended_unheard(Outcome(one.outcome), one.reason or "")
        return True

    def _put_back(self, taken: list[LiveCall]) -> None:
        """They come first again; when there are too many, those that ended first are given up."""
        newer, self._changed = self._changed, {live.id: live for live in taken}
        self._changed.update(newer)
        surplus = len(self._changed) - MOST_KEPT
        if surplus > 0:
            for live in list(islice((one for one in self._changed.values() if one.outcome is not None), surplus)):
                del self._changed[live.id]
                for push_id in live.push_ids:
                    self._by_push.pop(push_id, None)
                metrics.not_recorded.inc()

    def _listen(self, live: LiveCall) -> None:
        channel = holder_channel(live.id)
        calls = self._held.get(channel)
        if calls is None:
            calls = self._held[channel] = set()
            self._listening.append(self._store.subscribe(channel, lambda: self._ask(channel)))
        calls.add(live)

    def _ask(self, channel: str) -> None:
        """Somebody says that one of these calls was changed elsewhere, or may have been: after silence, all may."""
        self._asked.update((live.id, live) for live in self._held.get(channel, ()))
        if self._asked and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._look(), name="calls changed elsewhere")

    async def _look(self) -> None:
        while self._asked:
            taken = {call_id: self._asked.pop(call_id) for call_id in list(islice(self._asked, _LOOKED_AT))}
            try:
                found = await self._store.read(read_changes, list(taken))
            except RingbackError as error:
                logger.warning("whether calls were ended elsewhere is not known: %s", error)
                return
            for one in found:
                live = taken[one.id]
                if one.registered_at is not None and live.registered_at is None:
                    live.registered()
                if one.outcome is not None:
                    live.ended_elsewhere(Outcome(one.outcome), one.reason or "")


async def read_changes(tx: Tx, call_ids: list[str]) -> list[ChangedCall]:
    """A unit of work: which of these calls have ended, or had a phone register."""
    return await tx.all(queries.changed_calls, _encode(call_ids).decode())


async def write_batch(tx: Tx, batch: Batch, events: Publisher) -> list[ChangedCall]:
    """A unit of work: writes rows, and tells of what is new in them.

    Returns what others have done to calls before the store knew what these were pushed with: nobody told their phones.

    A row that may be new is there already when an earlier COMMIT seemed to fail and did not.
    """
    new = set(await tx.all_for(queries.insert_calls, batch.new))
    stored = [*batch.stored, *(row for row in batch.new if row.id not in new)]
    ending = [row for row in stored if row.status == "ENDED"]
    ended = set(await tx.all_for(queries.end_calls, ending))
    grown = await tx.all_for(queries.grow_calls, [row for row in stored if row.id not in ended])
    await tx.run_for(queries.insert_call_pushes, batch.pushes)
    for row in (*batch.new, *batch.stored):
        if row.id in new:
            await events.publish(tx, event_of(row, "STARTED"))
        if row.status == "ENDED" and (row.id in ended or row.id in new):
            await events.publish(tx, event_of(row, "ENDED"))
        if row.mode == "push-only":
            tx.notify(changed_channel(row.id))
    pushed = {push.call_record_id for push in batch.pushes}
    return [one for one in grown if one.id in pushed]


def event_of(row: CallRow, change: str) -> CallChanged:
    """What is published of a call."""
    return CallChanged(
        call_record_id=row.id,
        change="ENDED" if change == "ENDED" else "STARTED",
        mode=row.mode,
        call_id=row.call_id,
        caller=row.caller,
        caller_name=row.caller_name,
        callee=row.callee,
        domain=row.domain,
        user_id=row.user_id,
        app_ids=_app_ids(row.app_ids),
        pushes=row.pushes,
        outcome=None if row.outcome is None or change != "ENDED" else str(row.outcome),
        sip_status=row.sip_status if change == "ENDED" else 0,
        reason=row.reason if change == "ENDED" else None,
        started_at=row.started_at,
        pushed_at=row.pushed_at,
        registered_at=row.registered_at,
        ended_at=row.ended_at if change == "ENDED" else None,
    )


@lru_cache(maxsize=1024)
def _app_ids(column: str) -> tuple[str, ...]:
    return msgspec.json.decode(column, type=tuple[str, ...])
