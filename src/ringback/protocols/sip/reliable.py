"""Provisional answers that are not lost: repeated until the caller confirms them with PRACK. Source: RFC 3262.

The side that answers: one at a time (§3), repeated after T1, 2*T1, 4*T1… until 64*T1; without socket and clock, as in
`transactions`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers
from ringback.protocols.sip.transactions import NEVER, Timers

OPTION: Final = "100rel"
_RACK: Final = re.compile(r"([0-9]{1,10}+)[ \t]++([0-9]{1,10}+)[ \t]++(\S++)")


class RAck(NamedTuple):
    """Which answer a PRACK confirms (§7.2)."""

    rseq: int
    number: int
    method: str


def parse_rack(value: str | None) -> RAck:
    """Reads RAck. Raises SipMalformed."""
    found = _RACK.fullmatch(value or "")
    if found is None:
        raise SipMalformed("Malformed RAck")
    return RAck(int(found[1]), int(found[2]), found[3])


def names_option(headers: Headers, name: str) -> bool:
    """Whether Supported or Require (`name`) names 100rel."""
    return any(element.lower() == OPTION for element in headers.elements(name))


class ReliableAnswers:
    """Those of one INVITE. `first`: the number of the first one, 1 to 2**31-1, taken at random (§3).

    `waiting` is not yet confirmed; `due` says when it is sent again; `is_given_up` when nobody confirmed it in time.
    """

    __slots__ = ("_data", "_ends_at", "_interval", "_patience", "_t1", "due", "is_given_up", "rseq", "waiting")

    def __init__(self, timers: Timers, first: int) -> None:
        self._t1, self._patience = timers.t1, timers.patience
        self.rseq = first - 1
        self.waiting: int | None = None
        self.is_given_up = False
        self._data = b""
        self._interval = self._ends_at = 0.0
        self.due = NEVER

    def sent(self, data: bytes, now: float) -> None:
        """The answer with the number `rseq + 1`, which counts from now on, is being sent."""
        self.rseq += 1
        self.waiting = self.rseq
        self._data = data
        self._interval = self._t1
        self._ends_at = now + self._patience
        self.due = now + self._interval

    def confirmed(self, rack: RAck) -> bool:
        """A PRACK for this INVITE came. False, to be answered 481, when it is not about the answer that waits (§3)."""
        if rack.method != "INVITE" or rack.rseq != self.waiting:
            return False
        self.waiting = None
        self.stop()
        return True

    def stop(self) -> None:
        """The final answer was given: nothing is repeated, but a PRACK on its way is still taken (§3)."""
        self.due, self._data = NEVER, b""

    def on_time(self, now: float) -> bytes | None:
        """What to send now, or None, and then `is_given_up` may have come true."""
        if now >= self._ends_at:
            self.is_given_up = True
            self.stop()
            return None
        self._interval *= 2
        self.due = min(now + self._interval, self._ends_at)
        return self._data
