"""The lane of calls: a caller is listening, so nothing is waited for before the push is on its way.

`CallPushes.send` begins to send and returns. The rows (the push, and its delivery as one that is held already) go to
the store at the same time; what became of each attempt is recorded afterwards. Another attempt comes from memory,
until the ring time is over, and never after it. When this process dies, the caller is gone with it: the outbox finds
the delivery and ends it, see `LeftCalls`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.clock import Clock
from ringback.outbox import BROKEN, Delivery, Earlier, GiveUp, Outbox, Outcome, Result, RetryLater
from ringback.push import queries
from ringback.push.channel import Provider, PushChannel, result_of
from ringback.push.content import CallContent, Content
from ringback.push.farewells import MISSED_MS, PUSHKIT, Farewell, farewell_content
from ringback.push.gathering import Gathering
from ringback.push.model import NewPush, OutgoingPush
from ringback.push.model_tokens import PushToken
from ringback.push.reactions import Verdict
from ringback.push.ringing import MAY_HAVE_RUNG, NEVER_RANG, Ringing
from ringback.push.service import CALL_CHANNEL, Pushes, delivery_of
from ringback.store import Store, Tx

if TYPE_CHECKING:
    from ringback.push.local import LocalProvider
    from ringback.push.tokens import PushTokens

logger = logging.getLogger(__name__)

CALL_KINDS = frozenset({"apns-voip", "fcm", "webpush", "local"})
"""What can wake an app. An `apns` push token can only show something."""
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
_CLOSE_SECONDS = 5
_LEASE_AFTER_MS = 60_000
_TOLD_LATE_SECONDS = 5.0
"""So long after the ring time somebody may still say that the call was missed."""
_STORE_PATIENCE_SECONDS = 10.0
_GATHER_SECONDS = 0.02
"""How long the result of a push waits for others before it is written: nobody waits for it."""


class NewCallPush(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has to ring.

    `targets`: the push tokens that the caller has read, all of one app; those that cannot ring are left out.
    `alerts`: push tokens of kind `apns` of the same phones, by which iOS is told that the call is over.
    `ring_expires_at`: when the caller is given up, in Unix milliseconds.
    """

    app_id: str
    user_id: str
    targets: tuple[PushToken, ...]
    ring_expires_at: int
    alerts: tuple[PushToken, ...] = ()
    display_name: str = ""
    display_number: str = ""
    hunt_pilot_dn: str = ""
    extras: dict[str, Any] = {}
    notice_id: str | None = None


class CallPushes:
    """Sends calls, and takes them back. One for each process that rings phones."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        pushes: Pushes,
        push_tokens: PushTokens,
        channel: PushChannel,
        providers: Mapping[str, Provider],
        local: LocalProvider | None = None,
    ) -> None:
        self._clock = clock
        self._outbox = outbox
        self._pushes = pushes
        self._push_tokens = push_tokens
        self._channel = channel
        self._providers = dict(providers)
        self._local = local
        self._ringing: dict[str, Ringing] = {}
        self._to_forget: dict[int, list[str]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._inserts = Gathering(store, self._insert, self._spawn)
        self._settlements = Gathering(store, self._settle, self._spawn, gather_seconds=_GATHER_SECONDS)

    def can_ring(self, target: PushToken) -> bool:
        """Whether a call may and can be pushed to this push token."""
        has_provider = target.kind in self._providers or (target.kind == "local" and self._local is not None)
        return target.kind in CALL_KINDS and has_provider and not target.suspended

    def send(self, new: NewCallPush) -> list[str]:
        """Begins to push a call to each target that can ring; returns the push ids, in the order of the targets."""
        begun = [self._call_to(target, new) for target in new.targets if self.can_ring(target)]
        self._begin(begun)
        return [ringing.id for ringing in begun]

    def adopt(self, new: NewCallPush, push_ids: Sequence[str]) -> None:
        """Another process has pushed it, or this one before it died, with a push id for each target.

        Nothing is sent, but when the call is cancelled here, its phones are told.
        """
        for target, push_id in zip(new.targets, push_ids, strict=True):
            if push_id not in self._ringing:
                ringing = self._call_to(target, new, push_id)
                ringing.outgoing = msgspec.structs.replace(ringing.outgoing, id=push_id)
                ringing.push, ringing.is_out = None, True
                self._ringing[push_id] = ringing
                self._forget_later(ringing)

    def cancel(self, push_ids: Collection[str], why: Farewell = "cancelled", *, although_quiet: bool = False) -> None:
        """The call is over: no further attempts, and phones that may ring are told, and why.

        iOS shows a call for every push to PushKit, so there the same phone is told by an alert, if the app has given a
        push token for alerts; the others get a data message. After the ring time every phone has stopped by itself:
        then it is told of a call that was missed, and of nothing else. `although_quiet`: after `interrupt` too, when it
        turns out that nobody else has told them.
        """
        not_told = {None, "quietly"} if although_quiet else {None}
        withdrawals = []
        for push_id in push_ids:
            ringing = self._ringing.get(push_id)
            if ringing is not None and ringing.withdrawn in not_told:
                ringing.withdrawn = why
                ringing.interrupt()
                if ringing.is_out:
                    ringing.is_told = True
                    withdrawals.append(self._withdrawal(ringing, why))
        self._begin([one for one in withdrawals if one is not None])

    def interrupt(self, push_ids: Collection[str]) -> None:
        """The call is over, and somebody else tells the phones: no further attempts."""
        for push_id in push_ids:
            ringing = self._ringing.get(push_id)
            if ringing is not None and ringing.withdrawn is None:
                ringing.withdrawn = "quietly"
                ringing.interrupt()

    async def idle(self) -> None:
        """Returns when everything that was sent is over, and on record."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        """The process stops: no further attempts; what is under way has a moment to be answered and recorded."""
        self._closing = True
        for ringing in self._ringing.values():
            ringing.interrupt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.idle()
        late = list(self._tasks)
        for task in late:
            task.cancel()
        if late:
            # Their leases run out, and the outbox of another process ends them.
            await asyncio.wait(late)

    # one push ---------------------------------------------------------------------------------------------------------

    def _call_to(self, target: PushToken, new: NewCallPush, push_id: str = "") -> Ringing:
        """A call to one phone. `push_id`: what the phone knows the call by, when it was told already."""
        call = CallContent(
            display_name=new.display_name,
            display_number=new.display_number,
            hunt_pilot_dn=new.hunt_pilot_dn,
            ring_expires_at=new.ring_expires_at,
        )
        content = Content(
            push_id=push_id,
            purpose="call",
            call=call,
            extras=new.extras,
            user_id=new.user_id,
            registration_id=target.registration_id,
        )
        alert = None
        if target.kind == PUSHKIT:
            alert = next((one for one in new.alerts if _phone_of(one) == _phone_of(target)), None)
        return self._made(content, target, new.notice_id, new.ring_expires_at, alert=alert)

    def _made(
        self,
        content: Content,
        target: PushToken | OutgoingPush,
        notice_id: str | None,
        deadline_at: int,
        *,
        alert: PushToken | None = None,
        withdrawal: bool = False,
    ) -> Ringing:
        token_id = target.id if isinstance(target, PushToken) else target.push_token_id
        new = NewPush(
            app_id=target.app_id,
            user_id=content.user_id,
            kind=target.kind,
            content=content,
            push_token_id=token_id,
            registration_id=content.registration_id,
            notice_id=notice_id,
        )
        push = self._pushes.make(new)
        # The phone knows a call by the id of its first push; a newer push of the same call takes the place of an older.
        name = content.push_id or push.id
        said = msgspec.structs.replace(content, push_id=name, collapse_id=name, created_at=push.created_at)
        if isinstance(target, PushToken):
            key = self._push_tokens.encryption_key(target.id, target.encryption_key_sealed)
            registered_at = target.registered_at
        else:
            key, registered_at = target.encryption_key, target.registered_at
        outgoing = OutgoingPush(
            id=push.id,
            app_id=target.app_id,
            user_id=content.user_id,
            kind=target.kind,
            push_token=target.push_token,
            content=said,
            push_token_id=token_id,
            environment=target.environment,
            encryption_key=key,
            deadline_at=deadline_at,
            urgent=True,
            registered_at=registered_at,
        )
        return Ringing(push, outgoing, alert, withdrawal=withdrawal)

    def _withdrawal(self, ringing: Ringing, why: Farewell) -> Ringing | None:
        deadline = ringing.deadline_at
        if why == "missed":
            deadline = max(deadline, self._clock.now_ms()) + MISSED_MS
        elif self._seconds_left(ringing) <= 0:
            return None
        is_pushkit = ringing.outgoing.kind == PUSHKIT
        target = ringing.alert if is_pushkit else ringing.outgoing
        if target is None:
            return None
        content = farewell_content(ringing.outgoing.content, why)
        return self._made(content, target, ringing.notice_id, deadline, withdrawal=True)

    def _begin(self, begun: Sequence[Ringing]) -> None:
        """Sends first, and hands the rows to the store without waiting for it."""
        for ringing in begun:
            self._ringing[ringing.id] = ringing
            if self._closing:
                ringing.interrupt()
            self._spawn(self._ring(ringing))
        for ringing in begun:
            ringing.held = self._inserts.put(ringing, self._patience(ringing))

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ring(self, ringing: Ringing) -> None:
        try:
            result, duration_ms, earlier = await self._try(ringing)
            why = ringing.withdrawn
            if ringing.is_out and why is not None and why != "quietly" and not (ringing.is_told or ringing.withdrawal):
                ringing.is_told = True
                withdrawal = self._withdrawal(ringing, why)
                self._begin([] if withdrawal is None else [withdrawal])
            at = self._clock.now_ms()
            delivery = await ringing.stored()
            ringing.push = ringing.held = None
            if delivery is not None:
                outcome = Outcome(delivery, result, at, duration_ms, tuple(earlier))
                await self._settlements.put(outcome, self._patience(ringing))
        finally:
            self._forget_later(ringing)

    def _forget_later(self, ringing: Ringing) -> None:
        """Until the ring time is over it may be cancelled. All that end within one second share a timer."""
        loop = asyncio.get_running_loop()
        left = max(0.0, self._seconds_left(ringing)) + _TOLD_LATE_SECONDS
        second = math.ceil(loop.time() + left)
        if second not in self._to_forget:
            self._to_forget[second] = []
            loop.call_at(second, self._forget, second)
        self._to_forget[second].append(ringing.id)

    def _forget(self, second: int) -> None:
        for push_id in self._to_forget.pop(second):
            self._ringing.pop(push_id, None)

    async def _try(self, ringing: Ringing) -> tuple[Result, int, list[Earlier]]:
        """Attempts until one counts; returns the last one's result, how long it took, and those before it."""
        earlier: list[Earlier] = []
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            result = await self._attempt(ringing)
            duration_ms = round((time.monotonic() - began) * 1000)
            if not isinstance(result, RetryLater):
                return result, duration_ms, earlier
            if result.pause_seconds is not None:  # nobody puts a credential right while it rings
                return GiveUp(result.reason, note=result.note), duration_ms, earlier
            wait = max(pause, result.after_seconds or 0)
            if not ringing.is_interrupted and wait < self._seconds_left(ringing):
                earlier.append(Earlier(self._clock.now_ms(), result.reason, duration_ms))
                if await ringing.pauses(wait):
                    pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                    continue
                earlier.pop()
            return GiveUp(f"{self._why_over(ringing)}{result.reason}", note=result.note), duration_ms, earlier

    def _why_over(self, ringing: Ringing) -> str:
        if ringing.withdrawn is not None:
            return MAY_HAVE_RUNG if ringing.is_out else NEVER_RANG
        return "the server stopped: " if self._closing else "the ring time is over: "

    async def _attempt(self, ringing: Ringing) -> Result:
        seconds = self._seconds_left(ringing)
        if seconds <= 0:
            return GiveUp("the ring time is over")
        push = ringing.outgoing
        try:
            async with asyncio.timeout(seconds):
                if push.kind == "local" and self._local is not None:
                    # The mailbox is in the store, so here the store is the wire.
                    if await ringing.stored() is None:
                        return GiveUp("the database was away")
                    ringing.is_out = True
                    return await self._local.send(ringing.row)
                reaction = await self._providers[push.kind].send(push)
        except TimeoutError:
            ringing.is_out = True
            return GiveUp("no answer within the ring time")
        except Exception:
            logger.exception("the provider of %s failed on a call", push.kind)
            return RetryLater(BROKEN)
        ringing.is_out = ringing.is_out or reaction.verdict in {Verdict.DELIVERED, Verdict.UNKNOWN}
        return result_of(reaction, push)

    def _seconds_left(self, ringing: Ringing) -> float:
        return (ringing.deadline_at - self._clock.now_ms()) / 1000

    # the store --------------------------------------------------------------------------------------------------------

    def _patience(self, ringing: Ringing) -> float:
        """How many seconds the store may be away."""
        return max(0.0, self._seconds_left(ringing)) + _STORE_PATIENCE_SECONDS

    async def _insert(self, tx: Tx, begun: list[Ringing]) -> list[Delivery]:
        await tx.run_for(queries.insert_pushes, [ringing.row for ringing in begun])
        deliveries = [
            msgspec.structs.replace(delivery_of(ringing.row, ringing.deadline_at), channel=CALL_CHANNEL)
            for ringing in begun
        ]
        last = max(ringing.deadline_at for ringing in begun)
        return await self._outbox.enqueue_held(tx, deliveries, last + _LEASE_AFTER_MS)

    async def _settle(self, tx: Tx, outcomes: list[Outcome]) -> list[None]:
        await self._channel.settled(tx, await self._outbox.settle(tx, outcomes))
        return [None for _ in outcomes]


def _phone_of(token: PushToken) -> tuple[str | None, str | None, str | None, str | None]:
    return token.registration_id, token.device_pkid, token.subscriber_id, token.sip_instance
