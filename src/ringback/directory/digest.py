"""Digest access authentication of subscribers (RFC 7616, RFC 8760), the same for SIP and for HTTP."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

import msgspec

from ringback.attempts import AttemptLimiter
from ringback.clock import Clock, Randomness
from ringback.directory.model_sip import ALGORITHMS, SubscriberCredential
from ringback.protocols.sip.digest import Authorization, challenge, parse_authorization, verify
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import same_text

if TYPE_CHECKING:
    from ringback.directory.sip_credentials import SipCredentials
    from ringback.secrets import Vault
    from ringback.store import Store

NONCE_MS = 300_000
"""So long may a nonce be used; then a client is given another one, and answers again by itself."""
MAX_USES = 100_000
"""So many nonces are remembered with their counts. Beyond that the oldest ones are not taken any more."""
REMEMBERED_ADDRESSES = 10_000
LONGEST = 4096
LONGEST_NAME = 255
WINDOW = 64
"""Counts (nc) may overtake each other by so many."""
_TIME, _SALT, _ADDRESS, _MAC = 6, 8, 4, 14

Outcome = Literal["proven", "challenge", "stale", "exhausted"]


class Verdict(msgspec.Struct, frozen=True):
    """What an Authorization header field is worth.

    outcome: `proven` (then `credential` says who); `challenge`: nothing proves the sender; `stale`: likewise, but a
    new nonce may help without asking the person; `exhausted`: too many wrong answers came, this was not looked at.
    challenges: values of WWW-Authenticate for the refusal; none when proven or exhausted.
    """

    outcome: Outcome
    credential: SubscriberCredential | None = None
    challenges: tuple[str, ...] = ()


class DigestGuard:
    """Makes nonces and judges answers to them; nothing is stored for a nonce before it was answered rightly.

    A nonce is the time, some salt and where it was sent, under a key that all processes share: it counts in each of
    them. Each of its counts (nc) counts once in this process, and none that was made before the process began: so an
    answer that somebody overheard cannot be sent again here. Another process would take it, for five minutes.

    Unknown and disabled subscribers are answered as wrong passwords are, after the same work. Wrong answers are counted
    for the address, when the nonce had been sent there (the source of a datagram can be forged), and for the
    subscriber; where a subscriber was proven last, it is listened to even while strangers guess.

    A wrong answer with SHA-256 is asked for MD5 next, where MD5 is asked for at all: the operator may have nothing
    else, whoever it is.
    """

    def __init__(
        self,
        *,
        store: Store,
        credentials: SipCredentials,
        vault: Vault,
        clock: Clock,
        randomness: Randomness,
        attempts_per_minute: int,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._vault = vault
        self._clock = clock
        self._randomness = randomness
        self._uses: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._oldest = clock.now_ms()
        self._proven_at: OrderedDict[str, str] = OrderedDict()
        self._of_addresses = AttemptLimiter(clock=clock, per_minute=attempts_per_minute)
        self._of_subscribers = AttemptLimiter(clock=clock, per_minute=attempts_per_minute)
        nobody = randomness.bytes(32)
        self._nobody = {"MD5": nobody[:16].hex(), "SHA-256": nobody.hex()}
        self._nobody_sealed = vault.seal(nobody, "digest:nobody")

    # asking -----------------------------------------------------------------------------------------------------------

    def challenges(
        self, realm: str, address: str, *, stale: bool = False, algorithms: tuple[str, ...] = ALGORITHMS
    ) -> tuple[str, ...]:
        """Values of WWW-Authenticate, the best algorithm first; all have one nonce."""
        nonce = self._new_nonce(realm, address)
        return tuple(challenge(realm, nonce, algorithm, stale=stale, opaque=None) for algorithm in algorithms)

    # judging ----------------------------------------------------------------------------------------------------------

    async def check(
        self,
        authorization: str,
        *,
        method: str,
        uri: str,
        realm: str,
        address: str,
        domain: str | None = None,
        algorithms: tuple[str, ...] = ALGORITHMS,
    ) -> Verdict:
        """Judges the value of an Authorization header field (`Digest …`).

        `uri`: what is asked for. `domain`: the domain that the user name belongs to; None = the realm tells.
        `algorithms`: those that are asked for, the best first; an answer with another one is not looked at.
        """
        given = _read(authorization, algorithms)
        if given is None or given.realm != realm or not same_text(given.uri, uri):
            return Verdict("challenge", challenges=self.challenges(realm, address, algorithms=algorithms))
        algorithm = given.algorithm.upper()
        nonce = self._open_nonce(given.nonce, realm)
        if nonce is None:
            return self._stale(realm, address, algorithm)
        subscriber = f"{given.username}@{(domain or realm).lower()}"
        credential = None
        if not self._is_exhausted(subscriber, address):
            credential = await self._look_up(given.username, realm, domain)
        # Once more: of many guesses that came at the same moment only a few get as far as here unnoticed.
        if self._is_exhausted(subscriber, address):
            return Verdict("exhausted")
        if not self._is_right(given, method, algorithm, credential):
            if credential is None or algorithm in credential.ha1:
                self._count_failure(subscriber, address, sent_there=nonce[14:18] == self._hint(address))
            credential = None
        if credential is None or credential.disabled:
            return self._refused(realm, address, algorithm, algorithms)
        return self._first_time(credential, nonce, given, subscriber, address)

    async def _look_up(self, username: str, realm: str, domain: str | None) -> SubscriberCredential | None:
        if domain is None:
            found = await self._store.read(self._credentials.in_realm, username, realm)
        else:
            found = await self._store.read(self._credentials.of, username, domain, realm)
        if found is None:
            for _ in ALGORITHMS:  # what a known one costs
                self._vault.unseal(self._nobody_sealed, "digest:nobody")
        return found

    def _is_right(
        self, given: Authorization, method: str, algorithm: str, credential: SubscriberCredential | None
    ) -> bool:
        ha1 = None if credential is None else credential.ha1.get(algorithm)
        matches = verify(given, method, ha1 or self._nobody[algorithm])
        return matches and ha1 is not None

    def _first_time(
        self, credential: SubscriberCredential, nonce: bytes, given: Authorization, subscriber: str, address: str
    ) -> Verdict:
        """The verdict on a right answer, which counts once."""
        if not self._is_first_use(nonce, int(given.nc or "0", 16)):
            return self._stale(given.realm, address, given.algorithm.upper())
        self._proven_at[subscriber] = address
        self._proven_at.move_to_end(subscriber)
        if len(self._proven_at) > REMEMBERED_ADDRESSES:
            self._proven_at.popitem(last=False)
        return Verdict("proven", credential)

    def _refused(self, realm: str, address: str, algorithm: str, algorithms: tuple[str, ...]) -> Verdict:
        if algorithm == "SHA-256" and "MD5" in algorithms:
            challenges = self.challenges(realm, address, stale=True, algorithms=("MD5",))
            return Verdict("stale", challenges=challenges)
        return Verdict("challenge", challenges=self.challenges(realm, address, algorithms=algorithms))

    def _stale(self, realm: str, address: str, algorithm: str) -> Verdict:
        """The same algorithm again: it is the one that this client has something for."""
        return Verdict("stale", challenges=self.challenges(realm, address, stale=True, algorithms=(algorithm,)))

    # nonces -----------------------------------------------------------------------------------------------------------

    def _new_nonce(self, realm: str, address: str) -> str:
        head = self._now().to_bytes(_TIME, "big") + self._randomness.bytes(_SALT) + self._hint(address)
        return base64.urlsafe_b64encode(head + self._mac(head, realm)).rstrip(b"=").decode("ascii")

    def _now(self) -> int:
        """The time, but never before the oldest nonce that is taken: nobody is locked out by a clock that is set back.

        Until the clock has caught up no nonce grows older; what was used once is refused all the same.
        """
        return max(self._clock.now_ms(), self._oldest)

    def _open_nonce(self, text: str, realm: str) -> bytes | None:
        """The nonce, or None when we did not make it or it may not be used any more."""
        try:
            nonce = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        head, mac = nonce[:-_MAC], nonce[-_MAC:]
        if len(head) != _TIME + _SALT + _ADDRESS or not hmac.compare_digest(mac, self._mac(head, realm)):
            return None
        made_at = _made_at(nonce)
        # Another machine's clock may be a little ahead.
        is_fresh = abs(self._now() - made_at) < NONCE_MS
        return nonce if is_fresh and (made_at >= self._oldest or nonce in self._uses) else None

    def _is_first_use(self, nonce: bytes, count: int) -> bool:
        """Takes this count of the nonce, unless it was taken before or lies too far behind."""
        highest, seen = self._uses.get(nonce, (0, 0))
        if count > highest:
            shifted = count - highest
            seen = (seen << shifted if shifted < WINDOW else 0) & (1 << WINDOW) - 1 | 1
            highest = count
        else:
            bit = 1 << (highest - count)
            if highest - count >= WINDOW or seen & bit or count < 1:
                return False
            seen |= bit
        self._uses[nonce] = (highest, seen)
        self._forget_old_uses()
        return True

    def _forget_old_uses(self) -> None:
        too_old = self._now() - NONCE_MS
        while self._uses:
            first = next(iter(self._uses))
            if _made_at(first) > too_old and len(self._uses) <= MAX_USES:
                return
            # Whatever was made up to then and is not in the table may have been used: it is not taken any more.
            self._oldest = max(self._oldest, _made_at(first) + 1)
            del self._uses[first]

    def _hint(self, address: str) -> bytes:
        return self._vault.fingerprint(address.encode("utf-8", "replace"), "digest_address")[:_ADDRESS]

    def _mac(self, head: bytes, realm: str) -> bytes:
        return self._vault.fingerprint(head + realm.encode(), "digest_nonce")[:_MAC]

    # wrong answers ----------------------------------------------------------------------------------------------------

    def _is_exhausted(self, subscriber: str, address: str) -> bool:
        if self._of_addresses.is_exhausted(address):
            return True
        return self._of_subscribers.is_exhausted(subscriber) and self._proven_at.get(subscriber) != address

    def _count_failure(self, subscriber: str, address: str, *, sent_there: bool) -> None:
        if sent_there:
            self._of_addresses.count_failure(address)
        self._of_subscribers.count_failure(subscriber)


def _made_at(nonce: bytes) -> int:
    return int.from_bytes(nonce[:_TIME], "big")


def _read(authorization: str, algorithms: tuple[str, ...]) -> Authorization | None:
    """What can be judged: one of these algorithms, qop auth with a count, nothing overlong."""
    if len(authorization) > LONGEST:
        return None
    try:
        given = parse_authorization(authorization)
    except SipMalformed:
        return None
    is_whole = given.algorithm.upper() in algorithms and given.qop == "auth" and given.cnonce and given.nc
    return given if is_whole and _is_name(given.username) else None


def _is_name(text: str) -> bool:
    """Whether this could be a user name: no control characters, nothing that is not UTF-8."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()
