"""How many wrong guesses one sender has a minute: an address with codes or passwords, a registration with digits."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.clock import Clock

WINDOW_MS = 60_000
MAX_ADDRESSES = 10_000
IPV6_PREFIX = 64
"""The smallest network that a subscriber gets: whoever has one address of it has them all."""


class AttemptLimiter:
    """A sliding window of a minute for each address (or other text), in the memory of this process.

    When too many addresses are at it, the one that was quiet longest is forgotten.
    """

    def __init__(self, *, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def is_exhausted(self, address: str) -> bool:
        """Whether this address has to wait."""
        address = _network(address)
        failures = self._failures.get(address)
        if failures is None:
            return False
        now = self._clock.now_ms()
        # What lies ahead was counted before the clock was set back: nobody waits an hour for that.
        while failures and not now - WINDOW_MS < failures[0] <= now:
            failures.popleft()
        if not failures:
            del self._failures[address]
        return len(failures) >= self._per_minute

    def count_failure(self, address: str) -> None:
        """One more wrong code from this address."""
        address = _network(address)
        failures = self._failures.setdefault(address, deque(maxlen=self._per_minute))
        failures.append(self._clock.now_ms())
        self._failures.move_to_end(address)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def _network(address: str) -> str:
    """What stands for the sender: an IPv4 address, or the network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), IPV6_PREFIX), strict=False))
