"""The bindings of subscribers: changed by REGISTER, asked by INVITE, forgotten when their time is over.

A phone may register every minute, so a REGISTER leaves no audit row; a binding tells itself who made it, from where
and when. Sources: RFC 3261 §10.3 (steps 6 to 8), RFC 5626 §4.2 and §6 (`+sip.instance`), RFC 8599 §4.1.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from ringback.calls import queries_bindings as queries
from ringback.calls.model_bindings import (
    MOST_BINDINGS,
    Binding,
    Registered,
    Registering,
    WantedBinding,
)
from ringback.clock import Clock, Randomness, new_id
from ringback.protocols.sip.uri import same_text
from ringback.push import TokenOwner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.calls.needs_bindings import BindingPushTokens
    from ringback.store import Tx

_KEPT_AFTER_MS = 10_000
"""A binding that is over is kept a little, for a REGISTER that is under way."""


class Bindings:
    """Methods whose first argument is `tx` are units of work.

    Two phones that claim one contact at the same moment end in UniqueViolation for one of them, which is then to be run
    again.
    """

    def __init__(self, *, clock: Clock, randomness: Randomness, push_tokens: BindingPushTokens) -> None:
        self._clock = clock
        self._randomness = randomness
        self._push_tokens = push_tokens

    async def of(self, tx: Tx, subscriber_id: str) -> list[Binding]:
        """Unit: the bindings that count now, newest first."""
        now = self._clock.now_ms()
        found = await tx.all(queries.bindings_of_subscriber, subscriber_id)
        return _newest_first([binding for binding in found if binding.expires_at > now], now)

    async def register(self, tx: Tx, registering: Registering) -> Registered:
        """Unit: what a REGISTER wants, all of it or nothing.

        "out of order": it is older than what one of its bindings was made by (the same Call-ID, a lower CSeq). With the
        same CSeq it is the same REGISTER again, whose answer was lost, over a restart for instance: nothing changes.
        """
        now = self._clock.now_ms()
        stored = await tx.all(queries.bindings_to_change, registering.subscriber_id)
        alive = [binding for binding in stored if binding.expires_at > now]
        plan = _Plan(stored, alive)
        for wanted in _wanted(registering, alive):
            found = plan.find(wanted)
            if any(_is_newer(binding, registering) for binding in found):
                return Registered(refusal="out of order")
            if any(_is_repeated(binding, registering) for binding in found):
                continue
            plan.replace(found, wanted)
        if not plan.changes:
            return Registered(tuple(_newest_first(alive, now)))
        token_ids = [await self._push_token(tx, registering, wanted) for wanted, _ in plan.to_save]
        for binding in plan.to_delete:
            await tx.run(queries.delete_binding, binding.id, binding.version)
        for (wanted, before), token_id in zip(plan.to_save, token_ids, strict=True):
            plan.alive.append(await self._save(tx, registering, wanted, before, token_id, now))
        return Registered(tuple(await self._without_the_oldest(tx, plan.alive, now)))

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` bindings that are over; their push tokens stay."""
        return len(await tx.all(queries.purge_bindings, self._clock.now_ms() - _KEPT_AFTER_MS, limit))

    async def _push_token(self, tx: Tx, registering: Registering, wanted: WantedBinding) -> str | None:
        """Stores what the phone can be woken with; returns the id of the push token that wakes it best."""
        first = None
        for push in wanted.pushes:
            owner = TokenOwner(
                push.app_id,
                registering.user_id,
                subscriber_id=registering.subscriber_id,
                sip_instance=wanted.instance or _instance_of(push.push_token),
            )
            stored = await self._push_tokens.register_for_binding(tx, owner, push.kind, push.push_token)
            first = first or stored.id
        return first

    async def _save(
        self,
        tx: Tx,
        registering: Registering,
        wanted: WantedBinding,
        before: Binding | None,
        push_token_id: str | None,
        now: int,
    ) -> Binding:
        binding = Binding(
            id=new_id(self._clock, self._randomness) if before is None else before.id,
            subscriber_id=registering.subscriber_id,
            contact=wanted.contact,
            instance=wanted.instance,
            reg_id=wanted.reg_id,
            q=wanted.q,
            call_id=registering.call_id,
            cseq=registering.cseq,
            user_agent=registering.user_agent,
            source=registering.source,
            push_token_id=push_token_id,
            registered_at=now,
            expires_at=now + wanted.expires_seconds * 1000,
            refresh_pushed_at=None,
            version=1 if before is None else before.version + 1,
        )
        if before is None:
            await tx.run(queries.insert_binding, *msgspec.structs.astuple(binding))
        else:
            await tx.run(
                queries.save_binding,
                binding.id,
                before.version,
                binding.contact,
                binding.instance,
                binding.reg_id,
                binding.q,
                binding.call_id,
                binding.cseq,
                binding.user_agent,
                binding.source,
                binding.push_token_id,
                binding.registered_at,
                binding.expires_at,
            )
        return binding

    async def _without_the_oldest(self, tx: Tx, alive: list[Binding], now: int) -> list[Binding]:
        """No more than MOST_BINDINGS: a phone that lost its address again and again shuts nobody out."""
        ordered = _newest_first(alive, now)
        for binding in ordered[MOST_BINDINGS:]:
            # One that this very unit has saved is never among them: a REGISTER has at most MOST_BINDINGS contacts.
            await tx.run(queries.delete_binding, binding.id, binding.version)
        return ordered[:MOST_BINDINGS]


class _Plan:
    """Which rows a REGISTER takes away, and which it writes in the place of which."""

    def __init__(self, stored: Sequence[Binding], alive: Sequence[Binding]) -> None:
        self._stored = list(stored)
        self.alive = list(alive)
        self.to_delete: list[Binding] = []
        self.to_save: list[tuple[WantedBinding, Binding | None]] = []

    @property
    def changes(self) -> bool:
        return bool(self.to_delete or self.to_save)

    def find(self, wanted: WantedBinding) -> list[Binding]:
        """The rows that this contact is about: of the same contact (§10.3, step 7) first, then of the same instance."""
        same_contact = [one for one in self._stored if same_text(one.contact, wanted.contact)]
        same_instance = [
            one
            for one in self._stored
            if one not in same_contact
            and wanted.instance is not None
            and (one.instance, one.reg_id) == (wanted.instance, wanted.reg_id)
        ]
        return same_contact + same_instance

    def replace(self, found: list[Binding], wanted: WantedBinding) -> None:
        """Writes the contact in the place of the first row, and takes the other rows away."""
        for binding in found:
            self._stored.remove(binding)
            if binding in self.alive:
                self.alive.remove(binding)
        if wanted.expires_seconds > 0:
            self.to_save.append((wanted, found[0] if found else None))
            found = found[1:]
        self.to_delete += found


def _wanted(registering: Registering, alive: Sequence[Binding]) -> Sequence[WantedBinding]:
    if not registering.remove_all:
        return registering.wanted
    return [WantedBinding(one.contact, one.instance, one.reg_id, one.q, 0) for one in alive]


def _is_newer(binding: Binding, registering: Registering) -> bool:
    return binding.call_id == registering.call_id and binding.cseq > registering.cseq


def _is_repeated(binding: Binding, registering: Registering) -> bool:
    return (binding.call_id, binding.cseq) == (registering.call_id, registering.cseq)


def _newest_first(bindings: list[Binding], now: int) -> list[Binding]:
    # What seems to come from the future was registered before the clock was set back: it is older than all others.
    return sorted(bindings, key=lambda one: (one.registered_at <= now, one.registered_at, one.id), reverse=True)


def _instance_of(push_token: str) -> str:
    """A name for a phone that has none: as good as its push token."""
    return "push-token:" + hashlib.sha256(push_token.encode()).hexdigest()[:32]
