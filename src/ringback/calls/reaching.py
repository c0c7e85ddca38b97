"""Whom a call can reach: the subscriber, and one push token for each of its phones. Read in one unit.

So is what the phones ring with already, when the same call came before: to another process, or before a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls import queries
from ringback.calls.live_call import clean
from ringback.calls.model import Considered, Reach
from ringback.messages import ends_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.calls.needs import Callees, CallLane, TokensOfUser
    from ringback.clock import Clock
    from ringback.directory import Callee
    from ringback.push import PushToken
    from ringback.store import Store, Tx

_BEST_FIRST = {"apns-voip": 0, "fcm": 1, "webpush": 2, "local": 3}
_ALERT = "apns"


class Reaching:
    """Reads it."""

    def __init__(
        self, *, store: Store, clock: Clock, callees: Callees, push_tokens: TokensOfUser, lane: CallLane
    ) -> None:
        self._store = store
        self._clock = clock
        self._callees = callees
        self._push_tokens = push_tokens
        self._lane = lane

    async def reach(self, username: str, domain: str, sip_call_id: str) -> Reach | None:
        """Whom this call to `username@domain` can reach; None when there is no such subscriber."""
        return await self._store.read(self.read, username, domain, sip_call_id)

    async def read(self, tx: Tx, username: str, domain: str, sip_call_id: str) -> Reach | None:
        """The unit."""
        callee = await self._callees.callee(tx, username, domain)
        if callee is None:
            return None
        reach = self._choose(callee, await self._push_tokens.of_user(tx, callee.user_id))
        if not reach.targets:
            return reach
        name = clean(sip_call_id), clean(f"{username}@{domain}")
        earlier = await tx.all(queries.earlier_pushes, *name, self._clock.now_ms())
        return msgspec.structs.replace(reach, earlier=tuple(earlier)) if earlier else reach

    def _choose(self, callee: Callee, tokens: Sequence[PushToken]) -> Reach:
        """One push token for each phone, of the kind that wakes it best, and why not the others."""
        chosen: dict[str, PushToken] = {}
        considered: list[Considered] = []
        alerts: list[PushToken] = []
        for one in sorted(tokens, key=_preference):
            reason = _not_allowed(callee, one)
            if reason is None and one.kind == _ALERT:
                alerts.append(one)
                reason = "it can show something, but not ring; a call needs a push token of PushKit (apns-voip)"
            elif reason is None:
                reason = self._not_needed(one, chosen)
            if reason is None:
                chosen[_phone_of(one)] = one
            considered.append(_considered(one, reason))
        return Reach(callee, tuple(chosen.values()), tuple(alerts), tuple(considered))

    def _not_needed(self, token: PushToken, chosen: dict[str, PushToken]) -> str | None:
        if not self._lane.can_ring(token):
            return f"calls cannot be pushed to {token.kind}"
        better = chosen.get(_phone_of(token))
        if better is not None:
            return f"the same phone is woken by {better.kind}"
        known = any(one.push_token == token.push_token and one.kind == token.kind for one in chosen.values())
        return "the same push token is used in another app" if known else None


def _not_allowed(callee: Callee, token: PushToken) -> str | None:
    if callee.app_ids and token.app_id not in callee.app_ids:
        return f"the domain {callee.domain} does not ring this app"
    if token.subscriber_id is not None and token.subscriber_id != callee.subscriber_id:
        return "the phone has registered as another subscriber"
    if token.suspended:
        return "the registration is blocked" if token.registration_id is not None else "the user is disabled"
    return None


def _preference(token: PushToken) -> tuple[int, int, str]:
    """Best kind first; of one kind what was told last."""
    return _BEST_FIRST.get(token.kind, len(_BEST_FIRST)), -token.registered_at, token.id


def _phone_of(token: PushToken) -> str:
    """A name for the phone that a push token is of."""
    if token.registration_id is not None:
        return f"registration {token.registration_id}"
    if token.device_pkid is not None:
        return f"device {token.device_pkid}"
    return f"instance {token.sip_instance}" if token.sip_instance else f"push token {token.id}"


def _considered(token: PushToken, reason: str | None) -> Considered:
    return Considered(
        app_id=token.app_id,
        used=reason is None,
        push_token_id=token.id,
        kind=token.kind,
        push_token=ends_of(token.push_token),
        reason=reason,
        registration_id=token.registration_id,
        device_pkid=token.device_pkid,
        sip_instance=token.sip_instance,
        environment=token.environment,
    )
