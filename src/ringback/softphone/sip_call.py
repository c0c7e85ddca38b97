"""One call as the phone's owner has it: its states, how they were reached, and what was heard."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ringback.softphone.sip_states import CallEnd, CallMove, CallState, check_move

if TYPE_CHECKING:
    from ringback.softphone.sip_media import CallMedia

OnMove: TypeAlias = "Callable[[PhoneCall, CallMove], None]"


class PhoneCall(ABC):
    """A call, made or taken. `clock`: seconds that only go on; `media`: None when the phone has no sound."""

    def __init__(
        self,
        *,
        call_id: str,
        peer: str,
        incoming: bool,
        clock: Callable[[], float],
        media: CallMedia | None,
        on_move: OnMove | None,
    ) -> None:
        self.call_id = call_id
        self.peer = peer
        """Who calls, or who is called: a URI."""
        self.incoming = incoming
        self.state: CallState = "CALLING"
        self.moves: list[CallMove] = []
        self.status = 0
        """The final status of a call that was not answered, 200 of one that was."""
        self.reason = ""
        self.end: CallEnd = ""
        self.has_early_media = False
        """Whether a provisional answer said where to hear something."""
        self.media = media
        self.early_media_packets = 0
        """RTP packets that came before the answer."""
        self.on_move = on_move
        self._clock = clock
        self._began = clock()
        self._changed = asyncio.Event()

    @property
    def answered(self) -> bool:
        """Whether it is, or was, a conversation."""
        return any(move.state == "ANSWERED" for move in self.moves)

    @property
    def heard_packets(self) -> int:
        """RTP packets that came after the answer."""
        if self.media is None or not self.answered:
            return 0
        return self.media.received - self.early_media_packets

    def move(self, state: CallState, *, status: int = 0, detail: str = "") -> None:
        """The call has come to another state. Raises CallMoveImpossible."""
        check_move(self.state, state)
        if self.media is not None and not self.answered:
            self.early_media_packets = self.media.received
        self.state = state
        move = CallMove(round((self._clock() - self._began) * 1000), state, status, detail)
        self.moves.append(move)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self.on_move is not None:
            self.on_move(self, move)

    def finish(self, end: CallEnd, *, status: int = 0, reason: str = "") -> None:
        """The call is over; nothing happens when it was already."""
        if self.state == "ENDED":
            return
        self.end = end
        self.status = status or self.status
        self.reason = reason
        self.move("ENDED", status=status, detail=end)
        if self.media is not None:
            self.media.close()

    async def reached(self, *states: CallState) -> bool:
        """Waits for one of these states; False when the call has ended without coming to one now."""
        while self.state not in states:
            if self.state == "ENDED":
                return False
            await self._changed.wait()
        return True

    async def over(self) -> None:
        """Waits for its end."""
        await self.reached("ENDED")

    @abstractmethod
    async def hang_up(self) -> None:
        """Ends it: CANCEL before the answer, BYE after it; returns when it is over."""
