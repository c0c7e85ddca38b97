"""The core of wake-ups: calls that wait, in the memory of the process that holds them.

Nothing here waits for the store but `WakeUps.reach`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls import metrics
from ringback.calls.live_call import LiveCall, clean
from ringback.calls.model import NewCall, Outcome, Reach
from ringback.calls.pushed_calls import PushedCall, PushedCalls
from ringback.clock import new_id
from ringback.push import NewCallPush, PushToken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringback.calls.needs import CallLane
    from ringback.calls.reaching import Reaching
    from ringback.calls.recording import Recorder
    from ringback.clock import Clock, Randomness


class WakeUps:
    """The calls of this process. One for each process that rings."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, reaching: Reaching, lane: CallLane, recorder: Recorder
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._reaching = reaching
        self._recorder = recorder
        self.lane = lane
        self._live: dict[str, LiveCall] = {}
        self._pushed = PushedCalls()

    @property
    def count(self) -> int:
        """How many calls wait."""
        return len(self._live)

    async def reach(self, username: str, domain: str, sip_call_id: str) -> Reach | None:
        """Whom this call to `username@domain` can reach, in one reading unit; None when there is no such subscriber.

        Raises StoreUnavailable.
        """
        return await self._reaching.reach(username, domain, sip_call_id)

    def begin(self, new: NewCall) -> LiveCall:
        """A call waits from now on. Its row goes to the store without being waited for."""
        live = self.draft(new)
        self._take_in(live)
        self._recorder.changed(live)
        return live

    def draft(self, new: NewCall) -> LiveCall:
        """A call that is not known to anybody yet: its row is stored first, or there is one of it already."""
        return LiveCall(self, new_id(self._clock, self._randomness), new, self.now_ms())

    def adopt(self, drafted: LiveCall) -> None:
        """A draft whose row is stored. One that ended before that does not wait: it only counts."""
        drafted.stored = True
        if drafted.outcome is None:
            self._take_in(drafted)
        else:
            metrics.outcomes(drafted.new.mode, drafted.outcome).inc()

    def find(self, call_id: str) -> LiveCall | None:
        """A call that waits here."""
        return self._live.get(call_id)

    def pushed_with(self, push_id: str) -> LiveCall | None:
        """The call of a push, as long as the store does not know of it."""
        return self._recorder.pushed_with(push_id)

    async def close(self) -> None:
        """Writes what is not written yet. Whoever holds calls has ended them before."""
        await self._recorder.close()

    # for the calls ----------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The time."""
        return self._clock.now_ms()

    def changed(self, live: LiveCall) -> None:
        """Its row is to be written again."""
        self._recorder.changed(live)

    def push(self, live: LiveCall) -> list[tuple[str, PushToken]]:
        """Sends; returns the push ids with their push tokens."""
        new, reach = live.new, live.new.reach
        if reach is None:
            return []
        earlier = self._pushed.earlier(new, self.now_ms())
        if earlier is not None:
            live.note("not pushed again", call=earlier.call_record_id)
            if not earlier.is_here:
                self._adopt(live, reach, earlier)
            return list(earlier.pushes)
        begun: list[tuple[str, PushToken]] = []
        for new_push in _pushes_of(live, reach, reach.targets, live.deadline_at):
            ids = self.lane.send(new_push)
            begun += zip(ids, (target for target in new_push.targets if self.lane.can_ring(target)), strict=True)
        self._pushed.remember(new, PushedCall(live.id, live.deadline_at, tuple(begun)), self.now_ms())
        live.note("pushed", pushes=len(begun))
        return begun

    def _adopt(self, live: LiveCall, reach: Reach, earlier: PushedCall) -> None:
        """The phones that another process rings are told from here too when this call is over."""
        push_ids = {target.id: push_id for push_id, target in earlier.pushes}
        targets = [target for _, target in earlier.pushes]
        for new_push in _pushes_of(live, reach, targets, earlier.deadline_at):
            self.lane.adopt(new_push, [push_ids[target.id] for target in new_push.targets])
        self._pushed.remember(live.new, msgspec.structs.replace(earlier, is_here=True), self.now_ms())

    def rings(self, live: LiveCall) -> bool:
        """Whether the phones ring for this Call-ID and callee already, so that `push` would send nothing."""
        return self._pushed.earlier(live.new, self.now_ms()) is not None

    def over(self, live: LiveCall) -> None:
        """It has ended."""
        if self._live.pop(live.id, None) is None:
            return
        mode = live.new.mode
        metrics.in_flight(mode).dec()
        metrics.outcomes(mode, live.outcome).inc()
        if live.outcome is Outcome.DEFLECTED and live.ended_at is not None:
            metrics.wake_seconds(mode).observe((live.ended_at - live.started_at) / 1000)
        self._recorder.changed(live)

    def _take_in(self, live: LiveCall) -> None:
        self._live[live.id] = live
        metrics.in_flight(live.new.mode).inc()


def _pushes_of(
    live: LiveCall, reach: Reach, targets: Sequence[PushToken], ring_expires_at: int
) -> Iterator[NewCallPush]:
    """What is pushed to each app."""
    for app_id in dict.fromkeys(target.app_id for target in targets):
        yield NewCallPush(
            app_id=app_id,
            user_id=reach.callee.user_id,
            targets=tuple(target for target in targets if target.app_id == app_id),
            alerts=tuple(one for one in reach.alerts if one.app_id == app_id),
            ring_expires_at=ring_expires_at,
            display_name=clean(live.new.caller_name),
            display_number=clean(number_of(live.new.caller)),
            notice_id=live.id,
        )


def number_of(uri: str) -> str:
    """What a person dials to call back: the user of a SIP URI, or the number of a tel URI."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in {"sip", "sips", "tel"}:
        return uri
    return rest.partition("@")[0].partition(";")[0]
