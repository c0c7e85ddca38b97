"""Which calls came lately: a call that comes back is pushed once, and does not go round for ever."""

from __future__ import annotations

from collections import OrderedDict

MOST_DEFLECTS = 3
"""A proxy that sends a call back this often does not see the bindings that it tells of."""
_MOST_REMEMBERED = 200_000


class RecentCall:
    """One call to one callee, over every INVITE that it came with."""

    __slots__ = ("deflects", "pushed", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.pushed = False
        self.deflects = 0

    @property
    def goes_round(self) -> bool:
        """Whether it was deflected as often as it may."""
        return self.deflects >= MOST_DEFLECTS

    @property
    def registered_were_tried(self) -> bool:
        """Whether it was given back without a push: to those who were registered."""
        return self.deflects > 0 and not self.pushed


class RecentCalls:
    """The calls of the last minutes, by Call-ID and callee; times are those of a steady clock, in seconds."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._calls: OrderedDict[tuple[str, str], RecentCall] = OrderedDict()

    def __len__(self) -> int:
        return len(self._calls)

    def of(self, call_id: str, callee: str, now: float, keep_seconds: float) -> RecentCall:
        """The call with this Call-ID to this callee, remembered for `keep_seconds` from now on."""
        key = (call_id, callee)
        call = self._calls.get(key)
        if call is None or call.until < now:
            call = self._calls[key] = RecentCall()
        call.until = max(call.until, now + keep_seconds)
        self._calls.move_to_end(key)
        self._forget(now)
        return call

    def _forget(self, now: float) -> None:
        # Two at a time, so that what is over goes faster than what comes; one that must wait longer holds up the rest
        # for as long, and the bound holds whatever happens.
        for _ in range(2):
            if not self._calls:
                return
            oldest = next(iter(self._calls))
            if self._calls[oldest].until >= now and len(self._calls) <= self._most:
                return
            del self._calls[oldest]
