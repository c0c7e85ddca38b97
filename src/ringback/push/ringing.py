"""One push of a call in the memory of the process that sends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ringback.outbox import Delivery
    from ringback.push.farewells import Farewell
    from ringback.push.model import OutgoingPush, Push
    from ringback.push.model_tokens import PushToken


NEVER_RANG = "the call ended: "
"""How the reason begins of a push that was given up since the call was over, and that has not arrived before."""
MAY_HAVE_RUNG = "the call ended, and may have rung: "
"""The same where an attempt before had no answer."""


class Ringing:
    """A push of a call, from the moment it is sent until the ring time is over. Lean: each call that waits has one."""

    __slots__ = (
        "alert", "held", "is_interrupted", "is_out", "is_told", "notice_id", "outgoing", "pause", "push", "withdrawal",
        "withdrawn",
    )  # fmt: skip

    def __init__(self, push: Push, outgoing: OutgoingPush, alert: PushToken | None, *, withdrawal: bool) -> None:
        self.push: Push | None = push
        """Its row, until that is stored."""
        self.held: asyncio.Future[Delivery | None] | None = None
        """Its delivery, which is stored together with the row."""
        self.notice_id = push.notice_id
        self.outgoing = outgoing
        self.alert = alert
        self.withdrawal = withdrawal
        self.is_out = False
        """It has arrived, or may have."""
        self.is_told = False
        """The phone is told that the call is over."""
        self.withdrawn: Farewell | Literal["quietly"] | None = None
        self.is_interrupted = False
        """No further attempt is to be made."""
        self.pause: asyncio.Event | None = None
        """Between two attempts: set when it is interrupted."""

    @property
    def id(self) -> str:
        """The push id."""
        return self.outgoing.id

    @property
    def deadline_at(self) -> int:
        """When the ring time is over, in Unix milliseconds."""
        assert self.outgoing.deadline_at is not None
        return self.outgoing.deadline_at

    async def stored(self) -> Delivery | None:
        """Its delivery, when that is stored; None when it cannot be."""
        assert self.held is not None
        return self.held.result() if self.held.done() else await asyncio.shield(self.held)

    @property
    def row(self) -> Push:
        """Its row, which is asked for only until that is stored."""
        assert self.push is not None
        return self.push

    def interrupt(self) -> None:
        """No further attempts."""
        self.is_interrupted = True
        if self.pause is not None:
            self.pause.set()

    async def pauses(self, seconds: float) -> bool:
        """Waits so long; False when it was interrupted."""
        self.pause = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self.pause.wait()
        except TimeoutError:
            return True
        finally:
            self.pause = None
        return False
