"""SIP credentials: HA1 of RFC 7616 for each realm, sealed; the password itself is nowhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock
from ringback.directory import queries_sip as queries
from ringback.directory.model_sip import CredentialNote, StoredCredential, Subscriber, SubscriberCredential
from ringback.errors import SipCredentialNotFound, SubscriberNotFound
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.principal import Principal
    from ringback.secrets import Vault


class Ha1(msgspec.Struct, frozen=True):
    """What is kept in the place of a password, as bytes; None = not for this algorithm."""

    md5: bytes | None
    sha256: bytes | None

    def __repr__(self) -> str:
        return "Ha1(not shown)"


class SipCredentials:
    """What proves subscribers. Methods whose first argument is `tx` are units of work.

    `realm`: the one that all domains share; empty = each domain is its own realm.
    """

    def __init__(self, *, clock: Clock, vault: Vault, audit: AuditLog, realm: str = "") -> None:
        self._clock = clock
        self._vault = vault
        self._audit = audit
        self.shared_realm = realm

    def realm_of(self, domain: str) -> str:
        """The realm that a subscriber of this domain is asked for."""
        return self.shared_realm or domain.lower()

    # for other rooms --------------------------------------------------------------------------------------------------

    async def of(self, tx: Tx, username: str, domain: str, realm: str) -> SubscriberCredential | None:
        """Unit: what proves a subscriber in a realm, or None. The caller looks whether it is `disabled`."""
        if "\0" in username or "\0" in realm:
            return None
        stored = await tx.one(queries.credential_of, domain.lower(), username, realm)
        return None if stored is None else self._opened(stored)

    async def in_realm(self, tx: Tx, username: str, realm: str) -> SubscriberCredential | None:
        """Unit: likewise without knowing the domain; None as well when subscribers of two domains share the name."""
        if not self.shared_realm or realm != self.shared_realm:
            return await self.of(tx, username, realm, realm)
        if "\0" in username:
            return None
        found = await tx.all(queries.credentials_in_realm, username, realm)
        return self._opened(found[0]) if len(found) == 1 else None

    # looking ----------------------------------------------------------------------------------------------------------

    async def notes(self, tx: Tx, subscriber_id: str) -> list[CredentialNote]:
        """Unit: for which realms and algorithms there is something."""
        return await tx.all(queries.credential_notes, subscriber_id)

    # changing ---------------------------------------------------------------------------------------------------------

    async def set_password(
        self, tx: Tx, principal: Principal, domain: str, username: str, password: str, realm: str | None
    ) -> Subscriber:
        """Unit: another password; the old one is worth nothing from now on. Raises SubscriberNotFound.

        `realm`: for this one alone; None = for every realm that the subscriber has something for, and for its own.
        """
        subscriber = await self._take(tx, domain, username)
        realms = {realm} if realm else {note.realm for note in await self.notes(tx, subscriber.id)}
        if not realm:
            realms.add(self.realm_of(subscriber.domain))
        for one in sorted(realms):
            await self._save(tx, subscriber, one, ha1_of(username, one, password))
        await self._record(tx, principal, "subscriber.set_password", subscriber, sorted(realms))
        return subscriber

    async def set_ha1(
        self, tx: Tx, principal: Principal, domain: str, username: str, ha1: Ha1, realm: str | None
    ) -> Subscriber:
        """Unit: HA1 made elsewhere, in the place of all that the realm had. Raises SubscriberNotFound."""
        subscriber = await self._take(tx, domain, username)
        realm = realm or self.realm_of(subscriber.domain)
        await self._save(tx, subscriber, realm, ha1)
        await self._record(tx, principal, "subscriber.set_ha1", subscriber, [realm])
        return subscriber

    async def keep(self, tx: Tx, subscriber: Subscriber, ha1: Ha1, realm: str) -> None:
        """Unit: the first credential of a subscriber that was made in this unit; its audit row tells of it."""
        await self._save(tx, subscriber, realm, ha1)

    async def forget(self, tx: Tx, principal: Principal, domain: str, username: str, realm: str | None) -> None:
        """Unit: nothing proves the subscriber any more, in one realm or in all.

        Raises SubscriberNotFound, SipCredentialNotFound.
        """
        subscriber = await self._take(tx, domain, username)
        realms = [note.realm for note in await self.notes(tx, subscriber.id) if realm in (None, note.realm)]
        if not realms:
            raise SipCredentialNotFound
        for one in realms:
            await tx.run(queries.delete_credential, subscriber.id, one)
        await self._record(tx, principal, "subscriber.forget_password", subscriber, realms)

    # inside -----------------------------------------------------------------------------------------------------------

    async def _take(self, tx: Tx, domain: str, username: str) -> Subscriber:
        subscriber = await tx.one(queries.subscriber_to_change, domain.lower(), username)
        if subscriber is None:
            raise SubscriberNotFound
        return subscriber

    async def _save(self, tx: Tx, subscriber: Subscriber, realm: str, ha1: Ha1) -> None:
        sealed = (
            None if value is None else self._vault.seal(value, _identity(subscriber.id, realm, name))
            for name, value in (("MD5", ha1.md5), ("SHA-256", ha1.sha256))
        )
        await tx.run(queries.save_credential, subscriber.id, realm, *sealed, self._clock.now_ms())

    def _opened(self, stored: StoredCredential) -> SubscriberCredential:
        ha1 = {
            name: self._vault.unseal(sealed, _identity(stored.subscriber_id, stored.realm, name)).hex()
            for name, sealed in (("MD5", stored.ha1_md5_sealed), ("SHA-256", stored.ha1_sha256_sealed))
            if sealed is not None
        }
        return SubscriberCredential(
            stored.subscriber_id,
            stored.username,
            stored.domain,
            stored.user_id,
            stored.disabled,
            stored.realm,
            ha1,
        )

    async def _record(
        self, tx: Tx, principal: Principal, action: str, subscriber: Subscriber, realms: list[str]
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="subscriber",
            subject_id=subscriber.address,
            user_id=subscriber.user_id,
            details={"realms": realms},
        )


def ha1_of(username: str, realm: str, password: str) -> Ha1:
    """RFC 7616 §3.4.2, for both algorithms."""
    text = f"{username}:{realm}:{password}".encode()
    return Ha1(hashlib.md5(text, usedforsecurity=False).digest(), hashlib.sha256(text).digest())


def _identity(subscriber_id: str, realm: str, algorithm: str) -> str:
    return f"sip_credential:{subscriber_id}:{realm}:{algorithm}"
