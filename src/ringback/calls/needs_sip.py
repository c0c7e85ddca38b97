"""What the application server needs from others, as narrow as it can be; `server_calls.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from ringback.calls.model import NewCall, Reach
    from ringback.calls.waiting import WaitingCall
    from ringback.calls.wakeups import LiveCall
    from ringback.sip import IncomingRequest, Notification, Subscription


class Waking(Protocol):
    """Who knows whom a call reaches, and keeps its record; `WakeUps` does."""

    async def reach(self, username: str, domain: str) -> Reach | None:
        """Whom a call can reach; None when there is no such subscriber."""
        ...

    def begin(self, new: NewCall) -> LiveCall:
        """A call that waits from now on."""
        ...


class Progress(Protocol):
    """Who tells the caller that something happens."""

    def begin(self, incoming: IncomingRequest, prompt: str | None, *, loop: bool | None) -> Callable[[], None]:
        """Answers 183, with early media where that is possible; what it returns ends the early media."""
        ...


class Desk(Protocol):
    """What a waiting call needs of the server that holds it."""

    wakeups: Waking
    progress: Progress
    loop: asyncio.AbstractEventLoop
    wake_seconds: int
    deflect_status: int
    goes_on_unwatched: bool

    def now(self) -> float:
        """A steady clock, in seconds."""
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
