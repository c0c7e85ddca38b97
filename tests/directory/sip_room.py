"""The directory of SIP on a database, and somebody who answers its digests."""

from __future__ import annotations

from typing import Any

from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.directory import DigestGuard, Domains, Ha1, NewSubscriber, SipCredentials, Subscribers, Verdict, ha1_of
from ringback.principal import Principal
from ringback.protocols.sip.digest import answer, parse_challenge
from ringback.secrets import Vault
from ringback.store import Store

BY = Principal("cli", "test")
PASSWORD = "correct horse"
REALM = "example.org"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
URI = "sip:example.org"


class NoPushTokens:
    async def forget_subscriber(self, *_: object) -> None: ...

    async def give_subscriber(self, *_: object) -> None: ...


class NoApps:
    async def exists(self, *_: object) -> bool:
        return False


class Room:
    """The directory of SIP on a database, and a guard that a test may begin anew."""

    def __init__(self, store: Store, clock: ManualClock, realm: str = "") -> None:
        random = SystemRandomness()
        self.store, self.clock = store, clock
        self.vault = Vault(bytes(32), bytes(32), random)
        audit = AuditLog(clock=clock, randomness=random)
        self.credentials = SipCredentials(clock=clock, vault=self.vault, audit=audit, realm=realm)
        self.domains = Domains(clock=clock, audit=audit, apps=NoApps())
        self.subscribers = Subscribers(
            clock=clock, randomness=random, audit=audit, credentials=self.credentials, push_tokens=NoPushTokens()
        )
        self.guard = self.new_guard()

    def new_guard(self) -> DigestGuard:
        return DigestGuard(
            store=self.store,
            credentials=self.credentials,
            vault=self.vault,
            clock=self.clock,
            randomness=SystemRandomness(),
            attempts_per_minute=3,
        )

    async def add(self, username: str = "jan", domain: str = REALM, ha1: dict[str, Ha1] | None = None) -> None:
        if await self.store.read(self.domains.find, domain) is None:
            await self.store.write(self.domains.create, BY, domain, ())
        realm = self.credentials.realm_of(domain)
        known = {realm: ha1_of(username, realm, PASSWORD)} if ha1 is None else ha1
        await self.store.write(self.subscribers.create, BY, NewSubscriber(domain, username, f"u-{username}", ha1=known))

    def challenge(self, realm: str = REALM, address: str = HOME, nth: int = 0) -> str:
        return self.guard.challenges(realm, address)[nth]

    async def check(
        self, asked: str, password: str = PASSWORD, *, username: str = "jan", address: str = HOME, **more: Any
    ) -> Verdict:
        fields = {"method": "REGISTER", "uri": URI, "realm": REALM, "domain": REALM, **more}
        count, named = fields.pop("nc", 1), fields.pop("named_uri", fields["uri"])
        told = answer(
            parse_challenge(asked), fields["method"], named, username, password=password, cnonce="0a4f113b", nc=count
        )
        return await self.guard.check(fields.pop("sent", told), address=address, **fields)
