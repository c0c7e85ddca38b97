"""How calls end that nobody holds, or another process: by their rows. The phones are told by the ordinary queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls import metrics, queries
from ringback.calls.model import CallPush, CallRow, Outcome, farewell_of
from ringback.calls.recording import changed_channel, event_of, holder_channel
from ringback.calls.wakeups import number_of
from ringback.clock import first_id_at
from ringback.push import PUSHKIT, CallContent, Content, NewPush, farewell_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.calls.needs import Publisher, QueuedPushes, TokensOfUser
    from ringback.clock import Clock
    from ringback.push import Farewell, PushToken
    from ringback.store import Tx

OVERDUE_MS = 10_000
"""So long after its ring time a call that waits is held by nobody."""
KEPT_MS = 30 * 86_400_000
"""How long one can ask what became of a call."""
PUSHES_KEPT_MS = 86_400_000
"""How long a proxy that asks again hears whom its call was pushed to."""
_FAREWELL_MS = 60_000
_TIMED_OUT = "no phone came in time"
_DIED = "the process that held the call is gone"


class Ending:
    """Units of work."""

    def __init__(self, *, clock: Clock, events: Publisher, push_tokens: TokensOfUser, pushes: QueuedPushes) -> None:
        self._clock = clock
        self._events = events
        self._push_tokens = push_tokens
        self._pushes = pushes

    async def end(
        self, tx: Tx, row: CallRow, outcome: Outcome, reason: str, *, tell: bool, answered_by: str | None = None
    ) -> CallRow:
        """Ends a call that waits; returns it as it is then.

        `tell`: nobody holds it here, so its phones are told in this unit, and whoever holds it elsewhere hears of it.
        """
        farewells: list[NewPush] = []
        farewell = farewell_of(outcome, answered_by)
        if tell and farewell is not None and row.user_id is not None:
            farewells = await self._farewells(tx, row, row.user_id, farewell, spared=answered_by)
        ended = msgspec.structs.replace(
            row,
            status="ENDED",
            outcome=outcome,
            reason=reason or None,
            ended_at=self._clock.now_ms(),
            version=row.version + 1,
        )
        await tx.run(queries.end_call, row.id, row.version, outcome, ended.reason, ended.ended_at)
        if farewells:
            await self._pushes.queue_all(tx, farewells)
        await self._events.publish(tx, event_of(ended, "ENDED"))
        tx.notify(changed_channel(row.id))
        if tell:
            tx.notify(holder_channel(row.id))
        return ended

    async def end_overdue(self, tx: Tx, limit: int) -> int:
        """Unit for the job: ends up to `limit` calls whose process died; returns how many."""
        before = self._clock.now_ms() - OVERDUE_MS
        rows = await tx.all(queries.overdue_calls, before, min(limit, 20))
        for row in rows:
            outcome, reason = _end_of(row)
            await self.end(tx, row, outcome, reason, tell=True)
            metrics.outcomes(row.mode, outcome).inc()  # whoever held it does not any more
        return limit if len(rows) == min(limit, 20) else len(rows)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` calls of the day before 30 days; returns how many."""
        before = self._clock.now_ms() - KEPT_MS
        return len(await tx.all(queries.purge_calls, first_id_at(before), before, limit))

    async def purge_pushes(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` rows of whom calls were pushed to; returns how many."""
        return len(await tx.all(queries.purge_call_pushes, self._clock.now_ms() - PUSHES_KEPT_MS, limit))

    async def _farewells(
        self, tx: Tx, row: CallRow, user_id: str, farewell: Farewell, *, spared: str | None
    ) -> list[NewPush]:
        """What takes back the pushes of a call. Where its ring time is over, only that it was missed is still news."""
        now = self._clock.now_ms()
        if farewell != "missed" and now >= row.deadline_at:
            return []
        tokens = await self._push_tokens.of_user(tx, user_id)
        found = []
        for pushed in await tx.all(queries.pushes_of_call, row.id):
            target = _told_at(pushed, tokens)
            if target is not None and pushed.push_id != spared:
                found.append(_farewell(row, pushed, target, farewell, max(row.deadline_at, now + _FAREWELL_MS)))
        return found


def _end_of(row: CallRow) -> tuple[Outcome, str]:
    """How a call ended that is overdue; what is pushed for others goes on without us."""
    if row.mode != "push-only":
        return Outcome.LOST, _DIED
    return end_in_time(row.registered_at)


def end_in_time(registered_at: int | None) -> tuple[Outcome, str]:
    """How a wake-up of a proxy that suspends calls ends when its time is over, and why."""
    return (Outcome.TIMEOUT, _TIMED_OUT) if registered_at is None else (Outcome.DEFLECTED, "")


def _told_at(pushed: CallPush, tokens: Iterable[PushToken]) -> PushToken | None:
    """Where the phone of a push is told that the call is over: not through PushKit."""
    rang = next((one for one in tokens if one.id == pushed.push_token_id), None)
    if rang is None or rang.kind != PUSHKIT:
        return rang
    return next(
        (
            one
            for one in tokens
            if one.kind == "apns"
            and one.app_id == rang.app_id
            and not one.suspended
            and (one.registration_id, one.device_pkid, one.subscriber_id, one.sip_instance)
            == (rang.registration_id, rang.device_pkid, rang.subscriber_id, rang.sip_instance)
        ),
        None,
    )


def _farewell(row: CallRow, pushed: CallPush, target: PushToken, farewell: Farewell, deadline_at: int) -> NewPush:
    rang = Content(
        push_id=pushed.push_id,
        purpose="call",
        call=CallContent(
            display_name=row.caller_name or "",
            display_number=number_of(row.caller),
            ring_expires_at=row.deadline_at,
        ),
        collapse_id=pushed.push_id,
        user_id=target.user_id,
        registration_id=target.registration_id,
    )
    return NewPush(
        app_id=target.app_id,
        user_id=target.user_id,
        kind=target.kind,
        content=farewell_content(rang, farewell),
        push_token_id=target.id,
        registration_id=target.registration_id,
        deadline_ms=deadline_at,
        notice_id=row.id,
    )
