"""What the application server needs from others, as narrow as it can be; `server_calls.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from ringback.calls.live_call import LiveCall
    from ringback.calls.model import NewCall, Reach
    from ringback.calls.waiting import WaitingCall
    from ringback.sip import IncomingRequest, Notification, Subscription, Wheel


class RecordKeeper(Protocol):
    """Who keeps the records of calls that wait; `WakeUps` does."""

    def begin(self, new: NewCall) -> LiveCall:
        """A call that waits from now on."""
        ...

    def changed(self, live: LiveCall) -> None:
        """Its record is to be written again."""
        ...


class Waking(RecordKeeper, Protocol):
    """Who also knows whom a call reaches; `WakeUps` does."""

    async def reach(self, username: str, domain: str, sip_call_id: str) -> Reach | None:
        """Whom this call can reach; None when there is no such subscriber."""
        ...


class Progress(Protocol):
    """Who tells the caller that something happens."""

    def begin(self, incoming: IncomingRequest, prompt: str | None, *, loop: bool | None) -> Callable[[], None]:
        """Answers 183, with early media where that is possible; what it returns ends the early media."""
        ...


class CallDesk(Protocol):
    """What a call needs of the server that holds it, in both modes."""

    progress: Progress
    wake_seconds: int
    wheel: Wheel

    @property
    def waking(self) -> RecordKeeper:
        """Who keeps its record."""
        ...

    def now(self) -> float:
        """A steady clock, in seconds."""
        ...


class Desk(CallDesk, Protocol):
    """What a waiting call needs besides of the application server."""

    deflect_status: int
    goes_on_unwatched: bool

    def call_later(self, seconds: float, then: Callable[[], None]) -> asyncio.TimerHandle:
        """Calls it once."""
        ...

    @property
    def waking(self) -> Waking:
        """Who knows whom it reaches, and keeps its record."""
        ...

    async def watch(
        self, callee: str, incoming: IncomingRequest, seconds: float, on_notify: Callable[[Notification], None]
    ) -> Subscription:
        """Subscribes to the callee's registration events. Raises SipTimeout, SipUnreachable, SubscriptionRefused."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Runs beside everything else; what goes wrong in there is logged."""
        ...

    def left(self, call: WaitingCall) -> None:
        """The call is over."""
        ...
