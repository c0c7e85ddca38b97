"""Which calls the phones ring with already: a call that comes again is not pushed again.

The memory of this process says it, or the store, where another process pushed the call, or this one before a crash.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from ringback.push import PushToken

if TYPE_CHECKING:
    from ringback.calls.model import NewCall

_MOST_REMEMBERED = 50_000


class PushedCall(msgspec.Struct, frozen=True):
    """What a call was pushed with. `call_record_id`: its record when it came first.

    `is_here`: the lane of this process knows these pushes, its own or adopted ones.
    """

    call_record_id: str
    deadline_at: int
    pushes: tuple[tuple[str, PushToken], ...]
    is_here: bool = True


class PushedCalls:
    """Those of one process, by Call-ID and callee."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], PushedCall] = OrderedDict()

    def earlier(self, new: NewCall, now_ms: int) -> PushedCall | None:
        """What the phones ring with now; None when they do not, or none of them has the push token of then."""
        known = self._known.get((new.sip_call_id, new.callee))
        if known is not None and known.deadline_at > now_ms:
            return known
        if new.reach is None:
            return None
        tokens = {token.id: token for token in new.reach.targets}
        ringing = [one for one in new.reach.earlier if one.deadline_at > now_ms and one.push_token_id in tokens]
        if not ringing:
            return None
        pushes = tuple((one.push_id, tokens[one.push_token_id]) for one in ringing)
        return PushedCall(ringing[0].call_record_id, ringing[0].deadline_at, pushes, is_here=False)

    def remember(self, new: NewCall, pushed: PushedCall, now_ms: int) -> None:
        """What was pushed first is forgotten first, a few at a time, so that nobody waits."""
        name = (new.sip_call_id, new.callee)
        self._known.pop(name, None)
        self._known[name] = pushed
        for old in list(islice(self._known, 2)):
            if len(self._known) > _MOST_REMEMBERED or self._known[old].deadline_at <= now_ms:
                del self._known[old]
