"""What we show to a provider to say who we are: an APNs provider token, an OAuth access token. One for all processes.

Apple refuses a key that shows a new provider token more often than every 20 minutes, so it must not be each process, or
each app with the same key, that makes its own. The newest lies sealed in the table `provider_tokens` under a
fingerprint of the key, and whoever finds it too old makes the next one; of two who do so at once, one wins and the
other takes the winner's. It is made outside of units of work, and once however many ask.

Sources: Apple, "Establishing a token-based connection to APNs"; RFC 7519; RFC 7523.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from ringback.clock import Clock, Randomness
from ringback.errors import RingbackError, SealBroken, UniqueViolation
from ringback.push import queries_provider_tokens as queries
from ringback.push.credentials import ApnsTokenKey
from ringback.push.queries_provider_tokens import ProviderTokenRow
from ringback.store import Store, Tx

if TYPE_CHECKING:
    from ringback.secrets import Vault

APNS_LIFE_MS = 3_600_000
APNS_LEAST_MS = 1_200_000
"""APNs takes a provider token for an hour, and a new one after 20 minutes at the earliest."""
JITTER = 0.05
CLOCKS_APART_MS = 300_000
"""So far the clocks of two machines may be apart; what was issued later than that was issued by a wrong clock."""
PAUSE_MS = 5_000
KEPT_MS = 86_400_000


class Shown(msgspec.Struct, frozen=True):
    """What a provider is shown, and for how long; Unix milliseconds."""

    value: str
    issued_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Without the value."""
        return "Shown()"


class Refusal(Exception):
    """There is nothing to show, since the provider does not take the key. `reason` is for people."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Unavailable(Exception):
    """There is nothing to show now; there may be later."""

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


Make = Callable[[], Awaitable[Shown]]
"""Makes the next one. Raises Refusal and Unavailable."""


class _Entry:
    """What this process knows of one key."""

    def __init__(self) -> None:
        self.shown: Shown | None = None
        self.renew_at = 0
        self.task: asyncio.Task[None] | None = None
        self.failure: Refusal | Unavailable | RingbackError | None = None
        self.failed_at: int | None = None


class ProviderTokens:
    """Keeps them. `name` is that of `name_of`, the key's own; `share` says after what part of its life one is old."""

    def __init__(self, *, store: Store, vault: Vault, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._randomness = randomness
        self._entries: dict[str, _Entry] = {}

    def name_of(self, kind: str, owner: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
        """The name of a key: the same for all who have this key, and different for those who only know its id."""
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{kind}:{self._vault.fingerprint(owner.encode() + b'|' + public, 'provider token').hex()}"

    async def get(self, name: str, make: Make, *, share: float) -> Shown:
        """What to show now. An old one that still holds is shown while the next is made.

        Raises Refusal, Unavailable and StoreUnavailable.
        """
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
        now = self._clock.now_ms()
        holds = entry.shown is not None and self._holds(entry.shown, now)
        if holds and now < entry.renew_at and entry.shown is not None:
            return entry.shown
        if entry.task is None and self._may_try(entry, now):
            self._start(name, entry, make, share, None)
        if holds and entry.shown is not None:
            return entry.shown
        if entry.task is not None:
            await asyncio.shield(entry.task)
        return self._of(entry)

    async def renew(self, name: str, make: Make, *, share: float, refused: Shown, least_ms: int) -> Shown | None:
        """The one after `refused`, which the provider called expired: the newest there is, or a new one.

        None when `refused` is younger than `least_ms`, so that another one would help as little. Raises as `get` does.
        """
        entry = self._entries.setdefault(name, _Entry())
        if (task := entry.task) is not None:
            await asyncio.shield(task)
        if entry.shown is not None and entry.shown.value != refused.value:
            return entry.shown
        if abs(self._clock.now_ms() - refused.issued_at) < least_ms:
            return None
        task = entry.task or self._start(name, entry, make, share, refused)
        await asyncio.shield(task)
        return self._of(entry)

    async def close(self) -> None:
        """Gives up what is being made."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` that ran out a day ago; returns how many."""
        return len(await tx.all(queries.purge_provider_tokens, self._clock.now_ms() - KEPT_MS, limit))

    def _holds(self, shown: Shown, now: int) -> bool:
        return shown.issued_at - CLOCKS_APART_MS <= now < shown.expires_at

    def _is_better(self, stored: Shown, share: float, refused: Shown | None) -> bool:
        """Whether a stored one is so new, or so different from the one that was refused, that no new one is needed."""
        now = self._clock.now_ms()
        if refused is not None:
            return self._holds(stored, now) and stored.value != refused.value
        old_at = stored.issued_at + (stored.expires_at - stored.issued_at) * (share - JITTER)
        return self._holds(stored, now) and now < old_at

    @staticmethod
    def _may_try(entry: _Entry, now: int) -> bool:
        return entry.failed_at is None or not 0 <= now - entry.failed_at < PAUSE_MS

    def _of(self, entry: _Entry) -> Shown:
        if entry.shown is not None and self._holds(entry.shown, self._clock.now_ms()):
            return entry.shown
        raise (entry.failure or Unavailable("nothing to show to the provider")).with_traceback(None)

    # making, once at a time for each key

    def _start(self, name: str, entry: _Entry, make: Make, share: float, refused: Shown | None) -> asyncio.Task[None]:
        entry.task = asyncio.create_task(self._run(name, entry, make, share, refused))
        return entry.task

    async def _run(self, name: str, entry: _Entry, make: Make, share: float, refused: Shown | None) -> None:
        try:
            shown = await self._next(name, make, share, refused)
        except (Refusal, Unavailable, RingbackError) as error:
            entry.failure, entry.failed_at = error, self._clock.now_ms()
            if refused is not None:
                entry.shown = None
        else:
            entry.failure = entry.failed_at = None
            entry.shown = shown
            life = shown.expires_at - shown.issued_at
            at_random = int.from_bytes(self._randomness.bytes(2), "big") / 65_535
            entry.renew_at = shown.issued_at + round(life * (share - JITTER + 2 * JITTER * at_random))
        finally:
            entry.task = None

    async def _next(self, name: str, make: Make, share: float, refused: Shown | None) -> Shown:
        """The stored one, if it is new enough; else one that is made now and stored, or somebody else's."""
        row = await self._store.read(_read, name)
        stored = None if row is None else self._open(row)
        if stored is not None and self._is_better(stored, share, refused):
            return stored
        made = await make()
        sealed = self._vault.seal(made.value.encode(), _identity(name))
        seen = 0 if row is None else row.version
        try:
            other = await self._store.write(_keep, name, sealed, made, seen)
        except UniqueViolation:
            other = await self._store.read(_read, name)
        opened = None if other is None else self._open(other)
        if opened is None or not self._holds(opened, self._clock.now_ms()):
            return made
        return opened

    def _open(self, row: ProviderTokenRow) -> Shown | None:
        try:
            value = self._vault.unseal(row.value_sealed, _identity(row.credential_id)).decode()
        except SealBroken:
            return None
        return Shown(value, row.issued_at, row.expires_at)


class ApnsTokens:
    """Provider tokens of APNs keys: JWTs that are shown for three quarters of an hour."""

    SHARE = 0.75

    def __init__(self, tokens: ProviderTokens, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self._names: dict[str, str] = {}

    async def get(self, credential_id: str, key: ApnsTokenKey) -> Shown:
        """The one to show now."""
        return await self._tokens.get(self._name(credential_id, key), self._maker(key), share=self.SHARE)

    async def renew(self, credential_id: str, key: ApnsTokenKey, refused: Shown) -> Shown | None:
        """The one after one that APNs calls too old; None when it is so young that a clock must be wrong."""
        name = self._name(credential_id, key)
        return await self._tokens.renew(
            name, self._maker(key), share=self.SHARE, refused=refused, least_ms=APNS_LEAST_MS
        )

    def _name(self, credential_id: str, key: ApnsTokenKey) -> str:
        if credential_id not in self._names:
            if len(self._names) >= 10_000:  # noqa: PLR2004 - never more than so many
                self._names.clear()
            self._names[credential_id] = self._tokens.name_of("apns", f"{key.team_id}/{key.key_id}", key.signing_key)
        return self._names[credential_id]

    def _maker(self, key: ApnsTokenKey) -> Make:
        async def make() -> Shown:
            now_s = self._clock.now_ms() // 1000
            value = jwt.encode(
                {"alg": "ES256", "kid": key.key_id},
                {"iss": key.team_id, "iat": now_s},
                ECKey.import_key(key.private_key),
            )
            return Shown(value, now_s * 1000, now_s * 1000 + APNS_LIFE_MS)

        return make


async def _read(tx: Tx, name: str) -> ProviderTokenRow | None:
    return await tx.one(queries.provider_token, name)


async def _keep(tx: Tx, name: str, sealed: bytes, made: Shown, seen: int) -> ProviderTokenRow | None:
    """Stores what was made, unless somebody else has stored another one since; returns that one."""
    row = await tx.one(queries.provider_token, name)
    if row is not None and row.version != seen:
        return row
    if row is None:
        await tx.run(queries.insert_provider_token, name, sealed, made.issued_at, made.expires_at, 1)
    else:
        await tx.run(queries.replace_provider_token, name, sealed, made.issued_at, made.expires_at, seen)
    return None


def _identity(name: str) -> str:
    return f"provider_token:{name}"
