"""What this room needs from others, as narrow as it can be; `server_calls.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ringback.devices import MacTokenCheck, MacTokenOutcome
    from ringback.directory import Callee
    from ringback.events import Event
    from ringback.messages import Sending
    from ringback.principal import Principal
    from ringback.push import Farewell, NewCallPush, NewPush, PushToken


class Callees(Protocol):
    """Who knows subscribers; the `directory` room does."""

    async def callee(self, tx: Tx, username: str, domain: str) -> Callee | None:
        """The subscriber with what its preferences come to, or None."""
        ...


class TokensOfUser(Protocol):
    """Who knows push tokens; the `push` room does."""

    async def of_user(self, tx: Tx, user_id: str) -> list[PushToken]:
        """Every push token of a user, suspended ones too."""
        ...


class CallLane(Protocol):
    """Who pushes calls at once; `CallPushes` does."""

    def can_ring(self, target: PushToken) -> bool:
        """Whether a call may and can be pushed to this push token."""
        ...

    def send(self, new: NewCallPush) -> list[str]:
        """Begins to push to each target that can ring; returns the push ids in their order."""
        ...

    def adopt(self, new: NewCallPush, push_ids: Sequence[str]) -> None:
        """Another process has pushed it, with a push id for each target: they may be cancelled here."""
        ...

    def cancel(self, push_ids: Collection[str], why: Farewell = "cancelled", *, although_quiet: bool = False) -> None:
        """The call is over: no further attempts, and phones that may ring are told.

        `although_quiet`: after `interrupt` too, when nobody else has told them.
        """
        ...

    def interrupt(self, push_ids: Collection[str]) -> None:
        """No further attempts; whoever calls this tells the phones."""
        ...


class Publisher(Protocol):
    """Where events go."""

    async def publish(self, tx: Tx, event: Event) -> None:
        """Tells the subscribers, in the unit."""
        ...


class QueuedPushes(Protocol):
    """Where pushes go that nobody waits for."""

    async def queue_all(self, tx: Tx, pushes: Sequence[NewPush]) -> list[str]:
        """Adds pushes to the unit; returns their ids in the same order."""
        ...


class Audit(Protocol):
    """Where it is written down who did what."""

    async def record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        *,
        subject_kind: str,
        subject_id: str,
        app_id: str | None = None,
        user_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Adds one row in the same unit."""
        ...


class AppAccess(Protocol):
    """Who may look at which apps."""

    async def reach_of(self, tx: Tx, principal: Principal) -> frozenset[str] | None:
        """These apps, or None for everything."""
        ...


class PushHistory(Protocol):
    """Who knows what became of pushes; the `messages` room does."""

    async def sendings_of(self, tx: Tx, reach: frozenset[str] | None, notice_id: str) -> list[Sending]:
        """The pushes of a call with their attempts, in the order in which they were made."""
        ...


class Phones(Protocol):
    """What phones prove; the `devices` room knows."""

    async def check_mac_token(self, tx: Tx, check: MacTokenCheck) -> MacTokenOutcome:
        """Checks the header and spends its nonce."""
        ...
