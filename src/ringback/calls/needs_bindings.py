"""What the registrar and the redirect server need from other rooms; `server_calls.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.calls.needs_sip import CallDesk, RecordKeeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.calls.held import HeldCall
    from ringback.calls.invited import Asked
    from ringback.calls.live_call import LiveCall
    from ringback.calls.model import Reach
    from ringback.calls.model_bindings import Binding
    from ringback.directory import Domain, Verdict
    from ringback.push import CredentialKind, NewPush, PushToken, StoredCredential, TokenOwner
    from ringback.store import Tx


class BindingPushTokens(Protocol):
    """Who keeps push tokens; the `push` room does."""

    async def register_for_binding(self, tx: Tx, owner: TokenOwner, kind: str, push_token: str) -> PushToken:
        """Stores what a phone can be woken with; a token that the same user has told already stays where it is."""
        ...


class QuietTokens(Protocol):
    """Who knows how a phone is woken without ringing; the `push` room does."""

    async def quiet(self, tx: Tx, push_token_id: str) -> PushToken | None:
        """The push token for it; None when there is none."""
        ...


class PushCredentialsOfApps(Protocol):
    """Who knows how an app proves who it is to a push service; `LiveCredentials` does."""

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        """The credential, a moment old at most; None = none. Raises StoreUnavailable."""
        ...


class QueuedPushes(Protocol):
    """Where pushes go that nobody waits for."""

    async def queue(self, tx: Tx, new: NewPush) -> str:
        """Adds a push and its delivery; returns its id."""
        ...


class DomainsKnown(Protocol):
    """Who knows domains; the `directory` room does."""

    async def find(self, tx: Tx, name: str) -> Domain | None:
        """One domain, or None."""
        ...


class AppsWithCredential(Protocol):
    """Who knows which apps can push; the `apps` room does."""

    async def with_credential(self, tx: Tx, kind: CredentialKind, app_ids: Sequence[str], limit: int) -> Sequence[str]:
        """Those of the apps that have a credential of a kind, by id; of all apps where none is named."""
        ...


class Urls(Protocol):
    """Who decides which URLs the server calls; the guarded way out does."""

    def check_url(self, url: str) -> None:
        """Raises DestinationNotAllowed."""
        ...


class Digests(Protocol):
    """Who judges digests; the `directory` room does."""

    def challenges(self, realm: str, address: str, *, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        """Values of WWW-Authenticate, one for each algorithm, in that order."""
        ...

    async def check(
        self,
        authorization: str,
        *,
        method: str,
        uri: str,
        realm: str,
        address: str,
        domain: str | None = None,
        algorithms: tuple[str, ...],
    ) -> Verdict:
        """What an Authorization field is worth, with one of the algorithms. Raises StoreUnavailable."""
        ...


class Purrs(Protocol):
    """Who makes the names that phones may give to peers in the place of their own (RFC 8599 §6)."""

    def of(self, subscriber_id: str, instance: str | None, contact: str) -> str:
        """The name of a phone: always the same for an instance."""
        ...


class Reads(Protocol):
    """Who reads whom a call can reach; `Reaching` does."""

    async def read(self, tx: Tx, username: str, domain: str, sip_call_id: str) -> Reach | None:
        """Unit: the subscriber and its phones; None when there is no such subscriber."""
        ...


class HeldRecords(RecordKeeper, Protocol):
    """Who keeps the records of calls of which further phones may come; `WakeUps` does."""

    def now_ms(self) -> int:
        """The time, in Unix milliseconds."""
        ...

    def changed(self, live: LiveCall) -> None:
        """Its row is to be written again."""
        ...

    def rings(self, live: LiveCall) -> bool:
        """Whether the phones ring for the same call already, so that no push would be sent."""
        ...


class HoldingDesk(CallDesk, Protocol):
    """What a held call needs besides of the redirect server."""

    @property
    def waking(self) -> HeldRecords:
        """Who keeps its record."""
        ...

    async def look_up(self, asked: Asked, purr: str | None) -> tuple[Reach | None, Sequence[Binding]]:
        """Whom a call reaches, and the bindings there are, in one reading unit. Raises StoreUnavailable.

        `purr`: only the phone of this name.
        """
        ...

    def named(self, bindings: Sequence[Binding], purr: str | None) -> Sequence[Binding]:
        """Those of the bindings that are of the phone of this name; all without one."""
        ...

    def may_push(self, callee: str) -> bool:
        """Whether a call to this callee may be pushed now; it counts."""
        ...

    def left(self, call: HeldCall) -> None:
        """The call is over."""
        ...
