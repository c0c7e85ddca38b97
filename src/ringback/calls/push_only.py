"""Wake-ups for a proxy that suspends calls itself: it asks for the pushes, and says what became of the call.

Any process may be asked about any wake-up: its row is the truth. The process that pushed holds it in memory besides, to
try its pushes again and to end it in time; when that one dies, a job does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal

import msgspec

from ringback.calls import queries
from ringback.calls.ending import end_in_time
from ringback.calls.model import CallPush, CallRow, NewCall, Outcome, Reach
from ringback.calls.recording import changed_channel, event_of, holder_channel
from ringback.errors import RingbackError, StoreUnavailable, SubscriberNotFound, WakeupNotFound

if TYPE_CHECKING:
    from ringback.calls.ending import Ending
    from ringback.calls.live_call import LiveCall
    from ringback.calls.needs import Audit, Publisher
    from ringback.calls.wakeups import WakeUps
    from ringback.clock import Clock
    from ringback.principal import Principal
    from ringback.store import Store, Tx

State = Literal["WAITING", "REGISTERED", "ENDED"]
Reason = Literal["cancelled", "answered", "answered_elsewhere"]
ENDS: dict[Reason, Outcome] = {
    "cancelled": Outcome.CANCELLED,
    "answered": Outcome.ANSWERED,
    "answered_elsewhere": Outcome.ANSWERED_ELSEWHERE,
}
_POLL_SECONDS = 2.0
"""A notice may get lost, so whoever waits looks again."""
_TURN_PAUSES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Seconds between two looks whether another process has stored the same call by now. In between no connection is held:
a process that is stuck with a call may be asked for it again and again."""
_PUSHED_WITHIN_MS = 2000
"""So long after it was asked for, a wake-up without pushes is not given up: its process stores them in a moment."""
_TIME_OUT_SECONDS = 3.0
"""The store may take so long to say whether a wake-up has ended otherwise, before its phones are told it was missed."""
_HELD_UP_MS = 200
"""So long after it was asked for, a wake-up may have been asked for again elsewhere, and ended there."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy asks for. `callee`: user and domain. `seconds`: how long the caller waits, where the proxy knows."""

    username: str
    domain: str
    caller: str
    caller_name: str
    call_id: str
    seconds: int | None


class Wakeup(msgspec.Struct, frozen=True):
    """A wake-up as its row says, with what was pushed."""

    row: CallRow
    pushes: tuple[CallPush, ...]

    @property
    def state(self) -> State:
        """How far it is."""
        if self.row.status == "ENDED":
            return "ENDED"
        return "WAITING" if self.row.registered_at is None else "REGISTERED"


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """How a wake-up ends.

    `held`: its row as this process knows it, which holds it and tells the phones itself. `waits`: not before another
    process, which has just pushed it, has stored whom to tell.
    """

    reason: Reason
    answered_by: str | None
    held: CallRow | None
    waits: bool = True


class _BeingPushed(Exception):
    """Another process is about to store what it has pushed."""


class _BeingStored(Exception):
    """Another unit is storing the same call just now."""


class PushOnly:
    """Begins and ends wake-ups, and waits for what becomes of them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        wake_ups: WakeUps,
        ending: Ending,
        events: Publisher,
        audit: Audit,
        wake_seconds: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wake_ups = wake_ups
        self._ending = ending
        self._events = events
        self._audit = audit
        self._wake_seconds = wake_seconds
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._timing_out: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[asyncio.Event] = set()
        self._stops = False

    async def create(self, principal: Principal, asked: Asked) -> Wakeup:
        """Pushes a call to the phones of its callee, once: asked again, it answers with what there is.

        The row is stored first, so that no crash makes two pushes of one call. Raises SubscriberNotFound, and
        StoreUnavailable when another process is stuck with the same call.
        """
        reach = await self._wake_ups.reach(asked.username, asked.domain, asked.call_id)
        seconds = asked.seconds or (reach and reach.callee.mobile_push_expiry) or self._wake_seconds
        live = self._wake_ups.draft(
            NewCall(
                mode="push-only",
                sip_call_id=asked.call_id,
                caller=asked.caller,
                caller_name=asked.caller_name,
                callee=f"{asked.username}@{asked.domain}",
                reach=reach,
                ring_seconds=seconds,
            )
        )
        live.note("asked", by=principal.name)
        _end_at_once(live, reach)
        before = await self._store_first(principal, live.row())
        if before is None and live.outcome is None:
            before = await self._ended_meanwhile(live)
        if before is None:
            self._wake_ups.adopt(live)
            self._push(live)
        if reach is None:
            raise SubscriberNotFound
        return _wakeup_of(live) if before is None else _with_pushes(before, self._wake_ups.find(before.row.id))

    async def get(self, wakeup_id: str, known: State, seconds: float) -> Wakeup:
        """A wake-up; waits up to `seconds` until it is not as `known` any more. Raises WakeupNotFound."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        changed = asyncio.Event()
        self._waiting.add(changed)
        stop = self._store.subscribe(changed_channel(wakeup_id), changed.set)
        try:
            while True:
                changed.clear()
                found = await self._store.read(self._read, wakeup_id)
                left = until - loop.time()
                if found.state != known or left <= 0 or self._stops:
                    return _with_pushes(found, self._wake_ups.find(wakeup_id))
                try:
                    async with asyncio.timeout(min(left, _POLL_SECONDS)):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            stop()
            self._waiting.discard(changed)

    def stop_waiting(self) -> None:
        """The process stops: whoever waits is answered how it stands, and may ask another process."""
        self._stops = True
        for changed in self._waiting:
            changed.set()

    async def registered(self, principal: Principal, wakeup_id: str) -> Wakeup:
        """The proxy has seen a phone of the callee register. Raises WakeupNotFound."""
        found = await self._store.write(self._register, principal, wakeup_id)
        live = self._wake_ups.find(wakeup_id)
        if live is not None:
            _hear_of_registration(live, found.row)
        return _with_pushes(found, live)

    async def end(self, principal: Principal, wakeup_id: str, reason: Reason, answered_by: str | None) -> Wakeup:
        """The proxy's call is over; one that has ended stays as it is. Raises WakeupNotFound."""
        if wakeup_id in self._timing_out:  # its row says in a moment how it has ended
            await asyncio.wait([self._timing_out[wakeup_id]])
        live = self._wake_ups.find(wakeup_id)
        had_time = wakeup_id in self._timers
        self._drop_timer(wakeup_id)
        try:
            how = _End(reason=reason, answered_by=answered_by, held=None if live is None else live.row())
            found = _with_pushes(await self._end_when_pushed(principal, wakeup_id, how), live)
        except WakeupNotFound:
            if live is None:
                raise
            found = _wakeup_of(live)  # its row is on the way
        except BaseException:
            if live is not None and had_time:
                self._start_timer(live)
            raise
        if live is None:
            return found
        _hear_of_registration(live, found.row)
        if found.row.outcome in {None, ENDS[reason]}:
            live.cancel(ENDS[reason], reason, answered_by)
        else:
            live.ended_elsewhere(Outcome(found.row.outcome or Outcome.LOST), found.row.reason or "")
        return found

    async def close(self) -> None:
        """The process stops: what waits here is ended by the job of another process, or later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._timing_out:
            await asyncio.wait(list(self._timing_out.values()))

    async def _store_first(self, principal: Principal, row: CallRow) -> Wakeup | None:
        """Stores the wake-up; or returns the one that there is of this call."""
        for pause in _TURN_PAUSES:
            with contextlib.suppress(_BeingStored):
                return await self._store.write(self._claim, principal, row)
            await asyncio.sleep(pause)
        raise StoreUnavailable("Another process is about to store this call, and is stuck. Try again in a moment.")

    async def _end_when_pushed(self, principal: Principal, wakeup_id: str, how: _End) -> Wakeup:
        """Ends it in the store, a moment later where its pushes are on their way there."""
        for pause in _TURN_PAUSES:
            with contextlib.suppress(_BeingPushed):
                return await self._store.write(self._end, principal, wakeup_id, how)
            await asyncio.sleep(pause)
        return await self._store.write(self._end, principal, wakeup_id, msgspec.structs.replace(how, waits=False))

    async def _ended_meanwhile(self, live: LiveCall) -> Wakeup | None:
        """The wake-up as it is, when it has ended before this process came to push it."""
        if self._clock.now_ms() - live.started_at < _HELD_UP_MS:
            return None
        with contextlib.suppress(StoreUnavailable):  # then it is pushed: somebody is waiting
            found = await self._store.read(self._read, live.id)
            return found if found.state == "ENDED" else None
        return None

    def _push(self, live: LiveCall) -> None:
        if live.outcome is None:
            live.push()
            self._start_timer(live)
            live.on_cancelled = lambda _: self._drop_timer(live.id)

    def _start_timer(self, live: LiveCall) -> None:
        left = (live.deadline_at - self._clock.now_ms()) / 1000
        self._timers[live.id] = asyncio.get_running_loop().call_later(max(0.0, left), self._time_out, live)

    def _drop_timer(self, wakeup_id: str) -> None:
        timer = self._timers.pop(wakeup_id, None)
        if timer is not None:
            timer.cancel()

    def _time_out(self, live: LiveCall) -> None:
        del self._timers[live.id]
        task = asyncio.get_running_loop().create_task(self._end_in_time(live), name="a wake-up times out")
        self._timing_out[live.id] = task
        task.add_done_callback(lambda _: self._timing_out.pop(live.id, None))

    async def _end_in_time(self, live: LiveCall) -> None:
        """The row first: another process may be ending it in this moment, and phones are told one thing only."""
        try:
            async with asyncio.timeout(_TIME_OUT_SECONDS):
                row, is_ours = await self._store.write(self._over, live.id)
        except (RingbackError, TimeoutError):
            outcome, reason = end_in_time(live.registered_at)
            live.end(outcome, reason=reason)
            return
        _hear_of_registration(live, row)
        outcome, reason = Outcome(row.outcome or Outcome.LOST), row.reason or ""
        if is_ours:
            live.end(outcome, reason=reason)
        else:
            live.ended_elsewhere(outcome, reason)

    # units ------------------------------------------------------------------------------------------------------------

    async def _claim(self, tx: Tx, principal: Principal, row: CallRow) -> Wakeup | None:
        """Stores the wake-up; or returns the one that there is of this call."""
        is_our_turn = await tx.one(queries.lock_wakeup, f"{row.call_id}\n{row.callee}")
        before = await tx.one(queries.same_wakeup, row.call_id, row.callee)
        if before is not None:
            return Wakeup(before, tuple(await tx.all(queries.pushes_of_call, before.id)))
        if not is_our_turn:
            raise _BeingStored
        await tx.all_for(queries.insert_calls, [row])
        await self._events.publish(tx, event_of(row, "STARTED"))
        if row.status == "ENDED":
            await self._events.publish(tx, event_of(row, "ENDED"))
        await self._record(tx, principal, "create", row, {})
        return None

    async def _read(self, tx: Tx, wakeup_id: str) -> Wakeup:
        if "\0" in wakeup_id:
            raise WakeupNotFound
        row = await tx.one(queries.call_by_id, wakeup_id)
        if row is None:
            raise WakeupNotFound
        return Wakeup(row, tuple(await tx.all(queries.pushes_of_call, wakeup_id)))

    async def _register(self, tx: Tx, principal: Principal, wakeup_id: str) -> Wakeup:
        found = await self._read(tx, wakeup_id)
        row = found.row
        if row.status == "ENDED" or row.registered_at is not None:
            return found
        after = msgspec.structs.replace(row, registered_at=self._clock.now_ms(), version=row.version + 1)
        await tx.run(queries.mark_registered, row.id, row.version, after.registered_at)
        await self._record(tx, principal, "registered", row, {})
        tx.notify(changed_channel(row.id))
        tx.notify(holder_channel(row.id))
        return Wakeup(after, found.pushes)

    async def _end(self, tx: Tx, principal: Principal, wakeup_id: str, how: _End) -> Wakeup:
        found = await self._read(tx, wakeup_id)
        row = found.row
        if row.status == "ENDED":
            return found
        if how.held is not None:
            row = msgspec.structs.replace(row, pushes=how.held.pushes, pushed_at=how.held.pushed_at)
        elif how.waits and self._is_being_pushed(row):
            raise _BeingPushed
        row = await self._ending.end(
            tx, row, ENDS[how.reason], how.reason, tell=how.held is None, answered_by=how.answered_by
        )
        await self._record(tx, principal, "end", row, {"reason": how.reason})
        return Wakeup(row, found.pushes)

    def _is_being_pushed(self, row: CallRow) -> bool:
        is_new = self._clock.now_ms() - row.started_at < _PUSHED_WITHIN_MS
        return is_new and row.mode == "push-only" and row.pushed_at is None

    async def _over(self, tx: Tx, wakeup_id: str) -> tuple[CallRow, bool]:
        """Its time is over; returns how it has ended, and whether it is this that ended it."""
        row = (await self._read(tx, wakeup_id)).row
        if row.status == "ENDED":
            return row, False
        outcome, reason = end_in_time(row.registered_at)
        return await self._ending.end(tx, row, outcome, reason, tell=False), True

    async def _record(self, tx: Tx, principal: Principal, what: str, row: CallRow, details: dict[str, str]) -> None:
        await self._audit.record(
            tx,
            principal,
            f"wakeup.{what}",
            subject_kind="call",
            subject_id=row.id,
            user_id=row.user_id,
            details={"callId": row.call_id, "callee": row.callee, **details},
        )


def _end_at_once(live: LiveCall, reach: Reach | None) -> None:
    """Where nobody is to be woken, or nobody can, the wake-up has ended before it is known to anybody."""
    if reach is None:
        live.end(Outcome.UNKNOWN_CALLEE, reason="there is no such subscriber")
        return
    callee = reach.callee
    level = callee.decided_by.get("mobile_push_enable", "built in")
    live.note("preference", mobile_push_enable=callee.mobile_push_enable, decided_by=level)
    if callee.disabled:
        live.end(Outcome.NOT_ENABLED, reason="the subscriber is disabled")
    elif callee.mobile_push_enable == "never":
        live.end(Outcome.NOT_ENABLED, reason=f"mobile_push_enable is never ({level})")
    elif not reach.targets:
        live.end(Outcome.NO_PHONE, reason="the callee has no phone that can be woken")


def _hear_of_registration(live: LiveCall, row: CallRow) -> None:
    """Whichever process was told of it."""
    if row.registered_at is not None and live.registered_at is None:
        live.registered()


def _with_pushes(found: Wakeup, live: LiveCall | None) -> Wakeup:
    """The process that pushed knows of its pushes before they are stored; all else, the row knows best."""
    if live is None or found.pushes:
        return found
    return msgspec.structs.replace(found, pushes=tuple(live.push_rows()))


def _wakeup_of(live: LiveCall) -> Wakeup:
    return Wakeup(live.row(), tuple(live.push_rows()))
