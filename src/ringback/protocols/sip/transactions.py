"""The four transactions of SIP: what is sent, what is sent again, and when it is given up.

A machine knows no socket and no clock. Whoever drives it says what came and what time it is (in steady seconds), sends
what it gives back, and calls `on_time` when `due` has come; `NEVER` means that nothing is waited for. A machine whose
state is TERMINATED is thrown away.

Sources: RFC 3261 §17 with the corrections of RFC 6026 (a state of its own after a 2xx) and RFC 4320 (nobody answers a
request with 408 when it is too late). `reliable` is whether the transport is: TCP and TLS lose nothing, so the timers
A, E and G never run there, and D, I, J and K are zero.
"""

from __future__ import annotations

import enum
import math

import msgspec

NEVER = math.inf


class Timers(msgspec.Struct, frozen=True):
    """The three times that everything else is a multiple of, in seconds (RFC 3261 §17.1.1.1 and table 4)."""

    t1: float = 0.5
    """An estimate of the way there and back."""
    t2: float = 4.0
    """The longest pause between two repetitions."""
    t4: float = 5.0
    """How long the network may hold a message."""

    @property
    def patience(self) -> float:
        """64*T1: when an answer, or an ACK, is no longer expected. Timers B, F, H, L, M, and J without TCP."""
        return 64 * self.t1

    @property
    def long_after(self) -> float:
        """Timer D: at least 32 seconds, so that it outlives the other side's timer H."""
        return max(32.0, 64 * self.t1)


class State(enum.IntEnum):
    """Where a transaction stands, in the order of time; each machine uses some of these."""

    TRYING = 1
    """Nothing was answered. RFC 3261 says Calling in the client's INVITE."""
    PROCEEDING = 2
    """A provisional answer was given."""
    COMPLETED = 3
    """The final answer was given, in an INVITE one that is not 2xx."""
    CONFIRMED = 4
    """The ACK came; its repetitions are absorbed."""
    ACCEPTED = 5
    """An INVITE was answered with 2xx (RFC 6026)."""
    TERMINATED = 6


class Machine:
    """What all four have: where they stand, and when they are to be called."""

    __slots__ = ("_interval", "_timers", "due", "reliable", "state")

    def __init__(self, timers: Timers, *, reliable: bool) -> None:
        self._timers = timers
        self._interval = timers.t1
        self.reliable = reliable
        self.state = State.TRYING
        self.due = NEVER

    def abandon(self) -> None:
        """The transport failed, or the owner is gone."""
        self.state, self.due = State.TERMINATED, NEVER

    def _wait_or_end(self, now: float, seconds: float) -> None:
        """Absorbs late copies for so long; a transport that makes no copies needs no time for it."""
        if seconds:
            self.due = now + seconds
        else:
            self.abandon()


class _ServerMachine(Machine):
    __slots__ = ("_last", "ends_at")

    def __init__(self, timers: Timers, *, reliable: bool) -> None:
        super().__init__(timers, reliable=reliable)
        self._last: bytes | None = None
        self.ends_at = NEVER

    @property
    def is_answered(self) -> bool:
        """Whether the final answer was given."""
        return self.state > State.PROCEEDING

    def abandon(self) -> None:
        """As above; the answer is not held any longer."""
        super().abandon()
        self._last = None


class ServerInvite(_ServerMachine):
    """An INVITE that came to us (RFC 3261 §17.2.1, RFC 6026 §7.1). Timers G, H, I and L.

    Two duties of the core are kept here, since they need the same bytes and the same clock: a 2xx is repeated until its
    ACK comes, over TCP too (§13.3.1.4), a provisional answer each minute, so that proxies do not give up (§13.3.1.1).
    """

    __slots__ = ("is_acknowledged",)

    MINUTE = 60.0

    def __init__(self, timers: Timers, *, reliable: bool) -> None:
        super().__init__(timers, reliable=reliable)
        self.is_acknowledged = False

    def repeated(self) -> bytes | None:
        """The same INVITE came again: what to send, or None."""
        # After a 2xx the repetition is absorbed: the 2xx is repeated by its own timer (RFC 6026 §7.1).
        return self._last if self.state <= State.COMPLETED else None

    def respond(self, status: int, data: bytes, now: float) -> bool:
        """The answer that is about to be sent. False, and it is not to be, when the final one was given already."""
        if self.is_answered:
            return False
        self._last = data
        if status < 200:
            self.state = State.PROCEEDING
            self.due = now + self.MINUTE if status > 100 else NEVER
            return True
        self._interval = self._timers.t1
        self.ends_at = now + self._timers.patience  # timer H, or L
        self.state = State.ACCEPTED if status < 300 else State.COMPLETED
        repeats = status < 300 or not self.reliable  # timer G is for UDP only
        self.due = now + self._interval if repeats else self.ends_at
        return True

    def acknowledged(self, now: float) -> bool:
        """The ACK came. True when it is the first."""
        if self.is_acknowledged or (self.state is not State.COMPLETED and self.state is not State.ACCEPTED):
            return False
        self.is_acknowledged = True
        self._last = None
        if self.state is State.ACCEPTED:
            self.due = self.ends_at  # timer L goes on, to absorb repetitions of the INVITE
        else:
            self.state = State.CONFIRMED
            self._wait_or_end(now, 0 if self.reliable else self._timers.t4)  # timer I
        return True

    def on_time(self, now: float) -> bytes | None:
        """What to send now, or None. Ends in TERMINATED with `is_acknowledged` False when no ACK came (timer H)."""
        if self.state is State.PROCEEDING:
            self.due = now + self.MINUTE
            return self._last
        if self.state is State.CONFIRMED or self.is_acknowledged or now >= self.ends_at:
            self.abandon()
            return None
        self._interval = min(2 * self._interval, self._timers.t2)
        self.due = min(now + self._interval, self.ends_at)
        return self._last


class ServerRequest(_ServerMachine):
    """Any other request that came to us (RFC 3261 §17.2.2). Timer J, and an end for what is never answered."""

    __slots__ = ()

    def __init__(self, timers: Timers, now: float, *, reliable: bool) -> None:
        super().__init__(timers, reliable=reliable)
        # The client has given up by then, and is not told (RFC 4320 §4.2).
        self.due = self.ends_at = now + timers.patience

    def repeated(self) -> bytes | None:
        """The same request came again: what to send, or None."""
        return self._last

    def respond(self, status: int, data: bytes, now: float) -> bool:
        """The answer that is about to be sent. False, and it is not to be, when the final one was given already."""
        if self.is_answered:
            return False
        self._last = data
        if status < 200:
            self.state = State.PROCEEDING
        else:
            self.state = State.COMPLETED
            self._wait_or_end(now, 0 if self.reliable else self._timers.patience)  # timer J
        return True

    def on_time(self, now: float) -> bytes | None:
        """The end."""
        del now
        self.abandon()
        return None


class ClientInvite(Machine):
    """An INVITE of ours (RFC 3261 §17.1.1, RFC 6026 §7.2). Timers A, B, D and M."""

    __slots__ = ("_ends_at", "_request", "acknowledgement", "is_timed_out")

    def __init__(self, timers: Timers, request: bytes, now: float, *, reliable: bool) -> None:
        super().__init__(timers, reliable=reliable)
        self._request = request
        self._ends_at = now + timers.patience  # timer B
        self.due = self._ends_at if reliable else now + timers.t1  # timer A
        self.is_timed_out = False
        self.acknowledgement: bytes | None = None
        """The ACK to a final answer that is not 2xx: made by the owner, kept here to be sent again."""

    def received(self, status: int, now: float) -> bool:
        """An answer came. True when the owner is to hear of it; in COMPLETED an ACK is due, each time."""
        if self.state <= State.PROCEEDING:
            if status < 200:
                # After a CANCEL the end stays where it is; else an INVITE may ring for as long as people let it.
                if self.state is State.TRYING:
                    self.state, self.due = State.PROCEEDING, NEVER
            elif status < 300:
                self.state, self.due = State.ACCEPTED, now + self._timers.patience  # timer M
            else:
                self.state, self.due = State.COMPLETED, NEVER
                if not self.reliable:
                    self.due = now + self._timers.long_after  # timer D
            return True
        # Every 2xx goes up: repetitions want their ACK again, and another phone may have answered too (RFC 6026 §7.2).
        return self.state is State.ACCEPTED and 200 <= status < 300

    def acknowledged_with(self, data: bytes) -> None:
        """The ACK to a final answer that is not 2xx was made and is being sent (§17.1.1.3)."""
        self.acknowledgement = data
        if self.reliable:
            self.abandon()  # timer D is zero

    def cancelled(self, now: float) -> None:
        """CANCEL was sent: if nothing final comes in 64*T1, nothing will (§9.1)."""
        if self.state is State.PROCEEDING:
            self.due = now + self._timers.patience

    def on_time(self, now: float) -> bytes | None:
        """What to send now, or None. Ends in TERMINATED with `is_timed_out` when no answer came (timer B)."""
        if self.state is State.TRYING and now < self._ends_at:
            self._interval *= 2  # timer A has no cap
            self.due = min(now + self._interval, self._ends_at)
            return self._request
        self.is_timed_out = self.state <= State.PROCEEDING
        self.abandon()
        return None

    def abandon(self) -> None:
        """As above; the request is not held any longer."""
        super().abandon()
        self._request = b""


class ClientRequest(Machine):
    """Any other request of ours (RFC 3261 §17.1.2). Timers E, F and K."""

    __slots__ = ("_ends_at", "_request", "is_timed_out")

    def __init__(self, timers: Timers, request: bytes, now: float, *, reliable: bool) -> None:
        super().__init__(timers, reliable=reliable)
        self._request = request
        self._ends_at = now + timers.patience  # timer F
        self.due = self._ends_at if reliable else now + timers.t1  # timer E
        self.is_timed_out = False

    def received(self, status: int, now: float) -> bool:
        """An answer came. True when the owner is to hear of it."""
        if self.state > State.PROCEEDING:
            return False
        if status < 200:
            self.state = State.PROCEEDING
            return True
        self.state, self._request = State.COMPLETED, b""
        self._wait_or_end(now, 0 if self.reliable else self._timers.t4)  # timer K
        return True

    def on_time(self, now: float) -> bytes | None:
        """What to send now, or None. Ends in TERMINATED with `is_timed_out` when no answer came (timer F)."""
        if self.state is State.COMPLETED or now >= self._ends_at:
            self.is_timed_out = self.state is not State.COMPLETED
            self.abandon()
            return None
        proceeding = self.state is State.PROCEEDING
        self._interval = self._timers.t2 if proceeding else min(2 * self._interval, self._timers.t2)
        self.due = min(now + self._interval, self._ends_at)
        return self._request

    def abandon(self) -> None:
        """As above; the request is not held any longer."""
        super().abandon()
        self._request = b""
