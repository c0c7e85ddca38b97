"""Subscribers: `username@domain`, which phones register as and callers call; each belongs to a user."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.directory import queries_sip as queries
from ringback.directory.model_sip import (
    Callee,
    Preferences,
    StoredBinding,
    Subscriber,
    effective_for,
    read_names,
    write_json,
)
from ringback.errors import DomainNotFound, SubscriberExists, SubscriberNotFound
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.directory.needs import SubscriberPushTokens
    from ringback.directory.sip_credentials import Ha1, SipCredentials
    from ringback.principal import Principal

MOST_BINDINGS = 100


class NewSubscriber(msgspec.Struct, frozen=True):
    """What a subscriber begins with. `ha1`: by realm; a password was turned into it already."""

    domain: str
    username: str
    user_id: str
    display_name: str | None = None
    disabled: bool = False
    ha1: dict[str, Ha1] = {}
    preferences: Preferences = Preferences()


class Subscribers:
    """Subscribers. Methods whose first argument is `tx` are units of work.

    `built_in`: what holds where neither a subscriber nor its domain says anything.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        audit: AuditLog,
        credentials: SipCredentials,
        push_tokens: SubscriberPushTokens,
        built_in: Preferences = Preferences(),  # noqa: B008 - frozen
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._audit = audit
        self._credentials = credentials
        self._push_tokens = push_tokens
        self.built_in = built_in

    # for other rooms --------------------------------------------------------------------------------------------------

    async def callee(self, tx: Tx, username: str, domain: str) -> Callee | None:
        """Unit: whom a caller means and what holds for it, in one query; None = there is no such subscriber."""
        if "\0" in username or "\0" in domain:
            return None
        found = await tx.one(queries.callee, domain.lower(), username)
        if found is None:
            return None
        held = effective_for(self.built_in, found.inherited, found.own)
        return Callee(
            subscriber_id=found.subscriber_id,
            username=username,
            domain=intern(found.domain),
            user_id=found.user_id,
            disabled=found.disabled,
            app_ids=read_names(found.app_ids),
            mobile_push_enable=held.mobile_push_enable,
            mobile_push_expiry=held.mobile_push_expiry,
            prompt=held.prompt,
            prompt_loop=held.prompt_loop,
            decided_by=held.decided_by,
        )

    async def of_user(self, tx: Tx, user_id: str, limit: int = 100) -> list[Subscriber]:
        """Unit: the subscribers that belong to a user, up to `limit`."""
        return await tx.all(queries.subscribers_of_user, user_id, limit)

    # looking ----------------------------------------------------------------------------------------------------------

    async def show(self, tx: Tx, domain: str, username: str) -> Subscriber:
        """Unit: one subscriber. Raises SubscriberNotFound, for an unknown domain too."""
        subscriber = await tx.one(queries.subscriber_by_address, domain.lower(), username)
        if subscriber is None:
            raise SubscriberNotFound
        return subscriber

    async def page(self, tx: Tx, domain: str, after: str, limit: int) -> list[Subscriber]:
        """Unit: subscribers of a domain by name, from the first one after `after`. Raises DomainNotFound."""
        domain = domain.lower()
        if await tx.one(queries.domain_by_name, domain) is None:
            raise DomainNotFound
        return await tx.all(queries.subscribers_after, domain, after, limit)

    async def bindings(self, tx: Tx, domain: str, username: str) -> list[StoredBinding]:
        """Unit: where the subscriber is reached at the moment, the freshest first. Raises SubscriberNotFound."""
        subscriber = await self.show(tx, domain, username)
        found = await tx.all(queries.bindings_of, subscriber.id, self._clock.now_ms(), MOST_BINDINGS)
        return sorted(found, key=lambda binding: (-binding.registered_at, binding.id))

    # changing ---------------------------------------------------------------------------------------------------------

    async def create(self, tx: Tx, principal: Principal, new: NewSubscriber) -> Subscriber:
        """Unit: a new subscriber. Raises DomainNotFound, SubscriberExists.

        UniqueViolation when it was made at the same moment.
        """
        domain = await tx.one(queries.domain_to_use, new.domain.lower())
        if domain is None:
            raise DomainNotFound
        if await tx.one(queries.subscriber_by_address, domain.name, new.username) is not None:
            raise SubscriberExists
        subscriber = Subscriber(
            id=new_id(self._clock, self._randomness),
            domain=domain.name,
            username=new.username,
            user_id=new.user_id,
            display_name=new.display_name,
            disabled=new.disabled,
            preferences=new.preferences,
            created_at=self._clock.now_ms(),
            version=1,
        )
        values = msgspec.structs.asdict(subscriber) | {"preferences": write_json(new.preferences)}
        await tx.run(queries.insert_subscriber, *values.values())
        for realm, ha1 in new.ha1.items():
            await self._credentials.keep(tx, subscriber, ha1, realm)
        details = {"disabled": new.disabled, "realms": sorted(new.ha1)}
        await self._record(tx, principal, "subscriber.create", subscriber, details)
        return subscriber

    async def change(
        self, tx: Tx, principal: Principal, domain: str, username: str, said: dict[str, Any]
    ) -> Subscriber:
        """Unit: another `user_id` or `display_name`, or whether it is `disabled`; what is not said stays.

        Raises SubscriberNotFound.
        """
        before = await self._take(tx, domain, username)
        after = msgspec.structs.replace(before, **said)
        if after == before:
            return before
        changed = await self._save(tx, before, after)
        if after.user_id != before.user_id:
            await self._push_tokens.give_subscriber(tx, before.id, after.user_id)
            await self._record(tx, principal, "subscriber.give", after, {"before": before.user_id})
        if after.disabled is not before.disabled:
            await self._record(tx, principal, "subscriber.disable" if after.disabled else "subscriber.enable", after)
        if after.display_name != before.display_name:
            await self._record(tx, principal, "subscriber.rename", after)
        return changed

    async def set_preferences(
        self,
        tx: Tx,
        principal: Principal,
        domain: str,
        username: str,
        said: dict[str, Any],
        whole: bool,  # noqa: FBT001 - units take their arguments by position
    ) -> Subscriber:
        """Unit: what the subscriber says itself; None = what its domain says. `whole`: so is what is not said.

        Raises SubscriberNotFound.
        """
        subscriber = await self._take(tx, domain, username)
        wanted = msgspec.structs.replace(Preferences() if whole else subscriber.preferences, **said)
        if wanted == subscriber.preferences:
            return subscriber
        changed = await self._save(tx, subscriber, msgspec.structs.replace(subscriber, preferences=wanted))
        details = {"preferences": msgspec.to_builtins(wanted)}
        await self._record(tx, principal, "subscriber.set_preferences", subscriber, details)
        return changed

    async def unbind(self, tx: Tx, principal: Principal, domain: str, username: str) -> int:
        """Unit: the subscriber is reached nowhere until a phone registers; returns how many bindings there were.

        Push tokens stay, so that calls still wake its phones. Raises SubscriberNotFound.
        """
        subscriber = await self._take(tx, domain, username)
        gone = len(await tx.all(queries.delete_bindings, subscriber.id))
        if gone:
            await self._record(tx, principal, "subscriber.unbind", subscriber, {"bindings": gone})
        return gone

    async def delete(self, tx: Tx, principal: Principal, domain: str, username: str) -> None:
        """Unit: forgets a subscriber with its credentials, its bindings and the push tokens that came with them.

        Raises SubscriberNotFound.
        """
        subscriber = await self._take(tx, domain, username)
        await tx.all(queries.delete_bindings, subscriber.id)
        await tx.run(queries.delete_credentials, subscriber.id)
        await self._push_tokens.forget_subscriber(tx, subscriber.id)
        await tx.run(queries.delete_subscriber, subscriber.id, subscriber.version)
        await self._record(tx, principal, "subscriber.delete", subscriber)

    # inside -----------------------------------------------------------------------------------------------------------

    async def _take(self, tx: Tx, domain: str, username: str) -> Subscriber:
        subscriber = await tx.one(queries.subscriber_to_change, domain.lower(), username)
        if subscriber is None:
            raise SubscriberNotFound
        return subscriber

    async def _save(self, tx: Tx, before: Subscriber, after: Subscriber) -> Subscriber:
        values = (after.user_id, after.display_name, after.disabled, write_json(after.preferences))
        await tx.run(queries.save_subscriber, before.id, before.version, *values)
        return msgspec.structs.replace(after, version=before.version + 1)

    async def _record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        subscriber: Subscriber,
        details: dict[str, Any] | None = None,
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="subscriber",
            subject_id=subscriber.address,
            user_id=subscriber.user_id,
            details=details,
        )
